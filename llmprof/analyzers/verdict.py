"""What limits the run: data, compute, memory, communication, host, imbalance or nothing; how sure; or no verdict."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from llmprof.analyzers.counters import Witness, witness
from llmprof.analyzers.diagnosis import Bound, RunnerUp, Verdict
from llmprof.analyzers.facts.coverage import RecordingFacts
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.operator_facts import OperatorFacts
from llmprof.analyzers.facts.partition import Partition
from llmprof.analyzers.facts.pipeline import uneven_stages_ns
from llmprof.analyzers.rules.out_of_memory import circumstances
from llmprof.analyzers.rules.straggler_rank import perturbed
from llmprof.analyzers.rules.thresholds import STRAGGLER_CAUSE
from llmprof.analyzers.sentences import abstention, next_in_line, sentence

__all__ = ["judge", "scores"]

STALL_SHARE = 0.20
"""A stall class from this share of the step on is the bound (input and communication limits of XProf's rules)."""
MODERATE_SHARE = 0.10
"""Below this share a class does not limit (TensorBoard's plugin and TraceML warn at 10 %)."""
BUSY_SHARE = 0.60
"""From this share of kernels on, and with no stall of STALL_SHARE, kernels are what limits: removing the largest stall
would shorten the step less than a third of what the kernels take."""
BANDWIDTH_SHARE = 0.70
"""Share of kernel time in memory-bound classes from which the limit is bandwidth (XProf's MemoryBound)."""
IMBALANCE_SHARE = 0.10
"""Excess of the critical rank over the median of the others, as a share of the step (TraceML's straggler warning)."""
ALIKE_SHARE = 0.10
"""Hosts that take at most this much longer do the same work: as much as makes a rank a straggler (TraceML)."""
EXPLAINED_SHARE = 0.80
"""When one class explains this much of a straggler's excess, that class is the bound."""
CLOSE_SHARE = 0.05
"""Causes this near to each other, or to the share that decides between them, are both told (an assumption)."""
RESERVED_SHARE = 0.97
"""Reserved memory from which a run counts as at its capacity (TraceML's critical limit)."""
UNKNOWN_LIMIT = 0.35
"""No verdict when more than this share of the step could not be explained."""
FULL_MARGIN = 0.15
REMAINDER_SHARE = 0.05
WEAK, MEDIUM = 0.4, 0.69
DOUBT_WEIGHT = 5.0
"""Confidence lost for each share of rows that were lost, or of time that rounding may move: half of it at the tenth
from which on there is no verdict (see coverage.MAX_LOST). A lost row counts for more than its share, because what is
damaged is not a fair sample: long names and many arguments break, and those are kernels and collectives."""
MOSTLY = 0.5
"""Of the kernel time; where less of it has known shapes, names alone tell what limits kernels: weak evidence."""
AGREED = 1.0
"""Evidence of a trace and of the device's own counters together; a trace alone is worth less (see `_confidence`)."""
DISAGREED = 0.8
"""Left of it where they do not fit: what was sampled and what was traced are then not the same step."""
CUT_FACTOR = 0.7
"""A file that was cut inside its events has lost whole threads, or steps of them; that its launches have their kernels
(coverage.MIN_COVERAGE) says nothing of threads that launch nothing, such as the loader's."""
NO_ARGUMENTS_FACTOR = 0.9
"""Most collectives do not say what they were asked to do, so they are told from other kernels by name alone."""

_DISTORTED = ("host", "sync")
"""Parts that a profiler makes longer."""
BANDWIDTH_CLASSES = (
    "elementwise", "normalization", "softmax", "cross_entropy", "optimizer", "reduction", "embedding", "index", "copy",
    "dropout",
)  # fmt: skip
"""Kernel classes that move much more than they compute; gemm, attention and convolution are the others."""


@dataclass(frozen=True, slots=True)
class _Imbalance:
    """How much the critical rank's own work exceeds the others' median, and the part that explains most of it."""

    share: float
    part: str
    explained: float


def judge(facts: Facts) -> Verdict:
    """The verdict on a run, or an abstention (`bound` None with the reason)."""
    rank = facts.critical
    partition = rank.partition
    capacity = _capacity_reason(facts)
    if partition is None:
        if capacity is not None and any(r.memory and r.memory.out_of_memory for r in facts.ranks.values()):
            return _capacity_verdict(facts, capacity, None)
        return abstention("the run was timed but not traced, so nothing says what its steps are made of")
    if capacity is not None:
        return _capacity_verdict(facts, capacity, _ranked(scores(partition)))
    unknown = _unknown_share(partition)
    if unknown > UNKNOWN_LIMIT:
        return abstention(_unknown_reason(rank, partition, unknown))
    imbalance = _imbalance(facts)
    bound, detail, share = _bound(partition, imbalance, rank.operators)
    close = _close(partition, bound, rank.operators)
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
        confidence=_confidence(facts, bound, counters),
        sentence=text,
        flags=flags,
        runner_up=close or _runner_up(partition, imbalance, bound, share),
    )


def scores(partition: Partition) -> Mapping[Bound, float]:
    """The share of the step that speaks for each bound; they sum to at most 1."""
    share = partition.share
    peer = partition.detail.get("peer", 0.0) / partition.step_ns if partition.step_ns > 0 else 0.0
    return {
        "data": share("data"),
        "communication": share("communication") + peer,
        "host": share("host", "sync", "memory_management", "stalls"),
        "imbalance": share("skew"),
        "compute": share("compute"),
    }


def _ranked(found: Mapping[Bound, float]) -> list[tuple[Bound, float]]:
    return sorted(found.items(), key=lambda item: -item[1])


def _bound(
    partition: Partition, imbalance: _Imbalance | None, operators: OperatorFacts | None
) -> tuple[Bound, str | None, float]:
    """The bound, its detail and its share of the step."""
    found = scores(partition)
    if imbalance is not None and imbalance.explained < EXPLAINED_SHARE:
        return "imbalance", None, imbalance.share
    stall, size = _ranked({name: value for name, value in found.items() if name != "compute"})[0]
    busy = found["compute"]
    if size >= STALL_SHARE or (size >= MODERATE_SHARE and busy < BUSY_SHARE):
        return stall, _detail(partition, stall), size
    if busy >= BUSY_SHARE and partition.compute_classes:
        bandwidth = _bandwidth_share(partition, operators)
        if bandwidth >= BANDWIDTH_SHARE and not partition.cpu_only:
            return "memory", "bandwidth", busy * bandwidth
        return "compute", max(partition.compute_classes.items(), key=lambda item: item[1])[0], busy
    return "none", None, busy


def _close(partition: Partition, bound: Bound, operators: OperatorFacts | None) -> RunnerUp | None:
    """What the bound would be if the shares were a little different; None when nothing comes near."""
    if bound in ("none", "imbalance"):
        return None
    found = scores(partition)
    busy = found["compute"]
    stall, size = _ranked({name: value for name, value in found.items() if name not in ("compute", bound)})[0]
    if bound in ("compute", "memory"):
        bandwidth = _bandwidth_share(partition, operators) if bound == "compute" and not partition.cpu_only else 0.0
        if size >= STALL_SHARE - CLOSE_SHARE:
            return RunnerUp(bound=stall, share=size)
        return RunnerUp(bound="memory", share=busy * bandwidth) if bandwidth >= BANDWIDTH_SHARE - CLOSE_SHARE else None
    if size >= max(MODERATE_SHARE, found[bound] - CLOSE_SHARE):
        return RunnerUp(bound=stall, share=size)
    near = busy >= BUSY_SHARE and found[bound] < STALL_SHARE + CLOSE_SHARE
    return RunnerUp(bound="compute", share=busy) if near else None


def _runner_up(partition: Partition, imbalance: _Imbalance | None, bound: Bound, share: float) -> RunnerUp | None:
    """A straggler, else the largest other cause; beside kernels that traffic limits only the others are compute."""
    if imbalance is not None and bound != "imbalance":
        return RunnerUp(bound="imbalance", share=imbalance.share)
    found = {name: value for name, value in scores(partition).items() if name != bound}
    if bound == "memory":
        found["compute"] -= share
    name, value = _ranked(found)[0]
    return RunnerUp(bound=name, share=value) if value >= 0.01 else None


def _detail(partition: Partition, bound: Bound) -> str | None:
    """The largest detailed class behind a stall bound."""
    members = {
        "data": ("wait", "input_copy"),
        "host": (
            "launch",
            "gap",
            "python",
            "sync",
            "memory_management",
            "checkpoint",
            "evaluation",
            "gc",
            "compile",
            "plan_build",
        ),
    }.get(bound)
    if members is None:
        return None
    both = {**partition.detail, **partition.stall_classes}
    return max(members, key=lambda name: both.get(name, 0.0))


def _bandwidth_share(partition: Partition, operators: OperatorFacts | None) -> float:
    """Share of kernel time that memory traffic limits: by the roofline where shapes are known, else by kernel class."""
    total = sum(partition.compute_classes.values())
    moved = sum(partition.compute_classes.get(name, 0.0) for name in BANDWIDTH_CLASSES)
    by_class, seen = (moved / total if total > 0 else 0.0), _roofline_share(operators)
    if operators is None or seen <= 0:
        return by_class
    by_roofline = operators.memory_limited_ns / (operators.memory_limited_ns + operators.arithmetic_limited_ns)
    return seen * by_roofline + (1 - seen) * by_class


def _roofline_share(operators: OperatorFacts | None) -> float:
    """Share of kernel time of which the roofline says what limits it."""
    if operators is None or operators.device is None or operators.ns <= 0:
        return 0.0
    return min(1.0, (operators.memory_limited_ns + operators.arithmetic_limited_ns) / operators.ns)


def _imbalance(facts: Facts) -> _Imbalance | None:
    """The straggler, when the critical rank's own work exceeds the others' median by IMBALANCE_SHARE of the step.

    None also where it is the host that is later, or no part stands out, in a trace that slowed hosts down: a profiler
    does not slow all of them alike.
    """
    parts = {number: rank.partition for number, rank in facts.ranks.items() if rank.partition is not None}
    critical = facts.critical.partition
    if critical is None or len(parts) < 2 or critical.step_ns <= 0:
        return None
    own = {number: part.step_ns - part.parts["skew"] for number, part in parts.items()}
    others = [number for number in parts if number != facts.critical.rank]
    excess = own[facts.critical.rank] - statistics.median(own[number] for number in others)
    if excess < IMBALANCE_SHARE * critical.step_ns:
        return None
    over = {
        name: value - statistics.median(parts[number].parts[name] for number in others)
        for name, value in critical.parts.items()
        if name != "skew"
    }
    part = max(over, key=lambda name: over[name])
    if part == "data" and over["host"] > 0 and _hosts_alike(facts, others):
        excess -= over["host"]
        over["host"] = 0.0
        if excess < IMBALANCE_SHARE * critical.step_ns:
            return None
    untold = over[part] < STRAGGLER_CAUSE.value * sum(value for value in over.values() if value > 0)
    if (part in _DISTORTED or untold) and perturbed(facts):
        return None
    return _Imbalance(excess / critical.step_ns, part, over[part] / excess)


def _hosts_alike(facts: Facts, others: list[int]) -> bool:
    """Whether the critical rank's host works no longer than the others', which issue their work while they wait for it.

    A rank whose batch comes late has its launches still to do when it comes; those of its peers are done by then, and
    are no less.
    """
    hosts = {number: rank.host.busy_ns for number, rank in facts.ranks.items() if rank.host is not None}
    own, known = hosts.get(facts.critical.rank), [busy for number in others if (busy := hosts.get(number)) is not None]
    return own is not None and len(known) == len(others) and own <= (1 + ALIKE_SHARE) * statistics.median(known)


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


def _capacity_verdict(facts: Facts, reason: str, ranked: list[tuple[Bound, float]] | None) -> Verdict:
    top = RunnerUp(bound=ranked[0][0], share=ranked[0][1]) if ranked else None
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


def _flags(facts: Facts, imbalance: _Imbalance | None, bound: Bound) -> tuple[str, ...]:
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


def _unknown_share(partition: Partition) -> float:
    if partition.step_ns <= 0:
        return 1.0
    return (partition.detail.get("unlinked", 0.0) + partition.detail.get("untraced", 0.0)) / partition.step_ns


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


def _margin(partition: Partition, bound: Bound) -> float:
    """How far the shares are from those at which the bound would be another one."""
    found = scores(partition)
    stalls = _ranked({name: value for name, value in found.items() if name != "compute"})
    if bound in ("compute", "memory", "none"):
        return STALL_SHARE - stalls[0][1]
    if bound == "imbalance":
        return FULL_MARGIN
    others = [value for name, value in stalls if name != bound]
    return min(found[bound] - max(others, default=0.0), found[bound] - MODERATE_SHARE)


def _confidence(facts: Facts, bound: Bound, counters: Witness | None) -> float:
    """clamp(margin / 0.15) x known share x stability x evidence, capped for what the trace leaves open, x recording."""
    rank = facts.critical
    partition = rank.partition
    assert partition is not None
    margin = min(1.0, max(_margin(partition, bound), 0.02) / FULL_MARGIN)
    evidence = 0.7 if partition.cpu_only else 0.95 if facts.step.basis == "unprofiled" else 0.85
    if counters is not None:
        evidence = AGREED if counters.agrees else DISAGREED * evidence
    elif bound == "memory" and _roofline_share(rank.operators) < MOSTLY:
        evidence = min(evidence, 0.6)
    value = margin * (1 - _unknown_share(partition)) * _stability(rank, bound) * evidence
    if rank.remainder_ns is not None and abs(rank.remainder_ns) > REMAINDER_SHARE * partition.step_ns:
        value = min(value, WEAK)
    if facts.step.basis == "profiled" or _verdict_moved(rank, bound):
        value = min(value, MEDIUM)
    return round(max(0.05, value * _recorded(facts, bound)), 2)


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
    return rank.traced is not None and bound != "imbalance" and _bound(rank.traced, None, rank.operators)[0] != bound
