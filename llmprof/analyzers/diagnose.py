"""From a timeline to a diagnosis: facts, then rules, then the verdict and the ranked fixes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

from llmprof.analyzers import ranking
from llmprof.analyzers.costs import costs_of, partition_noise
from llmprof.analyzers.details import details_of
from llmprof.analyzers.details.joint import joint_of
from llmprof.analyzers.details.stragglers import with_stragglers
from llmprof.analyzers.diagnosis import Capture, Diagnosis, RankSummary, Recording, Source, StepSummary
from llmprof.analyzers.environment import environment_of
from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.operators.utilization import Utilization
from llmprof.analyzers.replay.gains import Replays, replays_of
from llmprof.analyzers.rules import registry
from llmprof.analyzers.rules.base import Judgement
from llmprof.analyzers.sentences import abstention, prospects, scoped
from llmprof.analyzers.unmeasured import unmeasured, with_memory
from llmprof.analyzers.verdict import judge
from llmprof.errors import NotEnoughDataError
from llmprof.timeline.timeline import Timeline
from llmprof.units import NS_PER_MS, ms

__all__ = ["MOST_SUMMARIES", "diagnose", "diagnosis_of", "without_facts"]

SLOW_RULE_S = 2.0
"""A rule reads a few hundred figures; one that takes longer than all facts of a large run is worth a warning."""
MOST_SUMMARIES = 1024
"""Ranks whose parts are written to the document (about 350 bytes each)."""


def diagnose(timeline: Timeline, *, step_ms: float | None = None) -> Diagnosis:
    """Diagnose a recorded run.

    step_ms    mean unprofiled step in ms, for a recording that does not know it

    Never raises for want of data: the diagnosis then abstains, with the reason.
    """
    source = Source(
        kind=timeline.kind,
        paths=timeline.paths,
        ranks=tuple(rank.rank for rank in timeline.ranks),
        world_size=timeline.world_size,
    )
    try:
        facts = measure(timeline, step_ms=step_ms)
    except NotEnoughDataError as error:
        warnings = [*timeline.warnings, *(w for rank in timeline.ranks for w in rank.quality.warnings)]
        nothing, known = without_facts(source, warnings, error), unmeasured(timeline)
        if known is None:
            return nothing
        step = replace(_step(known), mean_ms=None)
        return with_memory(replace(nothing, step=step, environment=environment_of(known)), known)
    return diagnosis_of(facts, source, timeline)


def diagnosis_of(facts: Facts, source: Source, timeline: Timeline | None = None) -> Diagnosis:
    """The diagnosis of a run that was measured.

    timeline    what was recorded, at least of the critical rank: gains are replayed with it; bounds without
    """
    judgements, slow = _judgements(facts)
    replays = Replays() if timeline is None else replays_of(timeline, facts)
    recommended = [fix for one in judgements for fix in one.recommendations]
    fixes, combined = ranking.rank(replays.improved(recommended), facts)
    fixes, combined = replays.joined(fixes, combined)
    partition = facts.critical.partition
    return Diagnosis(
        source=source,
        environment=environment_of(facts),
        capture=replace(
            _capture(facts, (*slow, *replays.warnings(fixes))),
            replay_error=replays.error,
            identity_error=replays.fidelity.get("identity_error"),
            unprofiled_error=replays.fidelity.get("unprofiled_error"),
            sharing=replays.sharing,
        ),
        step=_step(facts),
        partition=_in_ms(partition.parts) if partition is not None else {},
        partition_rank=facts.critical.rank if partition is not None else None,
        compute_classes=_in_ms(partition.compute_classes) if partition is not None else {},
        stall_classes=_in_ms(partition.stall_classes) if partition is not None else {},
        ranks=_rank_summaries(facts),
        verdict=prospects(scoped(judge(facts), facts), fixes, facts),
        findings=tuple(one.finding for one in judgements),
        recommendations=fixes,
        combined=combined,
        history_ms=tuple(value / NS_PER_MS for value in facts.step.history_ns),
        partition_noise_ms=partition_noise(facts),
        costs=costs_of(facts),
        joint=joint_of(replays, fixes, combined),
        details=with_stragglers(details_of(facts, timeline), facts, replays),
    )


def _judgements(facts: Facts) -> tuple[tuple[Judgement, ...], tuple[str, ...]]:
    """What every rule says, and a warning for each that took too long to say it: rules may come from other packages."""
    judged: list[Judgement] = []
    slow: list[str] = []
    for one in registry.registered():
        begin = time.perf_counter()
        judged += registry.evaluate_all(facts, [one])
        took = time.perf_counter() - begin
        if took > SLOW_RULE_S:
            slow.append(f"the rule {one.rule.id} took {took:.1f} s to judge; it comes from {one.module}.")
    return tuple(judged), tuple(slow)


def without_facts(source: Source, warnings: Iterable[str], error: NotEnoughDataError) -> Diagnosis:
    """The abstention on a run of which nothing could be measured, with the reason."""
    return Diagnosis(
        source=source,
        capture=Capture(warnings=tuple(dict.fromkeys(warnings))),
        step=StepSummary(),
        partition={},
        verdict=abstention(str(error).rstrip(".")),
    )


def _in_ms(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value / NS_PER_MS for name, value in values.items()}


def _capture(facts: Facts, noted: tuple[str, ...] = ()) -> Capture:
    step = facts.step
    overheads = [rank.overhead_ns for rank in facts.ranks.values() if rank.overhead_ns is not None]
    return Capture(
        steps_measured=step.steps_measured,
        steps_excluded=step.steps_excluded,
        steps_traced=step.steps_traced,
        basis=step.basis,
        traced_step_ms=ms(step.traced_mean_ns),
        overhead_pct=100 * max(overheads) / step.mean_ns if overheads and step.mean_ns > 0 else None,
        unlinked_kernel_share=facts.unlinked_kernel_share,
        recording=_recording(facts),
        warnings=(*facts.warnings, *_summaries_left_out(facts), *noted),
    )


def _summaries_left_out(facts: Facts) -> tuple[str, ...]:
    count = len(facts.ranks)
    if count <= MOST_SUMMARIES:
        return ()
    return (f"of {count} ranks the parts of the {MOST_SUMMARIES} with most work of their own are written down.",)


def _recording(facts: Facts) -> Recording | None:
    """The worst of each figure over the ranks that were traced."""
    records = [rank.recording for rank in facts.ranks.values() if rank.traced is not None]
    if not records:
        return None
    qualities = [record.quality for record in records]
    quanta = [quality.clock_quantum_ns for quality in qualities if quality.clock_quantum_ns is not None]
    steps = [quality.marked_steps for quality in qualities if quality.marked_steps is not None]
    told = [q.collective_arguments_share for q in qualities if q.collective_arguments_share is not None]
    flows = [quality.has_flows for quality in qualities if quality.has_flows is not None]
    return Recording(
        lost_events=sum(quality.dropped_events for quality in qualities),
        lost_share=max(record.lost_share for record in records),
        repaired_events=sum(quality.repaired_events for quality in qualities),
        cut=any(quality.truncated for quality in qualities),
        cut_in_events=any(record.cut for record in records),
        clock_quantum_ns=max(quanta, default=None),
        clock_error_share=max(record.clock_error_share for record in records),
        overlapping_rows=sum(quality.overlapping_rows for quality in qualities),
        marked_steps=min(steps, default=None),
        has_operators=all(quality.has_operators for quality in qualities),
        has_shapes=all(quality.has_shapes for quality in qualities),
        has_flows=all(flows) if flows else None,
        collective_arguments_share=min(told, default=None),
    )


def _step(facts: Facts) -> StepSummary:
    memories = [rank.memory for rank in facts.ranks.values() if rank.memory is not None]
    peaks = [memory.peak_allocated_bytes for memory in memories if memory.peak_allocated_bytes is not None]
    sizes = [memory.capacity_bytes for memory in memories if memory.capacity_bytes is not None]
    used = facts.critical.utilization or Utilization()
    return StepSummary(
        mean_ms=ms(facts.step.mean_ns),
        median_ms=ms(facts.step.median_ns),
        p95_ms=ms(facts.step.p95_ns),
        tokens_per_s=facts.step.tokens_per_s,
        mfu=used.mfu,
        hfu=used.hfu,
        utilization_basis=used.basis,
        peak_memory_bytes=max(peaks) if peaks else None,
        memory_capacity_bytes=min(sizes) if sizes else None,
    )


def _rank_summaries(facts: Facts) -> tuple[RankSummary, ...]:
    """One rank beside the others; of more than MOST_SUMMARIES those with most work of their own, and the critical."""

    def own_work(rank: RankFacts) -> float:
        return rank.step.mean_ns - (rank.partition.parts["skew"] if rank.partition is not None else 0.0)

    told = sorted(facts.ranks.values(), key=own_work, reverse=True)[:MOST_SUMMARIES]
    numbers = {facts.critical.rank, *(rank.rank for rank in told)}
    return tuple(_rank_summary(rank) for number, rank in sorted(facts.ranks.items()) if number in numbers)


def _rank_summary(rank: RankFacts) -> RankSummary:
    return RankSummary(
        rank=rank.rank,
        step_ms=ms(rank.step.mean_ns),
        partition=_in_ms(rank.partition.parts) if rank.partition is not None else {},
        waits_for=rank.collectives.waits_for if rank.collectives is not None else None,
    )
