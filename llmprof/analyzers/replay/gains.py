"""What do the recommended fixes save, each and together, when the step is replayed with them?

A gain is replayed only where the replay of the untouched step is within 5 % of the measured one, and where a transform
stands for the fix; all others keep the rule's bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from llmprof.analyzers.diagnosis import Combined, Recommendation, Sharing
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.replay.exclusive import alternatives
from llmprof.analyzers.replay.graph.replay import FAITHFUL
from llmprof.analyzers.replay.model import Model, model_of, sharing_of
from llmprof.analyzers.replay.recommended import NOTHING_SHARE, all_of, improved
from llmprof.analyzers.replay.transforms.loader import CHEAPER
from llmprof.analyzers.replay.transforms.registry import transforms_by_fix
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.timeline.timeline import Timeline
from llmprof.units import NS_PER_MS, format_percent

__all__ = ["Replays", "fidelity_of", "replays_of"]


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
        return [one if self.what_if is None else improved(self.what_if, one) for one in recommendations]

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
        found = self.what_if.predict([fix for one in chosen for fix in all_of(one)])
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
        for one in sorted(recommendations, key=lambda one: (one.id in CHEAPER, -one.gain.expected_ms)):
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
                if one.id in CHEAPER and after > (1 - NOTHING_SHARE) * step_ns:
                    continue
                step_ns = after
            chosen.append(one)
        return chosen, harmful

    def _after(self, some: Sequence[Recommendation]) -> float:
        assert self.what_if is not None
        return self.what_if.outcome([fix for one in some for fix in all_of(one)]).step_ns


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
