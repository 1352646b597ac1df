"""Which class of the step limits it, by its share; what comes near; how far the shares are from another answer."""

from __future__ import annotations

from collections.abc import Mapping

from llmprof.analyzers.diagnosis import Bound, RunnerUp
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.partition.partition import Partition
from llmprof.analyzers.imbalance import EXPLAINED_SHARE, Imbalance

__all__ = ["bound_of", "close_to", "largest", "margin", "roofline_share", "runner_up", "scores"]

STALL_SHARE = 0.20
"""A stall class from this share of the step on is the bound (input and communication limits of XProf's rules)."""
MODERATE_SHARE = 0.10
"""Below this share a class does not limit (TensorBoard's plugin and TraceML warn at 10 %)."""
BUSY_SHARE = 0.60
"""From this share of kernels on, and with no stall of STALL_SHARE, kernels are what limits: removing the largest stall
would shorten the step less than a third of what the kernels take."""
BANDWIDTH_SHARE = 0.70
"""Share of kernel time in memory-bound classes from which the limit is bandwidth (XProf's MemoryBound)."""
CLOSE_SHARE = 0.05
"""Causes this near to each other, or to the share that decides between them, are both told (an assumption)."""
FULL_MARGIN = 0.15
"""This far from every other answer, the margin takes nothing from the confidence."""
BANDWIDTH_CLASSES = (
    "elementwise", "normalization", "softmax", "cross_entropy", "optimizer", "reduction", "embedding", "index", "copy",
    "dropout",
)  # fmt: skip
"""Kernel classes that move much more than they compute; gemm, attention and convolution are the others."""


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


def largest(found: Mapping[Bound, float]) -> tuple[Bound, float]:
    """The bound with the largest share, and that share; the first of equals."""
    return max(found.items(), key=lambda item: item[1])


def bound_of(
    partition: Partition, imbalance: Imbalance | None, operators: OperatorFacts | None
) -> tuple[Bound, str | None, float]:
    """The bound, its detail and its share of the step."""
    found = scores(partition)
    if imbalance is not None and imbalance.explained < EXPLAINED_SHARE:
        return "imbalance", None, imbalance.share
    stall, size = largest({name: value for name, value in found.items() if name != "compute"})
    busy = found["compute"]
    if size >= STALL_SHARE or (size >= MODERATE_SHARE and busy < BUSY_SHARE):
        return stall, _detail(partition, stall), size
    if busy >= BUSY_SHARE and partition.compute_classes:
        bandwidth = _bandwidth_share(partition, operators)
        if bandwidth >= BANDWIDTH_SHARE and not partition.cpu_only:
            return "memory", "bandwidth", busy * bandwidth
        return "compute", max(partition.compute_classes.items(), key=lambda item: item[1])[0], busy
    return "none", None, busy


def close_to(partition: Partition, bound: Bound, operators: OperatorFacts | None) -> RunnerUp | None:
    """What the bound would be if the shares were a little different; None when nothing comes near."""
    if bound in ("none", "imbalance"):
        return None
    found = scores(partition)
    busy = found["compute"]
    stall, size = largest({name: value for name, value in found.items() if name not in ("compute", bound)})
    if bound in ("compute", "memory"):
        bandwidth = _bandwidth_share(partition, operators) if bound == "compute" and not partition.cpu_only else 0.0
        if size >= STALL_SHARE - CLOSE_SHARE:
            return RunnerUp(bound=stall, share=size)
        return RunnerUp(bound="memory", share=busy * bandwidth) if bandwidth >= BANDWIDTH_SHARE - CLOSE_SHARE else None
    if size >= max(MODERATE_SHARE, found[bound] - CLOSE_SHARE):
        return RunnerUp(bound=stall, share=size)
    near = busy >= BUSY_SHARE and found[bound] < STALL_SHARE + CLOSE_SHARE
    return RunnerUp(bound="compute", share=busy) if near else None


def runner_up(partition: Partition, imbalance: Imbalance | None, bound: Bound, share: float) -> RunnerUp | None:
    """A straggler, else the largest other cause; beside kernels that traffic limits only the others are compute."""
    if imbalance is not None and bound != "imbalance":
        return RunnerUp(bound="imbalance", share=imbalance.share)
    found = {name: value for name, value in scores(partition).items() if name != bound}
    if bound == "memory":
        found["compute"] -= share
    name, value = largest(found)
    return RunnerUp(bound=name, share=value) if value >= 0.01 else None


def margin(partition: Partition, bound: Bound) -> float:
    """How far the shares are from those at which the bound would be another one."""
    found = scores(partition)
    stalls = {name: value for name, value in found.items() if name != "compute"}
    if bound in ("compute", "memory", "none"):
        return STALL_SHARE - max(stalls.values())
    if bound == "imbalance":
        return FULL_MARGIN
    others = [value for name, value in stalls.items() if name != bound]
    return min(found[bound] - max(others, default=0.0), found[bound] - MODERATE_SHARE)


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
    by_class, seen = (moved / total if total > 0 else 0.0), roofline_share(operators)
    if operators is None or seen <= 0:
        return by_class
    by_roofline = operators.memory_limited_ns / (operators.memory_limited_ns + operators.arithmetic_limited_ns)
    return seen * by_roofline + (1 - seen) * by_class


def roofline_share(operators: OperatorFacts | None) -> float:
    """Share of kernel time of which the roofline says what limits it."""
    if operators is None or operators.device is None or operators.ns <= 0:
        return 0.0
    return min(1.0, (operators.memory_limited_ns + operators.arithmetic_limited_ns) / operators.ns)
