"""Which collectives wait for each other because they share a communicator? Edges in the order of their launches.

NCCL runs the operations of one communicator one after the other, in the order in which they were issued, also where
they stand on different streams (NCCL user guide, "Using NCCL with CUDA streams"): FSDP gathers parameters on one stream
and reduces gradients on another, and both take turns. A group whose recorded collectives overlap is several
communicators, and gets no edge.
"""

from __future__ import annotations

import numpy as np

from llmprof.analyzers.replay.graph.draft import SLACK_NS, Draft
from llmprof.analyzers.replay.graph.graph import Float64, Int64

__all__ = ["communicator_order"]

_POINT_TO_POINT = ("send", "recv", "isend", "irecv", "coalesced")
"""Pairs of ranks have communicators of their own inside a group."""


def communicator_order(draft: Draft) -> tuple[Int64, Float64]:
    """Pairs of nodes (earlier, later) of one communicator on different streams, shape (edges, 2), and the hand-over."""
    known = draft.events.collectives
    work = draft.device()
    groups: dict[str, list[int]] = {}
    for node in work[np.isin(draft.row[work], np.fromiter(known, np.int64, len(known)))].tolist():
        call = known[int(draft.row[node])]
        name = (call.name or "").lower()
        if call.group_name is not None and not name.endswith(_POINT_TO_POINT):
            groups.setdefault(call.group_name, []).append(node)
    pairs = [_pairs(draft, np.array(nodes, np.int64)) for nodes in groups.values()]
    found = np.concatenate([np.empty((0, 2), np.int64), *pairs])
    return found, draft.handover_ns(found)


def _pairs(draft: Draft, nodes: Int64) -> Int64:
    """Neighbours on different streams; none where any two of the group overlap."""
    pairs = np.stack([nodes[:-1], nodes[1:]], axis=1)
    if (draft.end[pairs[:, 0]] > draft.ts[pairs[:, 1]] + SLACK_NS).any():
        return pairs[:0]
    changed: Int64 = pairs[draft.lane[pairs[:, 0]] != draft.lane[pairs[:, 1]]]
    return changed
