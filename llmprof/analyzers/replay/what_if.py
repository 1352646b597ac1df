"""What would the step be with these fixes? Fixes applied together to the model of a run, and replayed as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.replay.drain import drained, held_by
from llmprof.analyzers.replay.graph.graph import Int64
from llmprof.analyzers.replay.model import Model
from llmprof.analyzers.replay.outcome import parts_after
from llmprof.analyzers.replay.path import critical_path
from llmprof.analyzers.replay.scenario import Outcome, Scenario, run
from llmprof.analyzers.replay.transforms.base import Level, Subject
from llmprof.analyzers.replay.transforms.captured import FIXES as GRAPH_FIXES
from llmprof.analyzers.replay.transforms.data_parallel import FIXES as DDP_FIXES
from llmprof.analyzers.replay.transforms.loader import FIXES as LOADER_FIXES
from llmprof.analyzers.replay.transforms.registry import transforms_by_fix
from llmprof.analyzers.replay.transforms.syncs import FIXES as SYNC_FIXES
from llmprof.analyzers.replay.unprofiled.beside import pauses_ns_of
from llmprof.analyzers.replay.unprofiled.distortion import WEIGHTS, Distortion

__all__ = ["Prediction", "WhatIf"]

MOST_NODES_VARIED = 120_000
"""In larger graphs the fitted distortion is not varied, which would double the number of replays."""
DOUBT_SHARE = 0.02
"""An interval reaches at least this share of the step to both sides: what good replays miss (public ones 1 to 6 %)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The step with some fixes; ns, for as many samples as now."""

    fixes: tuple[str, ...]
    left_out: Mapping[str, str]
    """Fixes that change nothing that can be replayed, with the reason."""
    step_ns: float
    least_ns: float
    most_ns: float
    longer_ns: float = 0.0
    """What the step gets longer at worst, in a replay and not by what replays miss."""


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """Answers what fixes would bring in one run."""

    model: Model
    subject: Subject

    @classmethod
    def of(cls, model: Model, facts: Facts) -> WhatIf:
        """Ask about this model."""
        return cls(model=model, subject=Subject(ranks=model.ranks, facts=facts, graph=model.traced))

    def applied(
        self, fixes: Sequence[str], level: Level = Level.EXPECTED, scenario: Scenario | None = None
    ) -> tuple[Scenario, dict[str, str]]:
        """The scenario with all of these fixes, and why some of them change nothing.

        Raises KeyError for a fix that no transform stands for.
        """
        reasons: dict[str, str] = {}
        begin = found = self.model.scenario if scenario is None else scenario
        for fix in _ordered(fixes):
            changed = transforms_by_fix()[fix](fix, found, self.subject, level)
            if isinstance(changed, str):
                reasons[fix] = changed
            else:
                found = changed
        return replace(found, graph=drained(self._held, begin.graph, found.graph)), reasons

    @cached_property
    def _held(self) -> tuple[Int64, Int64]:
        return held_by(self.subject)

    def outcome(self, fixes: Sequence[str], level: Level = Level.EXPECTED) -> Outcome:
        """The replay with these fixes."""
        return run(self.applied(fixes, level)[0])

    def predict(self, fixes: Sequence[str]) -> Prediction:
        """The step with these fixes together, with its interval.

        The interval spans the transforms' own doubt, and that about what the profiler cost: the host may pay more for
        a launch and less for an operator, or the other way round, with the same total.
        """
        scenario, reasons = self.applied(fixes)
        outcome = run(scenario)
        some = tuple(fix for fix in _ordered(fixes) if fix not in reasons)
        if not some:
            step = self.model.step_ns
            return Prediction(fixes=(), left_out=reasons, step_ns=step, least_ns=step, most_ns=step)
        ends = [self.outcome(fixes, level) for level in (Level.LOW, Level.HIGH)]
        expected, steps = self._expected(fixes, outcome)
        steps += [self.scaled(end) for end in ends]
        steps += self._steps(fixes, "variants")
        # Edges between streams that are inferred from the order of launches alone are worth less.
        doubt = DOUBT_SHARE * self.model.step_ns * (1 if self.model.traced.confirmed_waits else 2)
        return Prediction(
            fixes=some,
            left_out=reasons,
            step_ns=expected,
            least_ns=max(min(steps) - doubt - self._hidden_ns(outcome), 0.0),
            most_ns=max(steps) + doubt,
            longer_ns=max(max(steps) - self.model.step_ns, 0.0),
        )

    def _expected(self, fixes: Sequence[str], outcome: Outcome) -> tuple[float, list[float]]:
        """The step that is expected with these fixes, and with each explanation of the step that it is read off."""
        steps = [self.scaled(outcome), *self._steps(fixes, "usual")]
        # Nothing decides between the two explanations of the step, so that each counts one half.
        rival = self._steps(fixes, "rival")
        return sum([steps[-1], *rival]) / (1 + len(rival)), [*steps, *rival]

    def _hidden_ns(self, after: Outcome) -> float:
        """What of the pauses that are not explained may be gone as well, ns per step.

        A late host passes each of them on to the step. A host that a fix puts ahead of its device has work queued, and
        a pause that is shorter than that work hides behind it.
        """
        pauses = min(pauses_ns_of(self.subject.facts.critical), self.model.stalls_ns)
        if pauses <= 0:
            return 0.0
        return pauses if self._late and not self._host_first(after) else 0.0

    @cached_property
    def _late(self) -> bool:
        return self._host_first(self.model.outcome)

    def _host_first(self, outcome: Outcome) -> bool:
        """Whether the step waits for its host more than for anything else."""
        path = critical_path(outcome.replayed, self.subject)
        return path["host"] == max(path.values())

    def greedy(self, fixes: Sequence[str]) -> list[tuple[str, float]]:
        """(fix, step after it and all before it), the one that shortens the step most first."""
        chosen: list[str] = []
        rest = list(dict.fromkeys(fixes))
        result = []
        while rest:
            steps = {fix: self._expected(some, self.outcome(some))[0] for fix in rest if (some := [*chosen, fix])}
            best = min(rest, key=lambda fix: steps[fix])
            chosen.append(best)
            rest.remove(best)
            result.append((best, steps[best]))
        return result

    def parts(self, outcome: Outcome, step_ns: float | None = None) -> dict[str, float] | None:
        """Ns per step by part of the critical rank, summing to `step_ns`: what was predicted, else what is replayed."""
        number = self.subject.facts.critical.rank
        rank = next(rank for rank in self.model.ranks if rank.rank == number)
        found = parts_after(rank, outcome)
        return None if found is None else self._with_stalls(found, outcome, step_ns)

    def path(self, outcome: Outcome, step_ns: float | None = None) -> dict[str, float]:
        """Ns per step on the critical path by class, waiting for workers included, with the same sum."""
        found = critical_path(outcome.replayed, self.subject)
        found = {name: value / outcome.samples for name, value in found.items()}
        found["data"] += outcome.input_wait_ns
        return self._with_stalls({**found, "stalls": 0.0}, outcome, step_ns)

    def _with_stalls(self, parts: dict[str, float], outcome: Outcome, step_ns: float | None) -> dict[str, float]:
        """With what no traced step holds: starts of epochs are waiting for batches.

        What the replay misses the step by is shared by all that it holds.
        """
        model = self.model
        if step_ns is None:
            step_ns = self.scaled(outcome)
        stalls, epochs = model.stalls_ns - model.epochs_ns - self._spared(outcome), model.epochs_ns
        own = sum(parts.values())
        factor = max(step_ns - stalls - epochs, 0.0) / own if own > 0 else 0.0
        parts = {name: value * factor for name, value in parts.items()}
        return {**parts, "stalls": parts["stalls"] + stalls, "data": parts["data"] + epochs}

    def _steps(self, fixes: Sequence[str], which: str) -> list[float]:
        """The step with these fixes, were it the one that these other scenarios tell."""
        return [self.scaled(run(self.applied(fixes, scenario=one)[0]), before) for one, before in self._beside[which]]

    @cached_property
    def _beside(self) -> dict[str, list[tuple[Scenario, Outcome]]]:
        """What else the unprofiled step may be, and its replay: the variants, the usual step and the rival."""
        usual, rival = self.model.usual, self.model.rival
        some = {"variants": self.variants(), "usual": [usual] if usual else [], "rival": [rival] if rival else []}
        return {name: [(one, run(one)) for one in which] for name, which in some.items()}

    def variants(self) -> list[Scenario]:
        """The unprofiled step with other beliefs about what the profiler and sharing the device cost."""
        model, cost = self.model, self.model.distortion
        varied = (cost.cost_ns or cost.fitted) and len(model.traced) <= MOST_NODES_VARIED
        believed = [model.believing(other) for other in (self._beliefs() if varied else ())]
        return [*believed, *model.sharing_otherwise()]

    def _beliefs(self) -> list[Distortion]:
        model = self.model
        if model.distortion.range_ns is not None:
            return [replace(model.distortion, cost_ns=cost) for cost in model.distortion.range_ns]
        others = [weight for weight in WEIGHTS if weight != model.distortion.launch_weight]
        return [model.refit(weight) for weight in others]

    def scaled(self, after: Outcome, before: Outcome | None = None) -> float:
        """A replayed step, relative to the measured one; stalls between steps stay, without what fixes take away.

        before    the replay of the same scenario without fixes; None is the model's own
        """
        model, before = self.model, before or self.model.outcome
        own, stalls = model.step_ns - model.stalls_ns, model.stalls_ns - self._spared(after)
        return after.step_ns / before.step_ns * own + stalls if before.step_ns > 0 else after.step_ns

    def _spared(self, outcome: Outcome) -> float:
        """Of the stalls beside the graph, what fixes have taken away: no more than there is."""
        return min(outcome.spared_ns, max(self.model.stalls_ns - self.model.epochs_ns, 0.0))


_FIRST = (*SYNC_FIXES, *DDP_FIXES)


def _ordered(fixes: Sequence[str]) -> list[str]:
    """Each once, in an order in which every fix finds what the ones before it leave.

    First what decides whether the model can be one graph: syncs, and hooks that reduce gradients. A graph holds what
    all others leave. Last the loaders: how many workers are enough is told by the step that they are for. Whatever is
    named first, the answer is the same.
    """
    return sorted(set(fixes), key=lambda fix: (fix in LOADER_FIXES, fix in GRAPH_FIXES, fix not in _FIRST, fix))
