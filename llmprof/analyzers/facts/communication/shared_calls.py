"""Which calls share the device, for what share of their time, and which of them are the same work?

A recording names no shapes for its kernels: calls count as the same work when the kernels around them are the same too,
as in the repeated layers of a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.communication.alignment import match_collectives, transfers_of
from llmprof.analyzers.facts.communication.rank_calls import RankCalls, collective_rows, rank_calls
from llmprof.analyzers.facts.device.kernel_names import CLASSES
from llmprof.analyzers.facts.device.kernels import row_classes
from llmprof.timeline.events import EventTable, Kind
from llmprof.timeline.intervals import Int64, lengths_inside
from llmprof.timeline.timeline import RankTimeline

__all__ = ["AROUND", "Calls", "kernel_calls", "transfer_calls"]

Float64 = npt.NDArray[np.float64]
AROUND = (4, 3, 2)
"""Kernels before and after on the same stream that have to be the same: a layer launches some tens, mostly others.
Where so many leave too few calls to say anything certain, the nearer ones have to do; kernels of one name that are not
the same work then show, since those that ran alone differ."""
_COMMUNICATION, _OPTIMIZER = CLASSES.index("communication"), CLASSES.index("optimizer")
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calls:
    """Calls to compare; columns have shape (calls,). `labels`: what they are, from the nearest to the farthest."""

    rank: Int64
    row: Int64
    dur: Float64
    share: Float64
    labels: tuple[Int64, ...]

    def only(self, chosen: npt.NDArray[np.bool_]) -> Calls:
        """Some of them; `chosen` has shape (calls,)."""
        labels = tuple(label[chosen] for label in self.labels)
        return Calls(
            rank=self.rank[chosen], row=self.row[chosen], dur=self.dur[chosen], share=self.share[chosen], labels=labels
        )


def kernel_calls(ranks: Sequence[RankTimeline], around: int = AROUND[0]) -> Calls | None:
    """All kernels that compute, with the share of their time in which a collective ran on the device.

    around    kernels before and after that tell calls of the same work

    Optimizer kernels over lists of tensors are left out: their names tell nothing of what they work on.
    """
    names: dict[str, int] = {}
    parts = []
    for rank in ranks:
        events = rank.events
        assert events is not None
        classes = row_classes(events)
        spans = events.spans(np.flatnonzero(classes == _COMMUNICATION))
        kernels = events.rows(Kind.KERNEL)
        kernels = kernels[(classes[kernels] != _COMMUNICATION) & (events.dur[kernels] > 0)]
        number = np.zeros(len(events.strings), np.int64)
        for name in np.unique(events.name[kernels]).tolist():
            number[name] = names.setdefault(events.strings[name], len(names))
        own = number[events.name[kernels]]
        place = _places(events, kernels, own, around)
        kept = classes[kernels] != _OPTIMIZER
        covered = lengths_inside(spans, events.ts[kernels], events.end[kernels])
        found = Calls(
            rank=np.full(kernels.size, rank.rank, np.int64),
            row=kernels.astype(np.int64),
            dur=events.dur[kernels].astype(np.float64),
            share=covered / np.maximum(events.dur[kernels], 1),
            labels=(place, own, classes[kernels].astype(np.int64)),
        )
        parts.append(found.only(kept))
    return _joined(parts)


def _places(events: EventTable, kernels: npt.NDArray[np.intp], number: Int64, around: int) -> Int64:
    """Where in the model each kernel stands: one hash of its name and those around it on its stream."""
    found = np.empty(kernels.size, dtype=np.uint64)
    lanes = events.lane[kernels]
    for lane in np.unique(lanes):
        mine = np.flatnonzero(lanes == lane)
        padded = np.concatenate([np.full(around, -1), number[mine], np.full(around, -1)]).astype(np.uint64)
        value = np.zeros(mine.size, dtype=np.uint64)
        for offset in range(2 * around + 1):
            value = (value ^ padded[offset : offset + mine.size]) * _MIX
            value ^= value >> np.uint64(29)
        found[mine] = value
    return found.view(np.int64)


def transfer_calls(ranks: Sequence[RankTimeline]) -> Calls | None:
    """The transfers of collectives of all these ranks, with the share of them in which any rank computed.

    A transfer is the same on every rank, and stands for the first of them.
    """
    calls = [found for rank in ranks if (found := rank_calls(rank)) is not None]
    if len(calls) < 2 or len(calls) < len(ranks):
        return None
    matches = match_collectives(calls)
    lengths = transfers_of(calls, matches)
    shares = {rank.rank: _computing(rank, one, lengths.get(one.rank)) for rank, one in zip(ranks, calls, strict=True)}
    by_number = {one.rank: (rank, one) for rank, one in zip(ranks, calls, strict=True)}
    sizes: dict[tuple[str, int | None], int] = {}
    operations: dict[str, int] = {}
    parts = []
    for match in matches:
        share = np.max([shares[number][some] for number, some in zip(match.ranks, match.calls, strict=True)], axis=0)
        number, some = match.ranks[0], match.calls[0]
        rank, one = by_number[number]
        assert rank.events is not None
        size = [sizes.setdefault((kind.op, kind.bytes), len(sizes)) for kind in one.kinds]
        operation = [operations.setdefault(kind.op, len(operations)) for kind in one.kinds]
        kinds = one.kind[some]
        parts.append(
            Calls(
                rank=np.full(some.size, number, np.int64),
                row=collective_rows(rank.events)[-len(one) :][some].astype(np.int64),
                dur=lengths[number][some].astype(np.float64),
                share=share,
                labels=(np.array(size, np.int64)[kinds], np.array(operation, np.int64)[kinds]),
            )
        )
    return _joined(parts)


def _computing(rank: RankTimeline, calls: RankCalls, transfer: Int64 | None) -> Float64:
    """The share of each transfer, which ends its call, in which the rank computed."""
    events = rank.events
    assert events is not None
    if transfer is None or not len(calls):
        return np.zeros(len(calls))
    kernels = events.rows(Kind.KERNEL)
    spans = events.spans(kernels[row_classes(events)[kernels] != _COMMUNICATION])
    end, length = calls.start_ns + calls.dur_ns, np.maximum(transfer, 0)
    result: Float64 = lengths_inside(spans, end - length, end) / np.maximum(length, 1)
    return result


def _joined(parts: Sequence[Calls]) -> Calls | None:
    if not parts or not sum(part.row.size for part in parts):
        return None
    return Calls(
        rank=np.concatenate([part.rank for part in parts]),
        row=np.concatenate([part.row for part in parts]),
        dur=np.concatenate([part.dur for part in parts]),
        share=np.concatenate([part.share for part in parts]),
        labels=tuple(np.concatenate(labels) for labels in zip(*(part.labels for part in parts), strict=True)),
    )
