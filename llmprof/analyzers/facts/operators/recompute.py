"""When does backward compute forward again? Activation checkpointing, found in the operators.

A checkpointed block runs its forward operators a second time inside backward: inside the node that first needs a saved
tensor (the hook of `torch.utils.checkpoint`), or inside `CheckpointFunctionBackward`. Backward formulas call neither
`aten::linear` nor `aten::layer_norm` nor their like, so these inside a backward node prove it. What the node does from
its begin up to the end of the last of them is the recomputation.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.operators.operator_tree import OperatorTree, innermost, names_matching
from llmprof.timeline.events import NONE, EventTable, Kind
from llmprof.timeline.intervals import Intervals

__all__ = ["BACKWARD", "entry_spans", "recompute_spans"]

BACKWARD = re.compile(r"^autograd::engine::evaluate_function: ")
"""The operator around one node of the backward graph."""

_FORWARD = re.compile(
    r"^aten::(linear|layer_norm|native_layer_norm|rms_norm|_fused_rms_norm|group_norm|batch_norm|gelu|silu|relu|"
    r"leaky_relu|dropout|native_dropout|scaled_dot_product_attention|conv[123]d|embedding|softmax|max_pool2d|"
    r"multi_head_attention_forward)$"
)

_ENTERING = re.compile(r"^(cuda|hip)StreamIsCapturing$")
_KEEPING = re.compile(r"^(_NoopSaveInputs|aten::empty)$")
"""The operators with which a checkpoint keeps what it will need (torch.utils.checkpoint)."""


def recompute_spans(events: EventTable, tree: OperatorTree) -> dict[int, Intervals]:
    """When each host lane recomputed, by lane; empty where nothing was."""
    rows = events.rows_named((Kind.CPU_OP,), names_matching(events, _FORWARD.match))
    nodes = names_matching(events, BACKWARD.match)
    if not rows.size or not nodes.any():
        return {}
    paths = tree.parents(rows)
    inside = innermost(paths, nodes[events.name[np.maximum(paths, 0)]])
    found = inside != NONE
    rows, inside = rows[found], inside[found]
    if not rows.size:
        return {}
    node, where = np.unique(inside, return_inverse=True)
    last = np.zeros(node.size, dtype=np.int64)
    np.maximum.at(last, where, events.end[rows])
    return {
        int(lane): Intervals.of(*_picked(events, node, last, events.lane[node] == lane))
        for lane in np.unique(events.lane[node])
    }


def entry_spans(events: EventTable, tree: OperatorTree) -> dict[int, Intervals]:
    """When each host lane entered checkpoints in forward, by lane: from the operator before up to what they keep."""
    asks = events.rows_named((Kind.RUNTIME,), names_matching(events, _ENTERING.match))
    asks = asks[(tree.paths(events.lane[asks], events.ts[asks]) == NONE).all(axis=1)]
    operators = events.rows(Kind.CPU_OP)
    keeping = names_matching(events, _KEEPING.match)[events.name[operators]]
    found = {}
    for lane in np.unique(events.lane[asks]).tolist():
        begin = events.ts[asks[events.lane[asks] == lane]]
        here = events.lane[operators] == lane
        others = np.sort(events.ts[operators[here & ~keeping]])
        ended = np.sort(events.end[operators[here & ~keeping]])
        kept = np.sort(events.end[operators[here & keeping]])
        before, after = np.searchsorted(ended, begin, side="right"), np.searchsorted(others, begin)
        limit = others[np.minimum(after, others.size - 1)] if others.size else begin
        last = np.searchsorted(kept, limit, side="right") - 1
        end = kept[np.maximum(last, 0)] if kept.size else begin
        known = (before > 0) & (after < others.size) & (last >= 0) & (end > begin)
        found[lane] = Intervals.of(ended[before[known] - 1], end[known])
    return found


def _picked(
    events: EventTable, node: npt.NDArray[np.int32], last: npt.NDArray[np.int64], mask: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return events.ts[node[mask]], last[mask]
