"""What limits the run: data, compute, memory, communication, host, imbalance or nothing; or no verdict, and why."""

from __future__ import annotations

from llmprof.analyzers.bound import STALL_SHARE, bound_of, close_to, largest, runner_up, scores
from llmprof.analyzers.confidence import confidence, unknown_share
from llmprof.analyzers.counters import witness
from llmprof.analyzers.diagnosis import Bound, RunnerUp, Verdict
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.partition.partition import Partition
from llmprof.analyzers.facts.pipeline.pipeline import uneven_stages_ns
from llmprof.analyzers.imbalance import EXPLAINED_SHARE, IMBALANCE_SHARE, Imbalance, imbalance_of
from llmprof.analyzers.rules.out_of_memory import circumstances
from llmprof.analyzers.sentences import abstention, next_in_line, sentence

__all__ = ["judge"]

RESERVED_SHARE = 0.97
"""Reserved memory from which a run counts as at its capacity (TraceML's critical limit)."""
UNKNOWN_LIMIT = 0.35
"""No verdict when more than this share of the step could not be explained."""


def judge(facts: Facts) -> Verdict:
    """The verdict on a run, or an abstention (`bound` None with the reason)."""
    rank = facts.critical
    partition = rank.partition
    capacity = _capacity_reason(facts)
    if partition is None:
        if capacity is not None and any(r.memory and r.memory.out_of_memory for r in facts.ranks.values()):
            return _capacity_verdict(facts, capacity)
        return abstention("the run was timed but not traced, so nothing says what its steps are made of")
    if capacity is not None:
        return _capacity_verdict(facts, capacity)
    unknown = unknown_share(partition)
    if unknown > UNKNOWN_LIMIT:
        return abstention(_unknown_reason(rank, partition, unknown))
    imbalance = imbalance_of(facts)
    bound, detail, share = bound_of(partition, imbalance, rank.operators)
    close = close_to(partition, bound, rank.operators)
    uneven = uneven_stages_ns(facts.ranks)
    if close is None and uneven >= IMBALANCE_SHARE * facts.step.mean_ns > 0:
        close = RunnerUp(bound="imbalance", share=uneven / facts.step.mean_ns)
    counters = witness(rank, bound, share)
    text, flags = sentence(facts, bound, detail, share), _flags(facts, imbalance, bound)
    if close is not None:
        text = f"{text} {next_in_line(facts, close)}"
    if counters is not None and not counters.agrees:
        text, flags = f"{text} The GPU's counters do not fit: {counters.shows}.", (*flags, "counters-disagree")
    return Verdict(
        bound=bound,
        detail=detail,
        share=share,
        confidence=confidence(facts, bound, counters),
        sentence=text,
        flags=flags,
        runner_up=close or runner_up(partition, imbalance, bound, share),
    )


def _capacity_reason(facts: Facts) -> str | None:
    """Why memory capacity limits the run, or None: an out-of-memory error, or allocations that had to be retried."""
    for number, rank in facts.ranks.items():
        memory = rank.memory
        if memory is None:
            continue
        if memory.out_of_memory:
            return circumstances(facts, rank)
        if memory.retries:
            return f"the allocator of rank {number} had to flush its cache {memory.retries} times to find room"
    return None


def _capacity_verdict(facts: Facts, reason: str) -> Verdict:
    partition, top = facts.critical.partition, None
    if partition is not None:
        cause, share = largest(scores(partition))
        top = RunnerUp(bound=cause, share=share)
    text = sentence(facts, "memory", "capacity", None, reason=reason)
    if top is not None and top.bound != "compute" and top.share >= STALL_SHARE:
        text = f"{text} {next_in_line(facts, top, 'In time it is')}"
    return Verdict(
        bound="memory",
        detail="capacity",
        confidence=0.9,
        sentence=text,
        flags=("memory-capacity",),
        runner_up=top,
    )


def _flags(facts: Facts, imbalance: Imbalance | None, bound: Bound) -> tuple[str, ...]:
    flags = []
    if imbalance is not None and bound != "imbalance":
        flags.append("straggler-rank")
    reserved = [r.memory.reserved_share for r in facts.ranks.values() if r.memory is not None]
    if any(share is not None and share >= RESERVED_SHARE for share in reserved):
        flags.append("memory-capacity")
    if facts.critical.partition is not None and facts.critical.partition.cpu_only:
        flags.append("cpu-only")
    if facts.step.basis == "profiled":
        flags.append("profiled-run")
    if any(rank.died for rank in facts.ranks.values()):
        flags.append("rank-died")
    return tuple(flags)


def _unknown_reason(rank: RankFacts, partition: Partition, unknown: float) -> str:
    if partition.detail.get("unlinked", 0.0) > partition.detail.get("untraced", 0.0):
        return f"for {unknown:.0%} of the step the launches are missing, so idle time has no cause; trace CPU and CUDA"
    if not partition.spans:
        return "the run was timed but not traced, so nothing says what its steps are made of"
    text = f"the traced steps explain only {1 - unknown:.0%} of the measured step"
    long = rank.table.outliers if rank.table is not None else None
    if long is not None and long.counted_excess_ns >= EXPLAINED_SHARE * unknown * partition.step_ns:
        return f"{text}; {long.count} much longer steps, which were not traced, take the rest (see step-outliers)"
    return f"{text}; trace steps that are like the rest"
