"""From a timeline to a diagnosis: facts, then rules, then the verdict and the ranked fixes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmprof.analyzers import ranking
from llmprof.analyzers.diagnosis import Capture, Diagnosis, RankSummary, Source, StepSummary, Verdict
from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.rules import registry
from llmprof.analyzers.sentences import abstention
from llmprof.analyzers.verdict import judge
from llmprof.errors import NotEnoughDataError
from llmprof.timeline.timeline import Timeline
from llmprof.units import NS_PER_MS, ms

__all__ = ["diagnose"]


def diagnose(timeline: Timeline, *, step_ms: float | None = None) -> Diagnosis:
    """Diagnose a recorded run.

    step_ms    mean unprofiled step in ms, for a recording that does not know it

    Never raises for want of data: the diagnosis then abstains, with the reason.
    """
    try:
        facts = measure(timeline, step_ms=step_ms)
    except NotEnoughDataError as error:
        return _without_facts(timeline, abstention(str(error).rstrip(".")))
    judgements = registry.evaluate_all(facts)
    fixes, combined = ranking.rank([fix for one in judgements for fix in one.recommendations], facts)
    partition = facts.critical.partition
    return Diagnosis(
        source=_source(timeline),
        environment=_environment(facts, timeline),
        capture=_capture(facts),
        step=_step(facts),
        partition=_in_ms(partition.parts) if partition is not None else {},
        partition_rank=facts.critical.rank if partition is not None else None,
        compute_classes=_in_ms(partition.compute_classes) if partition is not None else {},
        stall_classes=_in_ms(partition.stall_classes) if partition is not None else {},
        ranks=tuple(_rank_summary(rank) for _, rank in sorted(facts.ranks.items())),
        verdict=judge(facts),
        findings=tuple(one.finding for one in judgements),
        recommendations=fixes,
        combined=combined,
        history_ms=tuple(value / NS_PER_MS for value in facts.step.history_ns),
    )


def _without_facts(timeline: Timeline, verdict: Verdict) -> Diagnosis:
    warnings = [*timeline.warnings, *(w for rank in timeline.ranks for w in rank.quality.warnings)]
    return Diagnosis(
        source=_source(timeline),
        capture=Capture(warnings=tuple(dict.fromkeys(warnings))),
        step=StepSummary(),
        partition={},
        verdict=verdict,
    )


def _in_ms(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value / NS_PER_MS for name, value in values.items()}


def _source(timeline: Timeline) -> Source:
    return Source(
        kind=timeline.kind,
        paths=timeline.paths,
        ranks=tuple(rank.rank for rank in timeline.ranks),
        world_size=timeline.world_size,
    )


def _capture(facts: Facts) -> Capture:
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
        warnings=facts.warnings,
    )


def _step(facts: Facts) -> StepSummary:
    memories = [rank.memory for rank in facts.ranks.values() if rank.memory is not None]
    peaks = [memory.peak_allocated_bytes for memory in memories if memory.peak_allocated_bytes is not None]
    sizes = [memory.capacity_bytes for memory in memories if memory.capacity_bytes is not None]
    return StepSummary(
        mean_ms=ms(facts.step.mean_ns),
        median_ms=ms(facts.step.median_ns),
        p95_ms=ms(facts.step.p95_ns),
        tokens_per_s=facts.step.tokens_per_s,
        peak_memory_bytes=max(peaks) if peaks else None,
        memory_capacity_bytes=min(sizes) if sizes else None,
    )


def _rank_summary(rank: RankFacts) -> RankSummary:
    return RankSummary(
        rank=rank.rank,
        step_ms=ms(rank.step.mean_ns),
        partition=_in_ms(rank.partition.parts) if rank.partition is not None else {},
        waits_for=rank.collectives.waits_for if rank.collectives is not None else None,
    )


def _environment(facts: Facts, timeline: Timeline) -> Mapping[str, Any]:
    """What a reader of the report needs to know of the run; None where it is not known."""
    known = facts.critical.environment
    degrees = known.parallelism
    loader = known.loaders[0] if known.loaders else None
    optimizer = known.optimizers[0] if known.optimizers else None
    return {
        "gpu": known.device.name,
        "gpus_per_node": known.gpus_per_node,
        "world_size": timeline.world_size,
        "torch": known.torch_version,
        "cuda": known.cuda_version,
        "nccl": known.nccl_version,
        "python": known.python_version,
        "parallelism": {"dp": degrees.dp, "tp": degrees.tp, "pp": degrees.pp, "fsdp": degrees.fsdp},
        "cpu_count": known.cpu_count,
        "loader": None if loader is None else {"num_workers": loader.num_workers, "pin_memory": loader.pin_memory,
                                               "batch_size": loader.batch_size},
        "optimizer": None if optimizer is None else {"name": optimizer.name, "fused": optimizer.fused,
                                                     "foreach": optimizer.foreach},
        "command": list(known.command) or None,
    }  # fmt: skip
