"""How much longer do kernels take beside a collective, and collectives beside kernels? Learned from the recording.

A collective holds some multiprocessors and memory bandwidth for as long as it runs, its waiting for other ranks
included. A kernel whose blocks just filled the device then needs a second round of them. How much that costs differs
from kernel to kernel, so it is read off calls of the same kernel that ran beside a collective and alone (the overlap
factor of Proteus, arXiv 2306.02267, and of Echo, arXiv 2412.12487, learned from the run itself instead of a benchmark).
A recording names no shapes for its kernels: calls count as the same work when the kernels around them are the same too,
as in the repeated layers of a model, and when those that ran alone were equally long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.communication.rank_calls import collective_rows
from llmprof.analyzers.facts.communication.shared_calls import AROUND, Calls, kernel_calls, transfer_calls
from llmprof.timeline.timeline import RankTimeline

__all__ = ["UNSEEN", "UNSEEN_SLOW", "Interference", "Slowdown", "assumed", "interference_of"]

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

BESIDE, ALONE = 0.8, 0.05
"""A call counts as beside from this share of its time on, and as alone up to the other; what lies between is left."""
LEAST_CALLS = 3
"""On either side: of fewer the median is one call."""
LEAST_PAIRS = 10
LEAST_FACTOR = 1.02
"""What the repetition of one and the same kernel varies by; less is not worth a correction."""
SAME_WORK = 0.1
"""Calls that ran alone and whose middle half differs by more than this were not the same work; nor were calls that
took less beside than alone by more than it. The same kernel of the same shape varies by 1 to 3 %."""
STEADY = 0.3
"""The same for calls beside, which vary more: a collective that waits takes multiprocessors, but no bandwidth."""
MOST_FACTOR = 3.0
"""Nor were calls that took longer beside by more than this: a collective holds a quarter of the multiprocessors at most
(NCCL_MAX_NCHANNELS, NVIDIA NCCL documentation: 32 blocks), which costs a kernel one more round of its blocks, and moves
less than half of what memory gives."""
MOST_UNLIKE = 0.25
"""Of the time of what was compared: with more of it shorter beside than alone, position does not tell the work."""
ERRORS = 2.0
"""Standard errors by which the factor has to be above 1 (95 %)."""
UNSEEN = (1.0, 1.22, 2.0)
"""What a kernel takes beside a collective where the recording shows none beside another: least, usual and most. NCCL
launches 24 blocks on an H100, which leaves 108 of its 132 multiprocessors; of a product with just 132 blocks some wait
for a second round, which doubles it (NVIDIA developer forums, topic 337991)."""
UNSEEN_SLOW = (1.0, 1.2, 1.6)
"""The same over a slow link: own recordings of two H200 that exchange through host memory, of nine runs whose kernels
could be compared: 1.05 to 1.62, median 1.21. NCCL launches its blocks whatever the link gives."""
_NORMAL_IQR, _MEDIAN_ERROR = 1.349, 1.253


@dataclass(frozen=True, slots=True, kw_only=True)
class Slowdown:
    """How many times as long work takes beside the other kind as alone.

    factor       mean, weighted by the time that the work takes alone
    low, high    between these lies half of that time
    pairs        calls that could be compared, beside and alone
    """

    factor: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Interference:
    """What sharing the device costs; a slowdown that is None has its reason, and is not applied.

    kernels       kernels beside collectives; collectives: the transfers of collectives beside kernels
    unseen        whether kernels and collectives were recorded, and hardly a kernel both beside one and alone: where
                  every micro-batch reduces its gradients, all of the backward pass runs beside their reductions
    rows          by rank the factor of every row of its event table, 1 where it is not known; shape (events,)
    """

    kernels: Slowdown | None = None
    kernels_reason: str | None = None
    collectives: Slowdown | None = None
    collectives_reason: str | None = None
    unseen: bool = False
    rows: Mapping[int, Float64] = field(default_factory=dict)


def interference_of(ranks: Sequence[RankTimeline]) -> Interference:
    """Learn from these ranks of one run; what one rank shows of a kernel holds for all."""
    ranks = [rank for rank in ranks if rank.events is not None]
    rows = {rank.rank: np.ones(len(rank.events)) for rank in ranks if rank.events is not None}
    calls = kernel_calls(ranks)
    kernels, why, compared = _learned(calls, rows, "kernels beside collectives", within_rank=True)
    for around in AROUND[1:]:
        if kernels is None and calls is not None:
            again = _learned(kernel_calls(ranks, around), rows, "kernels beside collectives", within_rank=True)
            kernels, compared = again[0], compared or again[2]
    collectives, why_not, _ = _learned(transfer_calls(ranks), rows, "collectives beside kernels", within_rank=False)
    return Interference(
        kernels=kernels,
        kernels_reason=why if kernels is None else None,
        collectives=collectives,
        collectives_reason=why_not,
        unseen=calls is not None and not compared and any(map(_exchanges, ranks)),
        rows=rows,
    )


def assumed(learned: Interference, ranks: Sequence[RankTimeline], factor: float) -> Interference:
    """The same with this factor for all kernels that compute."""
    calls = kernel_calls([rank for rank in ranks if rank.events is not None])
    rows = {number: column.copy() for number, column in learned.rows.items()}
    if calls is not None:
        for number, column in rows.items():
            column[calls.row[calls.rank == number]] = factor
    return replace(learned, rows=rows)


def _learned(
    calls: Calls | None, rows: Mapping[int, Float64], what: str, *, within_rank: bool
) -> tuple[Slowdown | None, str | None, bool]:
    """The slowdown, written down for every call in `rows`; or the reason why there is none.

    And whether calls could be compared.
    """
    if calls is None or not (calls.share >= BESIDE).any():
        return None, f"no {what} were recorded", False
    # Ranks may be unequal, so calls are compared with those of their own rank.
    _, kind = np.unique(calls.labels[0], return_inverse=True)
    group = kind * (int(calls.rank.max()) + 1) + calls.rank if within_rank else kind
    names, index = np.unique(group, return_inverse=True)
    beside, alone = (_Quartiles.of(index[some], calls.dur[some], names.size) for some in _sides(calls))
    known = (beside.count >= LEAST_CALLS) & (alone.count >= LEAST_CALLS)
    known &= (alone.spread <= SAME_WORK) & (beside.spread <= STEADY)
    covered = _Quartiles.of(index[calls.share >= BESIDE], calls.share[calls.share >= BESIDE], names.size).middle
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = (1 - alone.middle / beside.middle) / covered
    factor = np.where(known & (lost < 1), 1 / (1 - np.where(lost < 1, lost, 0.0)), np.nan)
    weight = np.where(known, beside.count * alone.middle, 0.0)
    unlike = known & ~((factor >= 1 - SAME_WORK) & (factor <= MOST_FACTOR))
    if weight[unlike].sum() > MOST_UNLIKE * weight.sum():
        return None, f"{what}: calls of the same kernel are not the same work", False
    known &= ~unlike
    pairs = int(np.minimum(beside.count, alone.count)[known].sum())
    if pairs < LEAST_PAIRS:
        few = f"{what}: {pairs} calls can be compared with such that ran alone, fewer than {LEAST_PAIRS}"
        return None, few, False
    factor, weight = np.where(known, factor, 0.0), np.where(known, weight, 0.0)
    mean = float((factor * weight).sum() / weight.sum())
    own = (factor * beside.error) ** 2 + (factor * alone.error) ** 2
    doubt = float(np.sqrt((weight**2 * np.where(known, own + (factor - mean) ** 2, 0.0)).sum()) / weight.sum())
    if mean < LEAST_FACTOR or mean - ERRORS * doubt < 1:
        return None, f"{what} take x {mean:.2f} as long ({pairs} pairs), which is no certain difference", True
    _write_down(calls, rows, factor[index], weight[index] / np.maximum(np.bincount(index), 1)[index])
    low, high = _weighted(factor[known], weight[known], 0.25), _weighted(factor[known], weight[known], 0.75)
    return Slowdown(factor=mean, low=low, high=high, pairs=pairs), None, True


def _write_down(calls: Calls, rows: Mapping[int, Float64], factor: Float64, weight: Float64) -> None:
    """Give every call the factor of its nearest relatives that have one: its own kind, its name, its class."""
    found = np.where(weight > 0, factor, np.nan)
    for label in calls.labels:
        _, index = np.unique(label, return_inverse=True)
        weights = np.bincount(index, weight)
        with np.errstate(invalid="ignore"):
            mean = np.bincount(index, weight * factor) / weights
        found = np.where(np.isnan(found), mean[index], found)
    found = np.where(np.isnan(found), 1.0, found)
    for rank, column in rows.items():
        mine = calls.rank == rank
        column[calls.row[mine]] = found[mine]


def _exchanges(rank: RankTimeline) -> bool:
    return rank.events is not None and collective_rows(rank.events).size > 0


def _sides(calls: Calls) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    return calls.share >= BESIDE, calls.share <= ALONE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Quartiles:
    """Of groups of values: their number, median, middle half over median, and standard error of the median over it."""

    count: Int64
    middle: Float64
    spread: Float64
    error: Float64

    @classmethod
    def of(cls, group: npt.NDArray[np.intp], value: Float64, groups: int) -> _Quartiles:
        count = np.bincount(group, minlength=groups)
        sorted_values = np.append(value[np.lexsort((value, group))], 0.0)
        first = np.cumsum(count) - count
        low, middle, high = (_at(sorted_values, first, count, share) for share in (0.25, 0.5, 0.75))
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = (high - low) / middle
            error = _MEDIAN_ERROR * spread / _NORMAL_IQR / np.sqrt(count)
        return cls(count=count, middle=middle, spread=spread, error=np.where(count > 0, error, 0.0))


def _at(values: Float64, first: Int64, count: Int64, share: float) -> Float64:
    """A quantile of each group, interpolated between its values."""
    place = share * np.maximum(count - 1, 0)
    low = first + np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, first + np.maximum(count - 1, 0))
    rest = place - np.floor(place)
    result: Float64 = values[low] * (1 - rest) + values[high] * rest
    return result


def _weighted(value: Float64, weight: Float64, share: float) -> float:
    """The weighted quantile of values."""
    order = np.argsort(value)
    reached = np.cumsum(weight[order])
    place = int(np.searchsorted(reached, share * reached[-1]))
    return float(value[order][min(place, value.size - 1)])
