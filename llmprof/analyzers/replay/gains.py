"""What does each recommended fix save, when the step is replayed with it? Gains that replace the rules' bounds.

A gain is replayed only where the replay of the untouched step is within 5 % of the measured one, and where a transform
stands for the fix; all others keep the rule's bound. A fix that does not shorten the replayed step says so, and what
the step waits for instead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from llmprof.analyzers.diagnosis import Combined, Gain, Recommendation, Sharing
from llmprof.analyzers.facts.faster.channels_last import in_channels_last
from llmprof.analyzers.facts.faster.timed_kernels import timed_note
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.steps.step_times import device_spread_ns
from llmprof.analyzers.replay.fed import WORKERS, with_workers
from llmprof.analyzers.replay.model import FAITHFUL, Model, model_of, sharing_of
from llmprof.analyzers.replay.transforms.buckets import split
from llmprof.analyzers.replay.transforms.loader import FIXES as LOADER_FIXES
from llmprof.analyzers.replay.transforms.registry import transforms_by_fix
from llmprof.analyzers.replay.transforms.transfers import FIXES as TRANSFER_FIXES
from llmprof.analyzers.replay.unprofiled.beside import STALL_DOUBT
from llmprof.analyzers.replay.what_if import Prediction, WhatIf
from llmprof.timeline.timeline import Timeline
from llmprof.units import NS_PER_MS, format_ms, format_percent

__all__ = ["Replays", "alternatives", "excluding", "fidelity_of", "replays_of"]

NOTHING_SHARE = 0.005
"""A step that gets shorter by less than this has not got shorter."""
MOST_OF_STEP = 0.5
_RULE_KNOWS = {"larger-batch", "ddp-bucket-size", "pin-memory", "more-microbatches", "balance-stages"}
"""One changes what a step is; for the second the rule fills buckets anew, gradient by gradient, which is more exact; of
the third it knows the copy's rate and the thread that pins, and the replay only the wait in the call; for the last two
the rules play the schedule of all stages, and the graph only follows what that comes to."""
_OF_STALLS = {"gc-policy", "async-checkpoint", "evaluate-less-often"}
"""What these shorten lies beside the traced steps, and the replay knows how long a step without it is."""
NOISE_ERRORS = 2.0
"""Standard errors within which a mean lies (95 %)."""
_ALTERNATIVES = (
    {"fused-optimizer", "foreach-optimizer"},
    {"cuda-graphs", "torch-compile"},
    {"bf16-autocast", "tf32", "fp8"},
    {"drop-recompute", "selective-recompute"},
    {"compress-gradients", "reduce-in-bf16"},
    {"repair-straggler", "balance-batches"},
)
"""Of each of these only one can be done."""
_INSTEAD = {"offline-preprocessing", "packed-dataset"}
"""Cheaper batches stand in place of more workers or deeper queues: beside these they are for what those leave."""
_NOT_YET = re.compile(r"No gain is expected yet: .*?\(.*?\)\.")
"""What a rule says of a step that waits for its host; a replay knows better."""
_WAITS_FOR = {
    "compute": "the kernels of the device",
    "communication": "collectives",
    "memcpy": "copies",
    "data": "batches",
    "host": "the host, which launches as before",
    "gap": "the launches' own latency",
    "stalls": "checkpoints, evaluations and garbage collections",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Replays:
    """What a replay of the run can say.

    fidelity    how far the replay is from the traced and the unprofiled step; empty when there is no replay
    note     why gains are not replayed, a sentence without its full stop; None when they are. `doubtful`: because the
             replay failed or misses the step, not because there is nothing to replay
    """

    what_if: WhatIf | None = None
    fidelity: Mapping[str, float | None] = field(default_factory=dict)
    note: str | None = None
    doubtful: bool = False

    @property
    def error(self) -> float | None:
        """The larger of the two errors; None when there is no replay."""
        return self.fidelity.get("replay_error")

    @property
    def sharing(self) -> Sharing | None:
        """What the replay knows of the cost of sharing the device."""
        return None if self.what_if is None else sharing_of(self.what_if.model)

    def warnings(self, recommendations: Iterable[Recommendation]) -> tuple[str, ...]:
        """What a reader of these has to know: that a replay was possible, and is not to be trusted."""
        known = transforms_by_fix()
        matters = self.doubtful and any(one.id in known for one in recommendations)
        return (f"{self.note}.",) if matters else ()

    def improved(self, recommendations: Iterable[Recommendation]) -> list[Recommendation]:
        """The recommendations with replayed gains where that is possible."""
        return [self._improved(one) for one in recommendations]

    def joined(
        self, recommendations: Sequence[Recommendation], otherwise: Combined | None
    ) -> tuple[tuple[Recommendation, ...], Combined | None]:
        """The recommendations and what they bring together; one that harms beside better ones says so.

        otherwise    what they bring together where fewer than two can be replayed; it is no answer where it holds a
                     fix that harms
        """
        chosen, harmful = self._chosen(recommendations)
        told = tuple(
            replace(one, why=f"{one.why} {harmful[one.id]}".strip()) if one.id in harmful else one
            for one in recommendations
        )
        if otherwise is not None and not set(harmful).isdisjoint(otherwise.of):
            otherwise = None
        return told, self._replayed(recommendations, chosen) or otherwise

    def together(self, recommendations: Sequence[Recommendation]) -> Combined | None:
        """What the replayed fixes bring together, by one joint replay; None with fewer than two that do not harm."""
        return self._replayed(recommendations, self._chosen(recommendations)[0])

    def _replayed(self, recommendations: Sequence[Recommendation], chosen: Sequence[Recommendation]) -> Combined | None:
        """What these of the recommendations bring together, in their order."""
        if self.what_if is None or len(chosen) < 2:
            return None
        found = self.what_if.predict([fix for one in chosen for fix in _all_of(one)])
        kept = {one.id for one in chosen}
        return Combined(
            of=tuple(one.id for one in recommendations if one.id in kept),
            step_ms_after=found.step_ns / NS_PER_MS,
            low_ms=found.least_ns / NS_PER_MS,
            high_ms=found.most_ns / NS_PER_MS,
        )

    def _chosen(self, recommendations: Sequence[Recommendation]) -> tuple[list[Recommendation], dict[str, str]]:
        """The replayed fixes to do together, the one that brings most first; and by id why others are left out.

        Left out is what makes the step longer that the fixes before it leave: hooks of DistributedDataParallel break
        up the graph that has taken the host away. So is what stands in place of others and adds nothing to them.
        """
        chosen: list[Recommendation] = []
        harmful: dict[str, str] = {}
        step_ns: float | None = None
        for one in sorted(recommendations, key=lambda one: (one.id in _INSTEAD, -one.gain.expected_ms)):
            helps = one.gain.basis == "replay" and one.gain.expected_ms > 0
            if self.what_if is None or not helps or any(other.id in alternatives(one.id) for other in chosen):
                continue
            if chosen:
                step_ns = step_ns or self._after(chosen)
                after = self._after([*chosen, one])
                if after > (1 + NOTHING_SHARE) * step_ns:
                    longer, before = format_percent(after / step_ns - 1), ", ".join(other.id for other in chosen)
                    harmful[one.id] = f"Beside {before} it makes the step longer, by {longer}: leave it out then."
                    continue
                if one.id in _INSTEAD and after > (1 - NOTHING_SHARE) * step_ns:
                    continue
                step_ns = after
            chosen.append(one)
        return chosen, harmful

    def _after(self, some: Sequence[Recommendation]) -> float:
        assert self.what_if is not None
        return self.what_if.outcome([fix for one in some for fix in _all_of(one)]).step_ns

    def _chance_ns(self, fix: str) -> float:
        """How far what was recorded of waits, or of a slow device, may be off the run's: two standard errors."""
        assert self.what_if is not None
        if fix == "balance-batches":
            return NOISE_ERRORS * self._skew_error_ns()
        if fix == "repair-straggler":
            return NOISE_ERRORS * self._pace_error_ns()
        loader = self.what_if.subject.facts.critical.loader
        if fix not in LOADER_FIXES or loader is None:
            return 0.0
        return NOISE_ERRORS * (loader.wait_error_ns or 0.0)

    def _pace_error_ns(self) -> float:
        """How far the few traced steps may be off the device's usual pace, which the readings of other steps vary by.

        A device that was slow in these steps alone needs no repair.
        """
        assert self.what_if is not None
        subject = self.what_if.subject
        spreads = [spread for rank in subject.ranks if (spread := device_spread_ns(rank.times)) is not None]
        return min(spreads, default=0.0) / math.sqrt(subject.graph.steps)

    def _skew_error_ns(self) -> float:
        """The standard error of the mean wait for other ranks, over the few steps that were traced."""
        assert self.what_if is not None
        subject = self.what_if.subject
        traced = [subject.of(place).traced for place in range(len(subject.ranks))]
        spreads = [one.spread.get("skew", 0.0) for one in traced if one is not None]
        return min(spreads, default=0.0) / math.sqrt(subject.graph.steps)

    def _improved(self, one: Recommendation) -> Recommendation:
        known = transforms_by_fix()
        if self.what_if is not None and one.id in _OF_STALLS:
            one = self._capped(one)
        if self.what_if is None or one.id not in known or self._known_to_rule(one) or one.gain.expected_ms < 0:
            return one
        found = self.what_if.predict(_all_of(one))
        if one.id in found.left_out:
            return one
        one, found = self._fed(one, found)
        step = self.what_if.model.step_ns
        told = f"{self._told(one)} {_longer(found, step)}".strip()
        if step - found.step_ns > NOTHING_SHARE * step:
            gain = _gain(one.gain, found, step, self._chance_ns(one.id))
            return self._agreed(one, replace(one, gain=gain, why=told))
        waits = self.what_if.path(self.what_if.outcome(found.fixes))
        slowest = max(waits, key=lambda name: waits[name])
        why = f"{told} No gain: replayed with it, the step still waits for {_WAITS_FOR[slowest]}.".strip()
        untold = one.gain.basis == "prior"  # the rule itself expects nothing: it only knows what is possible
        high = max(step - found.least_ns, 0.0) / NS_PER_MS
        nothing = replace(
            one.gain,
            expected_ms=0.0,
            low_ms=-found.longer_ns / NS_PER_MS if _longer(found, step) else 0.0,
            high_ms=high,
            step_ms_after=step / NS_PER_MS,
            speedup=1.0,
            basis="prior" if untold else "replay",
        )
        return self._agreed(one, replace(one, gain=nothing, why=one.why if untold else why))

    def _fed(self, one: Recommendation, alone: Prediction) -> tuple[Recommendation, Prediction]:
        """The recommendation with more workers, where it needs them: then the two are one."""
        assert self.what_if is not None
        both = with_workers(self.what_if, _all_of(one), alone)
        if both is None:
            return one, alone
        why = f"Alone it leaves the step waiting for batches: it takes {both[1]} workers."
        return replace(one, requires=(*one.requires, WORKERS), why=f"{one.why} {why}".strip()), both[0]

    def _known_to_rule(self, one: Recommendation) -> bool:
        """Whether the rule knows the gain better than a replay. It does not know that of buckets which are cut up."""
        assert self.what_if is not None
        smaller = one.id == "ddp-bucket-size" and one.rule == "exposed-collectives" and split(self.what_if.subject)
        return one.id in _RULE_KNOWS and not smaller

    def _told(self, one: Recommendation) -> str:
        """What the rule says of the fix, without what a replay knows better, and whether its kernels were timed."""
        assert self.what_if is not None
        operators = self.what_if.subject.facts.critical.operators
        last = operators is not None and in_channels_last(operators)
        return f"{_NOT_YET.sub('', one.why).strip()} {timed_note(one.id, operators, channels_last=last)}".strip()

    def _capped(self, one: Recommendation) -> Recommendation:
        """The recommendation against a stall with no more than what the step takes beyond its replay without stalls."""
        assert self.what_if is not None
        model, gain = self.what_if.model, one.gain
        most = (model.stalls_ns - model.epochs_ns) / NS_PER_MS
        if not 0 < most < gain.expected_ms:
            return one
        step = model.step_ns / NS_PER_MS
        low = min(gain.low_ms, (1 - STALL_DOUBT) * most)
        return replace(
            one,
            gain=replace(
                gain, expected_ms=most, low_ms=low, step_ms_after=step - most, speedup=step / max(step - most, 1e-9)
            ),
        )

    def _agreed(self, one: Recommendation, replayed: Recommendation) -> Recommendation:
        """The replayed recommendation, unless what was measured speaks against it.

        A rule on transfers takes its low bound from the time in which nothing but collectives ran. Where that is most
        of the step, a replay that stays below it has lost what the step waits for: nothing decides, and the interval
        spans both.
        """
        assert self.what_if is not None
        rule, other = one.gain, replayed.gain
        partition = self.what_if.subject.facts.critical.partition
        exposed = 0.0 if partition is None else partition.parts.get("communication", 0.0)
        bound = exposed > MOST_OF_STEP * self.what_if.model.step_ns
        # A replay that explains the step by an early host, or as well by one, spans both already.
        model = self.what_if.model
        early = model.rival is not None or model.distortion.device != 1
        decided = not bound or rule.low_ms <= other.high_ms or early
        if one.id not in TRANSFER_FIXES or decided:
            return replayed
        why = f"{one.why} A replay of the traced steps saves less, {format_ms(other.expected_ms)}.".strip()
        return replace(one, gain=replace(rule, low_ms=min(rule.low_ms, other.low_ms), basis="bound"), why=why)


def replays_of(timeline: Timeline, facts: Facts) -> Replays:
    """Build the model of a run, if it can be replayed.

    Never raises: a diagnosis stands without its replay.
    """
    try:
        model = model_of(timeline, facts)
    except Exception as error:  # whatever a stranger's recording holds, the diagnosis goes on
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return Replays(note=f"gains are bounds, not replayed: the replay failed ({what})", doubtful=True)
    if isinstance(model, str):
        return Replays(note=f"gains are bounds, not replayed: {model}")
    if not model.faithful:
        return Replays(
            fidelity=fidelity_of(model),
            doubtful=True,
            note=f"gains are bounds, not replayed: the replay misses the step by {format_percent(model.error)} "
            f"(more than {format_percent(FAITHFUL)})",
        )
    return Replays(what_if=WhatIf.of(model, facts), fidelity=fidelity_of(model))


def fidelity_of(model: Model) -> dict[str, float | None]:
    """How far its replay is from the steps, shares without sign; as Capture names them."""
    against = model.distortion.error
    return {
        "replay_error": model.error,
        "identity_error": abs(model.identity_error),
        "unprofiled_error": None if against is None else abs(against),
    }


def alternatives(fix: str) -> set[str]:
    """The fixes that exclude `fix`, itself included."""
    return next((some for some in _ALTERNATIVES if fix in some), {fix})


def excluding(fixes: Sequence[str]) -> tuple[str, str] | None:
    """The first two of these fixes of which only one can be done; None when all go together."""
    pairs = ((one, other) for place, one in enumerate(fixes) for other in fixes[place + 1 :])
    return next(((one, other) for one, other in pairs if one != other and other in alternatives(one)), None)


def _all_of(one: Recommendation) -> list[str]:
    """The fix with those that it needs, as far as they can be replayed."""
    return [*(fix for fix in one.requires if fix in transforms_by_fix()), one.id]


def _longer(found: Prediction, step_ns: float) -> str:
    """That the step may get longer; empty where no replay says so: below nothing, doubt alone does not reach."""
    share = found.longer_ns / step_ns
    return f"At worst it makes the step longer, by {format_percent(share)}." if share > NOTHING_SHARE else ""


def _gain(gain: Gain, found: Prediction, step_ns: float, chance_ns: float) -> Gain:
    least = -found.longer_ns if _longer(found, step_ns) else 0.0
    return replace(
        gain,
        expected_ms=(step_ns - found.step_ns) / NS_PER_MS,
        low_ms=max(step_ns - found.most_ns - chance_ns, least) / NS_PER_MS,
        high_ms=min(step_ns, step_ns - found.least_ns + chance_ns) / NS_PER_MS,
        step_ms_after=found.step_ns / NS_PER_MS,
        speedup=step_ns / found.step_ns if found.step_ns > 0 else None,
        basis="replay",
    )
