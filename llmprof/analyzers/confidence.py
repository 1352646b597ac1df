"""How sure is the verdict? What the shares, the steps, the evidence and the recording leave of it."""

from __future__ import annotations

import math

from llmprof.analyzers.bound import FULL_MARGIN, bound_of, margin, roofline_share
from llmprof.analyzers.counters import Witness
from llmprof.analyzers.diagnosis import Bound
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.partition.partition import Partition
from llmprof.analyzers.facts.steps.coverage import RecordingFacts

__all__ = ["confidence", "unknown_share"]

REMAINDER_SHARE = 0.05
WEAK, MEDIUM = 0.4, 0.69
DOUBT_WEIGHT = 5.0
"""Confidence lost for each share of rows that were lost, or of time that rounding may move: half of it at the tenth
from which on there is no verdict (see coverage.MAX_LOST). A lost row counts for more than its share, because what is
damaged is not a fair sample: long names and many arguments break, and those are kernels and collectives."""
MOSTLY = 0.5
"""Of the kernel time; where less of it has known shapes, names alone tell what limits kernels: weak evidence."""
AGREED = 1.0
"""Evidence of a trace and of the device's own counters together; a trace alone is worth less (see `confidence`)."""
DISAGREED = 0.8
"""Left of it where they do not fit: what was sampled and what was traced are then not the same step."""
CUT_FACTOR = 0.7
"""A file that was cut inside its events has lost whole threads, or steps of them; that its launches have their kernels
(coverage.MIN_COVERAGE) says nothing of threads that launch nothing, such as the loader's."""
NO_ARGUMENTS_FACTOR = 0.9
"""Most collectives do not say what they were asked to do, so they are told from other kernels by name alone."""


def confidence(facts: Facts, bound: Bound, counters: Witness | None) -> float:
    """clamp(margin / 0.15) x known share x stability x evidence, capped for what the trace leaves open, x recording."""
    rank = facts.critical
    partition = rank.partition
    assert partition is not None
    clear = min(1.0, max(margin(partition, bound), 0.02) / FULL_MARGIN)
    evidence = 0.7 if partition.cpu_only else 0.95 if facts.step.basis == "unprofiled" else 0.85
    if counters is not None:
        evidence = AGREED if counters.agrees else DISAGREED * evidence
    elif bound == "memory" and roofline_share(rank.operators) < MOSTLY:
        evidence = min(evidence, 0.6)
    value = clear * (1 - unknown_share(partition)) * _stability(rank, bound) * evidence
    if rank.remainder_ns is not None and abs(rank.remainder_ns) > REMAINDER_SHARE * partition.step_ns:
        value = min(value, WEAK)
    if facts.step.basis == "profiled" or _verdict_moved(rank, bound):
        value = min(value, MEDIUM)
    return round(max(0.05, value * _recorded(facts, bound)), 2)


def unknown_share(partition: Partition) -> float:
    """The share of the step that nothing explains: idle time without a launch, and time that was not traced."""
    if partition.step_ns <= 0:
        return 1.0
    return (partition.detail.get("unlinked", 0.0) + partition.detail.get("untraced", 0.0)) / partition.step_ns


def _recorded(facts: Facts, bound: Bound) -> float:
    """What the quality of the recording leaves of the confidence.

    Two defects count elsewhere, where they do harm and not in proportion to the file: kernels without a launch in
    the share of the step that is unknown, missing step marks in the stability. Missing shapes and flows, overlapping
    rows and mended text cost nothing: no time that the verdict rests on depends on them.
    """
    records = [facts.critical.recording]
    if bound in ("communication", "imbalance"):
        records = [rank.recording for rank in facts.ranks.values()]  # the verdict compares them

    def left(record: RecordingFacts) -> float:
        value = max(0.0, 1 - DOUBT_WEIGHT * (record.lost_share + record.clock_error_share))
        told = record.quality.collective_arguments_share
        untold = bound == "communication" and told is not None and told < 0.5
        return value * (CUT_FACTOR if record.cut else 1.0) * (NO_ARGUMENTS_FACTOR if untold else 1.0)

    return min(map(left, records))


def _stability(rank: RankFacts, bound: Bound) -> float:
    """1 minus the standard error of the bound's time over the traced steps, relative to that time."""
    traced = rank.traced
    if traced is None or rank.windows is None or len(rank.windows) < 2:
        return 0.9
    part = {"memory": "compute", "imbalance": "skew", "none": "compute"}.get(bound, bound)
    mean, spread = traced.parts.get(part, 0.0), traced.spread.get(part, 0.0)
    if mean <= 0:
        return 0.9
    return 1 - min(0.5, spread / mean / math.sqrt(len(rank.windows)))


def _verdict_moved(rank: RankFacts, bound: Bound) -> bool:
    """Whether the traced steps, taken as they are, would have given another bound."""
    return rank.traced is not None and bound != "imbalance" and bound_of(rank.traced, None, rank.operators)[0] != bound
