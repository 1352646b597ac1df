"""Which forward operator does a node of the backward graph belong to? Paired by kind and by order.

Autograd runs the node that was made last first, so that of the nodes of one kind the first one to run belongs to the
last forward operator of that kind. Pairs are made only where a step has as many nodes as operators: an operator whose
inputs need no gradient has no node, and then it is not known which one that is.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.operators.operator_tree import names_matching
from llmprof.analyzers.facts.operators.recompute import BACKWARD
from llmprof.analyzers.facts.steps.inside import step_of
from llmprof.timeline.events import NONE, EventTable, Kind
from llmprof.timeline.intervals import Int64

__all__ = ["forward_of"]

_NODE = re.compile(r"^(?:autograd::engine::evaluate_function: )?(?P<kind>\w+?)Backward\d+$")
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def forward_of(events: EventTable, start_ns: Int64, end_ns: Int64) -> dict[int, int]:
    """Rows of forward operators by the row of the `evaluate_function` operator around their backward node."""
    nodes = events.rows_named((Kind.CPU_OP,), names_matching(events, BACKWARD.match))
    operators = events.rows(Kind.CPU_OP)
    if not nodes.size:
        return {}
    spans = {int(lane): events.spans(nodes[events.lane[nodes] == lane]) for lane in np.unique(events.lane[nodes])}
    forward = np.ones(operators.size, dtype=bool)
    for lane, inside in spans.items():
        forward &= ~((events.lane[operators] == lane) & inside.contains(events.ts[operators]))
    operators = operators[forward]
    result: dict[int, int] = {}
    for name in np.unique(events.name[nodes]):
        match = _NODE.match(events.strings[int(name)])
        if match is None:
            continue
        mine = nodes[events.name[nodes] == name]
        for candidate in _operators(match["kind"]):
            identity = events.strings.find(candidate)
            theirs = operators[events.name[operators] == identity] if identity != NONE else operators[:0]
            pairs = _paired(events, mine, theirs, start_ns, end_ns)
            if pairs:
                result.update(pairs)
                break
    return result


def _operators(kind: str) -> tuple[str, ...]:
    """Names that the operator of a node may have: `NllLoss` is nll_loss, _nll_loss, nll_loss_forward or nll_loss_."""
    snake = _WORD.sub("_", kind).lower()
    snake = re.sub(r"(\d)_d(?=_|$)", r"\1d", snake)
    return tuple(f"aten::{name}" for name in (snake, f"_{snake}", f"{snake}_forward", f"{snake}_"))


def _paired(
    events: EventTable, nodes: npt.NDArray[np.intp], operators: npt.NDArray[np.intp], start_ns: Int64, end_ns: Int64
) -> dict[int, int]:
    """The last operator of each step with its first node, and so on; steps of other counts are left out."""
    node_step = step_of(start_ns, end_ns, events.ts[nodes])
    step = step_of(start_ns, end_ns, events.ts[operators])
    result: dict[int, int] = {}
    for place in np.unique(node_step[node_step != NONE]):
        mine, theirs = nodes[node_step == place], operators[step == place]
        if mine.size == theirs.size:
            result.update(zip(mine.tolist(), theirs[::-1].tolist(), strict=True))
    return result
