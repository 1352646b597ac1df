"""How busy are the stages of a pipeline, and how long do they wait for each other? The bubble against its formula.

With p stages and m micro-batches a stage works m of m + p - 1 turns (GPipe, Huang et al. 2019; the same for one
forward, one backward); with v chunks on each rank v m of v m + p - 1 (Megatron-LM, Narayanan et al. 2021).
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from llmprof.analyzers.facts.measured import RankFacts
from llmprof.timeline.settings import PipelineSettings

__all__ = ["bubble_of", "busy_by_stage", "uneven_stages_ns", "waiting_for_stages"]


def bubble_of(settings: PipelineSettings, microbatches: int) -> float:
    """The share of the step in which a stage has nothing to do, by the formula of its schedule."""
    chunks = max(1, len(settings.local_stages))
    ranks = max(1, (settings.stages or 1) // chunks)
    return (ranks - 1) / (chunks * microbatches + ranks - 1)


def waiting_for_stages(ranks: Mapping[int, RankFacts]) -> float:
    """Time per step in ns in which the device does nothing but send and receive, mean over the ranks."""
    found = []
    for rank in ranks.values():
        collectives, partition = rank.collectives, rank.partition
        if collectives is None or partition is None or collectives.exposed_ns <= 0:
            continue
        moved = sum(group.exposed_ns for group in collectives.groups if group.op == "send_recv")
        waiting = partition.parts.get("communication", 0.0) + partition.parts.get("skew", 0.0)
        found.append(waiting * min(1.0, moved / collectives.exposed_ns))
    return statistics.fmean(found) if found else 0.0


def busy_by_stage(ranks: Mapping[int, RankFacts]) -> Mapping[tuple[int, ...], float]:
    """Kernel time per step in ns by the stages that a rank has, mean over the ranks that have the same."""
    found: dict[tuple[int, ...], list[float]] = {}
    for rank in ranks.values():
        settings, partition = rank.environment.pipeline, rank.partition
        if settings is not None and settings.local_stages and partition is not None:
            found.setdefault(settings.local_stages, []).append(partition.parts.get("compute", 0.0))
    return {stages: statistics.fmean(values) for stages, values in found.items()}


def uneven_stages_ns(ranks: Mapping[int, RankFacts]) -> float:
    """What the busiest stage computes beyond the mean stage, ns per step; 0 with fewer than two."""
    busy = busy_by_stage(ranks).values()
    return max(busy) - statistics.fmean(busy) if len(busy) > 1 else 0.0
