"""Which kinds of messages does a rank exchange? Collectives by operation, format and process group, and by size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.communication.call_times import CallTimes
from llmprof.analyzers.facts.communication.collective_calls import CollectiveKind, bus_factor
from llmprof.timeline.events import NONE
from llmprof.timeline.intervals import Int64, Intervals, lengths_inside
from llmprof.units import NS_PER_S

__all__ = ["BOTH_PASSES", "LARGE_BYTES", "CollectiveGroup", "SizeClass", "groups_of", "sizes_of", "with_rates"]

LARGE_BYTES = 16 << 20
"""From this size on bandwidth and not latency sets the time: stas00/ml-engineering measures the full bandwidth of four
nodes from 16 MiB on."""
BOTH_PASSES = 0.2
"""A pass that launches less than this share of a group's calls is not what the group is for."""
FASTEST = 90
"""Percentile of the rates of large messages that stands for the link: computation beside a message slows it."""
_Key = tuple[str, str | None, int | None, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveGroup:
    """Collectives of one operation and number format; per step, on one rank."""

    op: str
    dtype: str | None
    count: float
    bytes: float | None
    """Message bytes summed; None when the recording does not carry sizes."""
    ns: float
    """Summed kernel time, waiting for peers included."""
    exposed_ns: float
    bus_bytes_per_s: float | None = None
    """Bus bandwidth by nccl-tests' formulas on the shortest duration over ranks; None without sizes."""
    group_size: int | None = None
    best_bus_bytes_per_s: float | None = None
    """Bus bandwidth of the fastest tenth of its messages of at least LARGE_BYTES: what the link does when nothing else
    uses it. None without such messages."""
    largest_bytes: int | None = None
    backward_share: float | None = None
    """Of its calls, those that the backward pass launched; None where the recording does not tell."""
    backward_exposed_ns: float | None = None
    """Exposed time of those."""
    late_issue_ns: float | None = None
    """Exposed time that an earlier begin could hide: computation ran between a call and the one before it of its
    operation, beside no other collective. Only where a call needs nothing from that computation."""
    group_name: str | None = None
    description: str | None = None
    """What the program calls the group: default_pg, mesh_tp, ..."""
    ranks: tuple[int, ...] | None = None
    """Global ranks of the group."""

    @property
    def of_both_passes(self) -> bool:
        """Whether forward and backward pass both use it: activations of tensor parallelism, no gradients."""
        share = self.backward_share
        return share is not None and BOTH_PASSES <= share <= 1 - BOTH_PASSES


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeClass:
    """Messages of similar size: from a quarter of `up_to` bytes up to it; per step."""

    up_to: int
    count: float
    bytes: float
    ns: float
    exposed_ns: float


def groups_of(calls: CallTimes, compute: Intervals) -> tuple[CollectiveGroup, ...]:
    """The collectives of the traced windows by operation, format and process group, per step; the costliest first.

    compute    when the device ran other kernels
    """
    steps = len(np.unique(calls.window))
    late = _late_issue(calls, compute)
    result = []
    for chosen, kind in _by_key(calls):
        told = calls.backward[chosen]
        backward = chosen & (calls.backward == 1)
        known = not (told == NONE).any()
        sizes = calls.sizes[chosen]
        group = CollectiveGroup(
            op=kind.op,
            dtype=kind.dtype,
            count=int(chosen.sum()) / steps,
            bytes=None if (sizes == NONE).any() else float(sizes.sum()) / steps,
            ns=float(calls.dur_ns[chosen].sum()) / steps,
            exposed_ns=float(calls.exposed_ns[chosen].sum()) / steps,
            group_size=kind.group_size,
            largest_bytes=int(sizes.max()) if (sizes != NONE).any() else None,
            backward_share=float((told == 1).mean()) if known else None,
            backward_exposed_ns=float(calls.exposed_ns[backward].sum()) / steps if known else None,
            late_issue_ns=float(late[chosen].sum()) / steps,
            group_name=kind.group[0],
            description=kind.description,
            ranks=kind.group[1],
        )
        result.append(group)
    return tuple(sorted(result, key=lambda group: -group.ns))


def with_rates(group: CollectiveGroup, calls: CallTimes) -> CollectiveGroup:
    """The same with its bandwidths, over the collectives that a peer recorded too; without any, as it is.

    One rank alone cannot tell the transfer from waiting for its peers, so it gets no figure.
    """
    chosen, kind = next((c, k) for c, k in _by_key(calls) if _key(k) == _key_of(group))
    factor = bus_factor(kind)
    known = chosen & (calls.sizes > 0) & (calls.transfer_ns > 0)
    if not known.any():
        return group
    sizes, ns = calls.sizes[known], calls.transfer_ns[known]
    rate = float(sizes.sum() / ns.sum()) * NS_PER_S
    large = sizes >= LARGE_BYTES
    best = float(np.percentile(sizes[large] / ns[large], FASTEST)) * NS_PER_S if large.any() else None
    return replace(
        group,
        bus_bytes_per_s=None if factor is None else factor * rate,
        best_bus_bytes_per_s=None if factor is None or best is None else factor * best,
    )


def sizes_of(calls: CallTimes) -> tuple[SizeClass, ...]:
    """The messages of known size in classes whose bounds are powers of four, ascending; per step."""
    sizes, steps = calls.sizes, len(np.unique(calls.window))
    known = sizes > 0
    if not known.any():
        return ()
    power = np.ceil(np.log2(np.maximum(sizes, 1)) / 2).astype(int)
    return tuple(
        SizeClass(
            up_to=4 ** int(one),
            count=int(chosen.sum()) / steps,
            bytes=float(sizes[chosen].sum()) / steps,
            ns=float(calls.dur_ns[chosen].sum()) / steps,
            exposed_ns=float(calls.exposed_ns[chosen].sum()) / steps,
        )
        for one in np.unique(power[known])
        for chosen in [known & (power == one)]
    )


def _by_key(calls: CallTimes) -> list[tuple[npt.NDArray[np.bool_], CollectiveKind]]:
    """For each group which calls belong to it, and one of its kinds."""
    places: dict[_Key, list[int]] = {}
    for place, kind in enumerate(calls.kinds):
        places.setdefault(_key(kind), []).append(place)
    masks = [(np.isin(calls.kind, members), calls.kinds[members[0]]) for members in places.values()]
    return [(mask, kind) for mask, kind in masks if mask.any()]


def _key(kind: CollectiveKind) -> _Key:
    return kind.op, kind.dtype, kind.group_size, kind.group[0]


def _key_of(group: CollectiveGroup) -> _Key:
    return group.op, group.dtype, group.group_size, group.group_name


def _late_issue(calls: CallTimes, compute: Intervals) -> Int64:
    """Exposed time of each call that could be hidden if it began when the one before it of its operation had ended.

    That is what computation ran between the two beside no other collective: the link was free, and waited.
    """
    late = np.zeros(len(calls), np.int64)
    hidden = np.concatenate([[0], np.cumsum(calls.dur_ns - calls.exposed_ns)])
    for op in sorted({kind.op for kind in calls.kinds}):
        rows = np.flatnonzero(calls.of(op))
        before, row = rows[:-1], rows[1:]
        end = np.minimum(calls.start_ns[before] + calls.dur_ns[before], calls.start_ns[row])
        computed = lengths_inside(compute, end, calls.start_ns[row])
        free = np.maximum(0, computed - (hidden[row] - hidden[before + 1]))
        same = calls.window[before] == calls.window[row]
        late[row] = np.where(same, np.minimum(calls.exposed_ns[row], free), 0)
    return late
