"""How long would a step of the recorded pipeline be with other micro-batches, or with equal stages?

The passes of every stage are measured (`stage_work`) and the schedule is played with them (`pipeline_schedule`): first
as it was recorded, which tells how far the model is from the measured step, then with more micro-batches. A micro-batch
of half the size does not take half the time: its weights are cast and its gradients added up whole, there are as many
kernels with the gaps between them, the last wave of each is as empty, and the host launches them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.pipeline.pipeline_schedule import StagePasses, schedule_of, step_ns
from llmprof.analyzers.facts.pipeline.stage_costs import StageCost, mean_stage, scaled, stage_cost

__all__ = [
    "FAITHFUL",
    "HIGH",
    "LOW",
    "Doubt",
    "PipelineModel",
    "fitted",
    "most_microbatches",
    "pipeline_model",
]

FAITHFUL = 0.05
"""A model that misses the measured step by more than this promises nothing, as a replay of the graph."""
ROW_COST_NS = 2_000
"""What the profiler costs the host for each row, before a fit: 1.8 to 2.2 us on llmprof's sample recordings of steps
that wait for their host, 1.2 to 2.8 us on other machines' hosts. A launch is recorded on host and device, and costs
four times that."""
MOST_MICROBATCHES = 64
"""Micro-batches that are recommended at most."""
MOST_PASSES = 1024
"""Stages times micro-batches that are played: some 0.1 s each time."""
WORTH = 0.03
"""Of the step: a doubling that saves less is not worth a change (XProf's lower mark for collectives)."""
MOST_ROW_COST = 2.0
"""The profiler's cost for a row is looked for up to so many times the usual one."""
ROW_FITS = 0.01
"""A step that is played within this needs no other cost; no single mean is measured better."""
MOST_SLOWER = 1.25
"""A device that the recording's late host lets idle is quicker than one that never rests: memory has written what the
kernel before left behind, and clocks stay higher. The replay believes as much."""
_HALVINGS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """How the uncertain parts are taken: so many times what stays of each kernel, what a row costs, the host's time."""

    least: float = 1.0
    row: float = 1.0
    host: float = 1.0


LOW = Doubt(least=2.0, row=0.6)
HIGH = Doubt(least=0.0, row=1.4)
"""Twice what is assumed to stay of each kernel, or nothing; of the profiler's cost for a row see ROW_COST_NS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineModel:
    """The recorded pipeline."""

    stages: tuple[StageCost, ...]
    """One a rank, in the order of the stages."""
    schedule: str
    microbatches: int
    measured_ns: float
    """The step that is explained."""
    row_ns: float
    """What the profiler costs the host for a row."""
    host_early: bool = False
    """Whether every host was ahead of its device in the unprofiled steps, so that none of them sets the pace."""
    unexplained: float = 0.0
    """Share of the step that only slower kernels explain, which nobody saw."""

    @property
    def off(self) -> float:
        """How far the model may be wrong: its error, and what is explained by an assumption."""
        return abs(self.error) + self.unexplained

    @property
    def error(self) -> float:
        """How far the played step is from the measured one, a share of it."""
        return self.step_ns(self.microbatches) / self.measured_ns - 1 if self.measured_ns > 0 else float("inf")

    @property
    def faithful(self) -> bool:
        """Whether gains can be taken from it."""
        return self.off <= FAITHFUL

    def step_ns(self, microbatches: int, doubt: Doubt | None = None) -> float:
        """The step with as much data in so many micro-batches."""
        some = doubt or Doubt()
        passes = [self._passes(stage, microbatches, some) for stage in self.stages]
        message = self.microbatches / microbatches * min(stage.message_ns for stage in self.stages)
        return step_ns(passes, microbatches, schedule=self.schedule, message_ns=message)

    def saved_share(self, microbatches: int, doubt: Doubt | None = None) -> float:
        """What so many micro-batches save, a share of the step; negative when the step gets longer."""
        return 1 - self.step_ns(microbatches, doubt) / self.step_ns(self.microbatches, doubt)

    def best(self, most: int) -> int:
        """The micro-batches doubled, up to `most`, as long as each doubling is worth it."""
        best, shortest = self.microbatches, self.step_ns(self.microbatches)
        while 2 * best <= most and (after := self.step_ns(2 * best)) < (1 - WORTH) * shortest:
            best, shortest = 2 * best, after
        return best

    def host_bound(self, microbatches: int) -> bool:
        """Whether the host sets the pace of so many micro-batches, even where a row costs the profiler most."""
        quick, none = Doubt(row=HIGH.row), Doubt(host=0.0)
        return self.step_ns(microbatches, quick) > (1 + ROW_FITS) * self.step_ns(microbatches, none)

    def fixed_ns(self) -> float:
        """What every further micro-batch costs the stage that pays most for it, ns on the device."""
        return max(
            sum(
                one.gap_ns + min(one.busy_ns, one.least_ns + one.casts_ns + one.added_ns)
                for one in (stage.forward, stage.backward)
            )
            for stage in self.stages
        )

    def moved_share(self, factors: Sequence[float]) -> float:
        """What is saved when the passes of each stage are so many times as long, a share of the step.

        The host's time moves with them, as much for a ms of work as it has on all stages together.
        """
        work = [stage.work_ns for stage in self.stages]
        further = [(factor - 1) * own / sum(work) for factor, own in zip(factors, work, strict=True)]
        host, rows = sum(s.host_ns for s in self.stages), sum(s.host_rows for s in self.stages)
        stages = tuple(
            replace(
                stage,
                forward=scaled(stage.forward, factor),
                backward=scaled(stage.backward, factor),
                once_ns=factor * stage.once_ns,
                host_ns=max(0.0, stage.host_ns + part * host),
                host_rows=max(0.0, stage.host_rows + part * rows),
            )
            for stage, factor, part in zip(self.stages, factors, further, strict=True)
        )
        return 1 - replace(self, stages=stages).step_ns(self.microbatches) / self.step_ns(self.microbatches)

    def _passes(self, stage: StageCost, microbatches: int, doubt: Doubt) -> StagePasses:
        kernels = stage.forward.kernels + stage.backward.kernels
        each = doubt.host * stage.host_untraced_ns(doubt.row * self.row_ns) / self.microbatches
        share = stage.forward.kernels / kernels if kernels > 0 else 0.0
        return StagePasses(
            forward_ns=stage.forward.ns(self.microbatches, microbatches, doubt.least),
            backward_ns=stage.backward.ns(self.microbatches, microbatches, doubt.least),
            once_ns=stage.once_ns,
            host_forward_ns=share * each,
            host_backward_ns=(1 - share) * each,
            host_once_ns=doubt.host * stage.host_once_ns,
        )


def pipeline_model(facts: Facts) -> PipelineModel | str:
    """The model of a recorded pipeline, or why there is none, as the end of a sentence."""
    settings = facts.critical.environment.pipeline
    if settings is None or not settings.microbatches or not settings.stages:
        return "stages and micro-batches are not known"
    schedule = schedule_of(settings.schedule)
    if schedule is None:
        return f"the schedule {settings.schedule or 'of this pipeline'} is not played"
    if settings.stages * settings.microbatches > MOST_PASSES:
        return "the schedule is too long to be played"
    held: dict[int, list[RankFacts]] = {}
    for rank in facts.ranks.values():
        own = rank.environment.pipeline
        if own is not None and len(own.local_stages) == 1 and rank.stage is not None:
            held.setdefault(own.local_stages[0], []).append(rank)
    if set(held) != set(range(settings.stages)):
        return "not every stage was traced, or ranks have several"
    stages = tuple(
        mean_stage([stage_cost(rank, settings.microbatches) for rank in held[n]]) for n in range(settings.stages)
    )
    model = PipelineModel(
        stages=stages,
        schedule=schedule,
        microbatches=settings.microbatches,
        measured_ns=facts.step.mean_ns,
        row_ns=0.0 if facts.step.basis == "profiled" else ROW_COST_NS,
        host_early=all(rank.stage.host_early for rank in facts.ranks.values() if rank.stage is not None),
    )
    if not model.faithful:
        # Perhaps somebody waited in every exchange that was recorded, and none tells how long a message takes.
        instant = replace(model, stages=tuple(replace(stage, message_ns=0.0) for stage in stages))
        model = min(model, instant, key=lambda one: abs(one.error))
    return model if facts.step.basis == "profiled" else fitted(model)


def most_microbatches(facts: Facts) -> int:
    """How many micro-batches can be asked for: no more than samples."""
    sizes = [one.batch_size for one in facts.critical.environment.loaders[:1] if one.batch_size]
    return min([MOST_MICROBATCHES, *sizes])


def fitted(model: PipelineModel) -> PipelineModel:
    """The model with the profiler's cost that fits the measured step best; where the host does not matter, as it was.

    One figure, fitted on the total step alone: the longer a row took, the less time the host needs without it. A host
    that was seen ahead of its device makes no step longer.
    """
    if abs(model.error) <= ROW_FITS:
        return model
    if model.error < 0 and model.host_early:
        return _unrested(model)
    low, high = 0.0, MOST_ROW_COST * ROW_COST_NS
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if replace(model, row_ns=middle).error > 0 else (low, middle)
    found = replace(model, row_ns=(low + high) / 2)
    return found if abs(found.error) < abs(model.error) - ROW_FITS / 2 else model


def _unrested(model: PipelineModel) -> PipelineModel:
    """The model whose kernels take longer, by one factor, where the traced device had rested before them.

    A host that was ahead does not explain a step that is longer than its passes. As it was where slower kernels do not
    explain it either.
    """

    def at(factor: float) -> PipelineModel:
        return replace(
            model, stages=tuple(_slower(stage, 1 + (factor - 1) * stage.late_share) for stage in model.stages)
        )

    low, high = 1.0, MOST_SLOWER
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if at(middle).error > 0 else (middle, high)
    found = at((low + high) / 2)
    if abs(found.error) > ROW_FITS:
        return model
    return replace(found, unexplained=abs(model.error))


def _slower(stage: StageCost, factor: float) -> StageCost:
    """A stage whose kernels take so many times as long."""
    forward, backward = (replace(one, busy_ns=factor * one.busy_ns) for one in (stage.forward, stage.backward))
    return replace(stage, forward=forward, backward=backward, slower=factor)
