"""What does one recommended fix save, when the step is replayed with it? A gain that replaces the rule's bound.

A fix that does not shorten the replayed step says so, and what the step waits for instead.
"""

from __future__ import annotations

import re
from dataclasses import replace

from llmprof.analyzers.diagnosis import Gain, Recommendation
from llmprof.analyzers.facts.faster.channels_last import in_channels_last
from llmprof.analyzers.facts.faster.timed_kernels import timed_note
from llmprof.analyzers.replay.fed import WORKERS, with_workers
from llmprof.analyzers.replay.transforms.buckets import split
from llmprof.analyzers.replay.transforms.registry import chance_ns, transforms_by_fix
from llmprof.analyzers.replay.transforms.transfers import FIXES as TRANSFER_FIXES
from llmprof.analyzers.replay.unprofiled.beside import STALL_DOUBT
from llmprof.analyzers.replay.what_if import Prediction, WhatIf
from llmprof.units import NS_PER_MS, format_ms, format_percent

__all__ = ["NOTHING_SHARE", "all_of", "improved", "waited_for"]

NOTHING_SHARE = 0.005
"""A step that gets shorter or longer by less than this has not changed."""
MOST_OF_STEP = 0.5
_RULE_KNOWS = {"larger-batch", "ddp-bucket-size", "pin-memory", "more-microbatches", "balance-stages"}
"""One changes what a step is; for the second the rule fills buckets anew, gradient by gradient, which is more exact; of
the third it knows the copy's rate and the thread that pins, and the replay only the wait in the call; for the last two
the rules play the schedule of all stages, and the graph only follows what that comes to."""
_OF_STALLS = {"gc-policy", "async-checkpoint", "evaluate-less-often"}
"""What these shorten lies beside the traced steps, and the replay knows how long a step without it is."""
NOISE_ERRORS = 2.0
"""Standard errors within which a mean lies (95 %)."""
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


def improved(what_if: WhatIf, one: Recommendation) -> Recommendation:
    """The recommendation with the gain that a replay tells, where it tells one."""
    if one.id in _OF_STALLS:
        one = _capped(what_if, one)
    if one.id not in transforms_by_fix() or _known_to_rule(what_if, one) or one.gain.expected_ms < 0:
        return one
    found = what_if.predict(all_of(one))
    if one.id in found.left_out:
        return one
    one, found = _fed(what_if, one, found)
    step = what_if.model.step_ns
    told = f"{_told(what_if, one)} {_longer(found, step)}".strip()
    if step - found.step_ns > NOTHING_SHARE * step:
        gain = _gain(one.gain, found, step, NOISE_ERRORS * chance_ns(one.id, what_if.subject))
        return _agreed(what_if, one, replace(one, gain=gain, why=told))
    why = f"{told} No gain: replayed with it, {waited_for(what_if, found)}.".strip()
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
    return _agreed(what_if, one, replace(one, gain=nothing, why=one.why if untold else why))


def _fed(what_if: WhatIf, one: Recommendation, alone: Prediction) -> tuple[Recommendation, Prediction]:
    """The recommendation with more workers, where it needs them: then the two are one."""
    both = with_workers(what_if, all_of(one), alone)
    if both is None:
        return one, alone
    why = f"Alone it leaves the step waiting for batches: it takes {both[1]} workers."
    checked = one.verify.replace(f"--fix {one.id}", f"--fix {WORKERS}={both[1]} --fix {one.id}")
    needs = (*one.requires, WORKERS)
    return replace(one, requires=needs, why=f"{one.why} {why}".strip(), verify=checked), both[0]


def _known_to_rule(what_if: WhatIf, one: Recommendation) -> bool:
    """Whether the rule knows the gain better than a replay. It does not know that of buckets which are cut up."""
    smaller = one.id == "ddp-bucket-size" and one.rule == "exposed-collectives" and split(what_if.subject)
    return one.id in _RULE_KNOWS and not smaller


def _told(what_if: WhatIf, one: Recommendation) -> str:
    """What the rule says of the fix, without what a replay knows better, and whether its kernels were timed."""
    operators = what_if.subject.facts.critical.operators
    last = operators is not None and in_channels_last(operators)
    return f"{_NOT_YET.sub('', one.why).strip()} {timed_note(one.id, operators, channels_last=last)}".strip()


def _capped(what_if: WhatIf, one: Recommendation) -> Recommendation:
    """The recommendation against a stall with no more than what the step takes beyond its replay without stalls."""
    model, gain = what_if.model, one.gain
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


def _agreed(what_if: WhatIf, one: Recommendation, replayed: Recommendation) -> Recommendation:
    """The replayed recommendation, unless what was measured speaks against it.

    A rule on transfers takes its low bound from the time in which nothing but collectives ran. Where that is most
    of the step, a replay that stays below it has lost what the step waits for: nothing decides, and the interval
    spans both.
    """
    rule, other = one.gain, replayed.gain
    partition = what_if.subject.facts.critical.partition
    exposed = 0.0 if partition is None else partition.parts.get("communication", 0.0)
    bound = exposed > MOST_OF_STEP * what_if.model.step_ns
    # A replay that explains the step by an early host, or as well by one, spans both already.
    model = what_if.model
    early = model.rival is not None or model.distortion.device != 1
    decided = not bound or rule.low_ms <= other.high_ms or early
    if one.id not in TRANSFER_FIXES or decided:
        return replayed
    why = f"{one.why} A replay of the traced steps saves less, {format_ms(other.expected_ms)}.".strip()
    return replace(one, gain=replace(rule, low_ms=min(rule.low_ms, other.low_ms), basis="bound"), why=why)


def waited_for(what_if: WhatIf, found: Prediction) -> str:
    """Why a prediction is no shorter: what its step waits for, as the end of a sentence."""
    waits = what_if.path(what_if.outcome(found.fixes))
    return f"the step still waits for {_WAITS_FOR[max(waits, key=lambda name: waits[name])]}"


def all_of(one: Recommendation) -> list[str]:
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
