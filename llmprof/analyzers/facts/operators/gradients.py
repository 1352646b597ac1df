"""When has a backward pass its gradients, in which order, and how large are they?

Autograd hands every gradient to its parameter by an `AccumulateGrad` node, whose operator the profiler records, with
the shape of the gradient where a step was traced with shapes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llmprof.analyzers.facts.operators.op_bytes import operands_of
from llmprof.analyzers.facts.steps.inside import step_of
from llmprof.timeline.events import NONE, EventTable, Kind
from llmprof.timeline.intervals import Int64
from llmprof.timeline.settings import DdpSettings
from llmprof.timeline.timeline import RankTimeline

__all__ = ["BUCKET_BYTES", "FIRST_BUCKET_BYTES", "Gradients", "gradients_of", "oversized"]

FIRST_BUCKET_BYTES = 1 << 20
BUCKET_BYTES = 25 << 20
"""DistributedDataParallel's first bucket, and all others (PyTorch documentation and source)."""
OVERSIZED = 2
"""Buckets of so many times the default hold the gradients of several layers, which wait for each other."""
ACCUMULATE = "torch::autograd::AccumulateGrad"
_AROUND = f"autograd::engine::evaluate_function: {ACCUMULATE}"
"""Around it with its hooks, of which those of DistributedDataParallel copy the gradient into its bucket, and send that
when it is full (PyTorch source, torch/csrc/distributed/c10d/reducer.cpp)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gradients:
    """The gradients of one step in their order, those of all its backward passes; columns have shape (gradients,).

    done_ns    when the host was done with each, its hooks included; ns from the rank's origin
    sizes      bytes
    elements   numbers in each
    """

    done_ns: Int64
    sizes: Int64
    elements: Int64

    def __len__(self) -> int:
        return int(self.done_ns.size)

    def buckets(self, first: int, cap: int) -> list[int]:
        """The last gradient of each bucket: one is closed when it holds the first, then the other limit."""
        found, held, limit = [], 0, first
        for place, size in enumerate(self.sizes.tolist()):
            held += size
            if held >= limit or place == len(self) - 1:
                found.append(place)
                held, limit = 0, cap
        return found


def gradients_of(rank: RankTimeline, start_ns: Int64, end_ns: Int64) -> list[Gradients] | None:
    """The gradients of each of these steps of the host; None where their sizes or some of them were not recorded."""
    known = _sizes(rank)
    if rank.events is None or known is None:
        return None
    sizes, elements = known
    rows = _rows(rank.events, _AROUND)
    done = np.sort(rank.events.end[rows])
    step = step_of(start_ns, end_ns, done)
    found = []
    for number in range(start_ns.size):
        mine = done[step == number]
        if mine.size != sizes.size:
            return None
        found.append(Gradients(done_ns=mine, sizes=sizes, elements=elements))
    return found


def oversized(settings: DdpSettings | None) -> bool:
    """Whether the buckets of DistributedDataParallel were set to several times their default."""
    return settings is not None and (settings.bucket_cap_bytes or 0) >= OVERSIZED * BUCKET_BYTES


def _sizes(rank: RankTimeline) -> tuple[Int64, Int64] | None:
    """Bytes and numbers of the gradients of one step, in their order."""
    if rank.shaped is None:
        return None
    events, marks = rank.shaped.events, rank.shaped.marks
    rows = _rows(events, ACCUMULATE)
    rows = rows[np.argsort(events.ts[rows], kind="stable")]
    if len(marks):
        rows = rows[step_of(marks.start_ns, marks.end_ns, events.ts[rows]) == 0]
    texts = [events.shapes.get(int(row)) for row in rows]
    try:
        known = [operands_of(text) for text in texts if text is not None]
        sizes = np.array([(one.bytes(0), one.numel(0)) for one in known], np.int64).reshape(-1, 2)
    except (IndexError, KeyError):  # a type that is not known
        return None
    return (sizes[:, 0], sizes[:, 1]) if known and len(known) == len(texts) else None


def _rows(events: EventTable, name: str) -> Int64:
    wanted = events.strings.find(name)
    rows = events.rows(Kind.CPU_OP)
    result: Int64 = rows[events.name[rows] == wanted] if wanted != NONE else rows[:0]
    return result
