"""Which kernels could be one? Runs of elementwise work on the same number of elements, one right after the other.

A compiler fuses pointwise operators and the reductions of norms, softmax and losses that follow each other on one
tensor into one kernel, which reads its inputs once and writes its results once (Ansel et al., PyTorch 2, ASPLOS 2024).
Kernels of matrix products, attention, convolution and optimizer end a run; so does a change of the number of elements,
because that is another tensor. Kernels are not launched tensor by tensor, however: between two such kernels everything
on tensors of one size may become one kernel, and at best everything. Statistics over a whole batch have to be complete
before they are used: behind them another kernel begins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.kernel_names import CLASSES
from llmprof.analyzers.facts.op_bytes import largest_elements
from llmprof.analyzers.facts.operator_tree import names_matching
from llmprof.analyzers.facts.operators import KernelCalls
from llmprof.timeline.events import NONE, EventTable

__all__ = ["FusionFacts", "fusion_facts"]

_FUSABLE = np.array(
    [
        CLASSES.index(name)
        for name in ("elementwise", "copy", "dropout", "normalization", "softmax", "cross_entropy", "reduction")
    ],
    np.int8,
)
_POINTWISE = np.array([CLASSES.index(name) for name in ("elementwise", "dropout")], np.int8)
CHAIN = 4
"""So many pointwise kernels in one run are a chain, which every compiler fuses: a formula that is written out. Two or
three stand around every matrix product, and not all of them are fused."""
_STATISTICS = re.compile("batch_norm_(collect_statistics|backward_reduce)")
LONGEST_RUN = 15
"""A longer run is not one fusion (TraceLens leaves out chains of more than 15 kernels): it is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionFacts:
    """Kernels that a compiler could fuse, per step."""

    ns: float
    """Summed time of all elementwise, norm, softmax, loss, reduction and copy kernels."""
    run_ns: float
    """The part of it in runs of two or more."""
    largest_ns: float
    """Of every run its longest kernel: what is left when all the others cost nothing."""
    runs: float
    kernels: float
    """Kernels in runs."""
    compiled_ns: float
    """Time of kernels that a compiler generated."""
    chain_ns: float = 0.0
    """Pointwise kernels in chains, without the longest of each chain."""
    between_ns: float = 0.0
    """Between two kernels that cannot be fused all but the longest, of whatever size: no compiler saves more, since
    one kernel with the largest tensor at least stays."""
    sized_ns: float = 0.0
    """The same, but of tensors of each size one kernel stays: nothing of another size is fused with it."""

    @property
    def middle_ns(self) -> float:
        """Between what goes if nothing of another size is fused, and if everything is."""
        return (self.sized_ns + self.between_ns) / 2


def fusion_facts(events: EventTable, calls: KernelCalls) -> FusionFacts | None:
    """Runs of fusable kernels of one rank; None when nothing is fusable."""
    compiled = names_matching(events, lambda name: name.startswith("triton_"))[events.name[calls.rows]]
    fusable = np.isin(calls.classes, _FUSABLE) & ~compiled
    dur = events.dur[calls.rows].astype(np.float64)
    compiled_ns = float(dur[compiled].sum()) / calls.steps
    if not fusable.any():
        return None if not compiled_ns else _facts(0.0, np.empty(0), np.empty(0), np.empty(0), compiled_ns, calls.steps)
    run = _runs(events, calls, fusable)
    total = np.bincount(run[fusable], weights=dur[fusable])
    count = np.bincount(run[fusable])
    largest = np.zeros(count.size)
    np.maximum.at(largest, run[fusable], dur[fusable])
    several = count >= 2
    found = _facts(
        float(dur[fusable].sum()), total[several], largest[several], count[several], compiled_ns, calls.steps
    )
    pointwise = np.isin(calls.classes, _POINTWISE) & fusable
    between = _stretches(events, calls, fusable)[fusable]
    sized = _by_size(between, _sizes(calls)[fusable])
    return replace(
        found,
        chain_ns=_beyond_longest(run[pointwise], dur[pointwise], CHAIN) / calls.steps,
        between_ns=_beyond_longest(between, dur[fusable], 2) / calls.steps,
        sized_ns=_beyond_longest(sized, dur[fusable], 2) / calls.steps,
    )


def _sizes(calls: KernelCalls) -> npt.NDArray[np.int64]:
    """Elements of the largest tensor of each kernel's operator, NONE where that is not known; shape (kernels,)."""
    elements = np.array([largest_elements(text) for text in calls.texts] or [0], dtype=np.int64)
    return np.where(calls.shape == NONE, NONE, elements[np.maximum(calls.shape, 0)])


def _by_size(stretch: npt.NDArray[np.intp], size: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """A number for each stretch and size; what has no known size stays alone."""
    alone = np.where(size == NONE, -1 - np.arange(size.size), size)
    _, found = np.unique(np.stack([stretch, alone]), axis=1, return_inverse=True)
    return found.reshape(-1)


def _beyond_longest(run: npt.NDArray[np.intp], dur: npt.NDArray[np.float64], least: int) -> float:
    """Of the runs with `least` of these kernels and more: all but their longest, ns."""
    if not run.size:
        return 0.0
    count, total = np.bincount(run), np.bincount(run, weights=dur)
    largest = np.zeros(count.size)
    np.maximum.at(largest, run, dur)
    return float((total - largest)[count >= least].sum())


def _facts(
    ns: float,
    total: npt.NDArray[np.generic],
    largest: npt.NDArray[np.generic],
    count: npt.NDArray[np.generic],
    compiled_ns: float,
    steps: int,
) -> FusionFacts:
    return FusionFacts(
        ns=ns / steps,
        run_ns=float(total.sum()) / steps,
        largest_ns=float(largest.sum()) / steps,
        runs=count.size / steps,
        kernels=float(count.sum()) / steps,
        compiled_ns=compiled_ns,
    )


def _runs(events: EventTable, calls: KernelCalls, fusable: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """A number for each kernel's run, shape (kernels,)."""
    size = _sizes(calls)
    order = np.lexsort((calls.rows, events.lane[calls.rows]))
    lane, kept, numel = events.lane[calls.rows][order], fusable[order], size[order]
    begins = np.append(True, (lane[1:] != lane[:-1]) | ~kept[1:] | ~kept[:-1] | (numel[1:] != numel[:-1]))
    first = np.maximum.accumulate(np.where(begins, np.arange(order.size), 0))
    begins |= (np.arange(order.size) - first) % LONGEST_RUN == 0
    result = np.empty(order.size, dtype=np.intp)
    result[order] = np.cumsum(begins) - 1
    return result


def _stretches(events: EventTable, calls: KernelCalls, fusable: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """A number for each kernel's stretch between two that cannot be fused, shape (kernels,)."""
    order = np.lexsort((calls.rows, events.lane[calls.rows]))
    lane, kept = events.lane[calls.rows][order], fusable[order]
    ends = names_matching(events, _STATISTICS.search)[events.name[calls.rows]][order] | ~kept
    result = np.empty(order.size, dtype=np.intp)
    result[order] = np.cumsum(np.append(True, (lane[1:] != lane[:-1]) | ~kept[1:] | ends[:-1]))
    return result
