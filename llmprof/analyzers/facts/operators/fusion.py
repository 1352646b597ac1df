"""Which kernels could be one? Runs of elementwise work on the same number of elements, one right after the other.

A compiler fuses pointwise operators and the reductions of norms, softmax and losses that follow each other on one
tensor into one kernel, which reads its inputs once and writes its results once (Ansel et al., PyTorch 2, ASPLOS 2024).
Kernels of matrix products, attention, convolution and optimizer end a run; so does a change of the number of elements,
because that is another tensor. Kernels are not launched tensor by tensor, however: between two such kernels everything
on tensors of one size may become one kernel, and at best everything. Statistics over a whole batch and running sums
have to be complete before they are used: behind them another kernel begins.

What only reads from other places (gather, roll, flip, nearest upsampling, averages of small windows) is a pointwise
operator to a compiler, and what adds to other places (index_add, scatter_add) ends a kernel that computes what is
added; its atomic additions stay (PyTorch source, torch/_inductor/lowering.py and decomposition.py). In bf16 it stays
the library's kernel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.device.kernel_names import CLASSES
from llmprof.analyzers.facts.operators.op_bytes import SIZES, bytes_of, largest_elements, operands_of
from llmprof.analyzers.facts.operators.operator_tree import names_matching
from llmprof.analyzers.facts.operators.operators import KernelCalls
from llmprof.timeline.events import NONE, EventTable

__all__ = ["FusionFacts", "fusion_facts", "is_indexed"]

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
_COMPLETE = re.compile("batch_norm_(collect_statistics|backward_reduce)|tensor_kernel_scan")
_INDEXED = re.compile(
    "roll_cuda_kernel|flip_kernel|triu_tril_kernel|vectorized_gather_kernel|indexSelect|index_kernel_impl|"
    "upsample_nearest|(?<!adaptive_)avg_pool2d_(backward_)?out|"
    "scatter_gather_elementwise_kernel.*TensorAssign"
)
"""Kernels of ATen that read (or write) single elements or rows elsewhere, and add nothing up."""
_SCATTERED = re.compile("^(?!.*BFloat16).*(indexFunc(Large|Small)Index|scatter_gather_elementwise_kernel.*ReduceAdd)")
"""Kernels of ATen that add to single elements or rows, without those of bf16 (pytorch/pytorch#137425)."""
_COLUMNS = re.compile("reduce_kernel<[0-9]+, [248],")
"""Sums along another dimension than the contiguous one: only these write vectors (ATen source, cuda/Reduce.cuh)."""
LONGEST_RUN = 15
"""A longer run is not one fusion (TraceLens leaves out chains of more than 15 kernels): it is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionFacts:
    """Kernels that a compiler could fuse, per step."""

    ns: float
    """Summed time of all elementwise, norm, softmax, loss, reduction and copy kernels, and of those that index."""
    run_ns: float
    """The part of it in runs of two or more."""
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
    """The same, but of tensors of each size one kernel stays: nothing of another size is fused with it. What is summed
    along another dimension is read once more."""
    best_ns: float = 0.0
    """As `between_ns`, and what stays takes no longer than its traffic: 0 where the bandwidth is not known."""

    @property
    def middle_ns(self) -> float:
        """Between what goes if nothing of another size is fused, and if everything is."""
        return (self.sized_ns + self.between_ns) / 2

    @property
    def most_ns(self) -> float:
        """What goes at most."""
        return max(self.between_ns, self.best_ns)


def is_indexed(name: str) -> bool:
    """Whether this kernel reads from, or adds to, single elements or rows in a way that a compiler fuses."""
    return bool(_INDEXED.search(name) or _SCATTERED.search(name))


@dataclass(frozen=True, slots=True, eq=False)
class _Kernels:
    """The kernels that can be fused; shape (kernels,)."""

    ns: npt.NDArray[np.float64]
    least: npt.NDArray[np.float64]
    """What their traffic takes, where that is known and less."""
    scatters: npt.NDArray[np.bool_]
    columns: npt.NDArray[np.bool_]


def fusion_facts(events: EventTable, calls: KernelCalls, bytes_per_s: float | None = None) -> FusionFacts | None:
    """Runs of fusable kernels of one rank; None when nothing is fusable.

    bytes_per_s    of the memory, as good kernels reach it
    """
    names = events.name[calls.rows]
    compiled = names_matching(events, lambda name: name.startswith("triton_"))[names]
    indexed = names_matching(events, is_indexed)[names]
    fusable = (np.isin(calls.classes, _FUSABLE) | indexed) & ~compiled
    dur = events.dur[calls.rows].astype(np.float64)
    compiled_ns = float(dur[compiled].sum()) / calls.steps
    if not fusable.any():
        return None if not compiled_ns else _facts(0.0, np.empty(0), np.empty(0), compiled_ns, calls.steps)
    run = _runs(events, calls, fusable)
    total = np.bincount(run[fusable], weights=dur[fusable])
    count = np.bincount(run[fusable])
    several = count >= 2
    found = _facts(float(dur[fusable].sum()), total[several], count[several], compiled_ns, calls.steps)
    scatters = names_matching(events, _SCATTERED.search)[names]
    pointwise = (np.isin(calls.classes, _POINTWISE) | indexed) & fusable & ~scatters
    between = _stretches(events, calls, fusable)[fusable]
    sized = _by_size(between, _sizes(calls)[fusable])
    kernels = _Kernels(
        ns=dur[fusable],
        least=_least_ns(events, calls, dur, scatters, bytes_per_s)[fusable],
        scatters=scatters[fusable],
        columns=names_matching(events, _COLUMNS.search)[names][fusable] & (bytes_per_s is not None),
    )
    whole = replace(kernels, columns=np.zeros_like(kernels.columns))
    return replace(
        found,
        chain_ns=_beyond_longest(run[pointwise], dur[pointwise], CHAIN) / calls.steps,
        between_ns=_gone(between, whole, kernels.ns, kernels.least) / calls.steps,
        sized_ns=_gone(sized, kernels, kernels.ns, kernels.ns) / calls.steps,
        best_ns=_gone(between, whole, kernels.least, kernels.least) / calls.steps if bytes_per_s else 0.0,
    )


def _gone(
    group: npt.NDArray[np.intp],
    kernels: _Kernels,
    stays: npt.NDArray[np.float64],
    added: npt.NDArray[np.float64],
) -> float:
    """What groups of two and more kernels save as one, ns: the longest stays, or all that adds to other places.

    stays, added    what a kernel takes as the one that stays, and as one that adds to other places
    Sums along another dimension take a pass of their own beside it.
    """
    count, total = np.bincount(group), np.bincount(group, weights=kernels.ns)
    longest, other = np.zeros(count.size), np.zeros(count.size)
    np.maximum.at(longest, group, np.where(kernels.scatters, added, stays))
    plain = ~kernels.scatters & ~kernels.columns
    np.maximum.at(other, group[plain], stays[plain])
    scattered = np.bincount(group, weights=added * kernels.scatters)
    passes = np.bincount(group, weights=kernels.least * kernels.columns)
    left = np.maximum(longest, np.maximum(other, scattered) + passes)
    return float(np.maximum(0.0, total - left)[count >= 2].sum())


def _least_ns(
    events: EventTable,
    calls: KernelCalls,
    dur: npt.NDArray[np.float64],
    scatters: npt.NDArray[np.bool_],
    bytes_per_s: float | None,
) -> npt.NDArray[np.float64]:
    """What the traffic of each kernel's operator takes, at most the kernel's time; that where it is not known."""
    known = (calls.shape != NONE) & (calls.operator != NONE)
    if bytes_per_s is None or not known.any():
        return dur
    operator = events.name[np.maximum(calls.operator, 0)]
    pairs, which = np.unique(np.stack([operator, calls.shape, scatters]), axis=1, return_inverse=True)
    moved = [
        _added_bytes(calls.texts[shape]) if adds else bytes_of(events.strings[name], calls.texts[shape])
        for name, shape, adds in pairs.T.tolist()
    ]
    ns = np.array([one * 1e9 / bytes_per_s if one else np.inf for one in moved])[which.reshape(-1)]
    return np.where(known, np.minimum(dur, ns), dur)


def _added_bytes(text: str) -> float:
    """Of every number that is added to another place: written only, as what is added was computed in the kernel."""
    size = next((SIZES[one] for one in operands_of(text).types if one in SIZES), 0)
    return float(size * largest_elements(text))


def _sizes(calls: KernelCalls) -> npt.NDArray[np.int64]:
    """Elements of the largest tensor of each kernel's operator, NONE where that is not known; shape (kernels,)."""
    largest = np.iinfo(np.int64).max  # a damaged recording may tell of more
    elements = np.array([min(largest_elements(text), largest) for text in calls.texts] or [0], dtype=np.int64)
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
    count: npt.NDArray[np.generic],
    compiled_ns: float,
    steps: int,
) -> FusionFacts:
    return FusionFacts(
        ns=ns / steps,
        run_ns=float(total.sum()) / steps,
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
    ends = names_matching(events, _COMPLETE.search)[events.name[calls.rows]][order] | ~kept
    result = np.empty(order.size, dtype=np.intp)
    result[order] = np.cumsum(np.append(True, (lane[1:] != lane[:-1]) | ~kept[1:] | ends[:-1]))
    return result
