"""Which operation of a pipelined training step waits for which? The dependency graph of one replica, and its replay.

The graph is that of one step of one replica (all pipeline stages of one data-parallel rank); every step and replica
has the same one. Operations of the same name on several stages, or on all replicas, meet: a transfer begins when the
last member has arrived ("Understanding Stragglers in Large Model Training Using What-if Analysis", OSDI 2025, describes
this model of Megatron's one-forward-one-backward schedule).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from llmprof.errors import InputError
from llmprof.timeline.intervals import Int64
from llmprof.timeline.operations import OperationTable

__all__ = [
    "BETWEEN_STAGES",
    "COMPUTE",
    "PipelineGraph",
    "Times",
    "graph_of",
    "replay",
    "rows_of",
    "starts_of",
    "whole_steps",
]

BETWEEN_STAGES = ("forward-send", "forward-recv", "backward-send", "backward-recv")
_PEER = {"forward-send": ("forward-recv", 1), "backward-send": ("backward-recv", -1)}
"""With whom a send meets: the receive of the same place on the stage that lies so many further."""
COMPUTE = ("forward-compute", "backward-compute")
_REPLICAS = ("params-all-gather", "grads-reduce-scatter", "separate-grads-all-reduce")
_EMBEDDING, _CLIP = "embedding-grads-all-reduce", "optimizer-clip-main-grad"
_TAIL = ("gc", "layernorm-grads-all-reduce", _EMBEDDING, "grads-reduce-scatter", _CLIP, "optimizer")
_OVERLAPPED_TAIL = (
    "gc",
    "layernorm-grads-all-reduce",
    _EMBEDDING,
    "separate-grads-all-reduce",
    _CLIP,
    "optimizer",
)
"""What follows the last backward pass of a stage, in order; with gradients reduced during it and without."""

Key = tuple[str, int, int]
"""Kind, place in its step, stage."""
Times = npt.NDArray[np.float64]
"""Of every node, on every replica in every step; shape (nodes, replicas, steps), ns."""


@dataclass(frozen=True, slots=True, eq=False)
class PipelineGraph:
    """Operations as nodes; those of one `meeting` begin their transfer together."""

    nodes: tuple[Key, ...]
    waits_for: tuple[tuple[int, ...], ...]
    """Nodes that end before a node can begin."""
    meetings: tuple[tuple[int, ...], ...]
    """Every node in exactly one, ordered so that what a meeting waits for comes before it."""
    transfer: npt.NDArray[np.bool_]
    """Whether a node is communication that waits for others; shape (nodes,)."""
    across: npt.NDArray[np.bool_]
    """Whether it also waits for the other replicas; shape (nodes,)."""


def rows_of(table: OperationTable) -> tuple[tuple[Key, ...], npt.NDArray[np.intp]]:
    """The nodes of a table, and the row of each on every replica in every step; shape (nodes, replicas, steps).

    Raises InputError when steps or replicas do not all have the same operations, or the schedule is interleaved.
    """
    if len(table) == 0:
        raise InputError("the table has no operations; record at least one whole step.")
    if (table.chunk > 0).any():
        raise InputError("the pipeline is interleaved (several model chunks a stage), which is not replayed.")
    steps, step = np.unique(table.step, return_inverse=True)
    replicas, replica = np.unique(table.replica, return_inverse=True)
    names = np.stack([table.kind, table.sequence, table.stage], axis=1)
    unique, node = np.unique(names, axis=0, return_inverse=True)
    node = node.reshape(-1)
    uneven = InputError("the steps do not all have the same operations on all replicas; give whole steps only.")
    if len(unique) * replicas.size * steps.size != len(table):
        raise uneven
    rows = np.full((len(unique), replicas.size, steps.size), -1, dtype=np.intp)
    rows[node, replica, step] = np.arange(len(table))
    if (rows < 0).any():
        raise uneven
    nodes = tuple((table.kinds[int(kind)], int(place), int(stage)) for kind, place, stage in unique)
    return nodes, rows


def whole_steps(table: OperationTable) -> tuple[OperationTable, int]:
    """The table without the steps that have other operations than most, and how many those are."""
    steps, step = np.unique(table.step, return_inverse=True)
    names = np.stack([table.kind, table.sequence, table.stage, table.replica], axis=1)
    _, name = np.unique(names, axis=0, return_inverse=True)
    order = np.lexsort((name.reshape(-1), step))
    held = [part.tobytes() for part in np.split(name.reshape(-1)[order], np.cumsum(np.bincount(step))[:-1])]
    usual = max(held, key=held.count, default=b"")
    kept = np.array([one == usual for one in held], dtype=bool)
    if kept.all():
        return table, 0
    return table.where(kept[step]), int(steps.size - kept.sum())


def graph_of(table: OperationTable, nodes: tuple[Key, ...], rows: npt.NDArray[np.intp]) -> PipelineGraph:
    """The graph of a table whose `nodes` and `rows` are given; the order is that of the first step."""
    first = rows[:, 0, 0]
    start = dict(zip(nodes, table.start_ns[first].tolist(), strict=True))
    place = {node: index for index, node in enumerate(nodes)}
    edges: dict[Key, set[Key]] = {node: set() for node in nodes}
    replicated = rows.shape[1] > 1
    last_stage = max(stage for _, _, stage in nodes)
    for stage in range(last_stage + 1):
        own = sorted((node for node in nodes if node[2] == stage), key=lambda node: (start[node], node[1], node[0]))
        _stage_edges(edges, own, replicated=replicated)
    together = _together(nodes, last_stage)
    ordered = _ordered(nodes, edges, together)
    transfer = np.array([kind in (*BETWEEN_STAGES, *_REPLICAS, _EMBEDDING, _CLIP) for kind, _, _ in nodes])
    return PipelineGraph(
        nodes=nodes,
        waits_for=tuple(tuple(sorted(place[other] for other in edges[node])) for node in nodes),
        meetings=tuple(tuple(place[node] for node in meeting) for meeting in ordered),
        transfer=transfer,
        across=np.array([kind in (*_REPLICAS, _CLIP) for kind, _, _ in nodes]),
    )


def replay(graph: PipelineGraph, work: Times) -> Times:
    """When each operation ends, from the begin of its step, if it takes `work` (of communication: its transfer)."""
    end = np.zeros_like(work)
    for meeting in graph.meetings:
        begins = []
        for node in meeting:
            waited = graph.waits_for[node]
            begins.append(end[list(waited)].max(axis=0) if waited else np.zeros(work.shape[1:]))
        head = meeting[0]
        common = np.maximum.reduce(begins) if graph.transfer[head] else begins[0]
        if graph.across[head]:
            common = np.broadcast_to(common.max(axis=0), common.shape)
        for node in meeting:
            end[node] = common + work[node]
    return end


def _stage_edges(edges: dict[Key, set[Key]], own: list[Key], *, replicated: bool) -> None:
    """What waits for what on one stage; `own` are its operations in order of their start."""
    kinds: dict[str, list[Key]] = {}
    for node in own:
        kinds.setdefault(node[0], []).append(node)
    compute = [node for node in own if node[0] in COMPUTE]
    if not compute:
        raise InputError(f"stage {own[0][2] if own else 0} has no forward-compute or backward-compute operations.")
    _chain(edges, compute)
    for kind in BETWEEN_STAGES:
        _chain(edges, kinds.get(kind, []))
        _between_stages(edges, kind, kinds)
    first_backward = next((i for i, node in enumerate(compute) if node[0] == "backward-compute"), 0)
    if first_backward >= 2:
        # A stage asks for its first gradient only after the forward pass before the last of its warm-up.
        for kind in ("backward-recv", "backward-send"):
            for node in kinds.get(kind, [])[:1]:
                edges[node].add(compute[first_backward - 2])
    gathers = kinds.get("params-all-gather", [])
    if replicated:
        _chain(edges, [node for node in own if node[0] in ("params-all-gather", "grads-reduce-scatter")])
        edges[compute[0]].update(gathers[-1:])
    _after_the_last(edges, compute[-1], kinds, replicated=replicated)


def _between_stages(edges: dict[Key, set[Key]], kind: str, kinds: Mapping[str, list[Key]]) -> None:
    """A send waits for the pass that makes its tensor; a receive for the pass before the one that needs it."""
    moved = kinds.get(kind, [])
    passes = kinds.get(kind.split("-")[0] + "-compute", [])
    if moved and len(moved) != len(passes):
        raise InputError(f"stage {moved[0][2]} has {len(moved)} {kind} for {len(passes)} passes, which is no pipeline.")
    for index, (move, one) in enumerate(zip(moved, passes, strict=False)):
        if kind.endswith("send"):
            edges[move].add(one)
            continue
        edges[one].add(move)
        if index:
            edges[move].add(passes[index - 1])


def _after_the_last(edges: dict[Key, set[Key]], last: Key, kinds: Mapping[str, list[Key]], *, replicated: bool) -> None:
    """Garbage collection, the remaining gradients, clipping and the optimizer follow the last backward pass."""
    overlapped = "separate-grads-all-reduce" in kinds
    order = _OVERLAPPED_TAIL if overlapped else _TAIL
    skipped = () if replicated else _REPLICAS
    tail = [node for kind in order if kind not in skipped for node in kinds.get(kind, [])]
    if tail:
        edges[tail[0]].add(last)
    _chain(edges, tail)
    if overlapped and replicated:
        reduced = kinds.get("grads-reduce-scatter", [])
        for node in reduced[:1]:
            edges[node].add(last)
        after = kinds.get("layernorm-grads-all-reduce", tail)[:1]
        for node in after:
            edges[node].update(reduced[-1:])


def _chain(edges: dict[Key, set[Key]], nodes: list[Key]) -> None:
    for before, after in pairwise(nodes):
        edges[after].add(before)


def _together(nodes: tuple[Key, ...], last_stage: int) -> list[tuple[Key, ...]]:
    """The nodes that meet: each send with its receive, the first and last stage, and all stages when they clip."""
    known: set[Key] = set(nodes)
    met: list[tuple[Key, ...]] = []
    for kind, place, stage in nodes:
        if kind in _PEER:
            peer, further = _PEER[kind]
            pair = ((kind, place, stage), (peer, place, stage + further))
            if pair[1] not in known:
                raise InputError(f"{kind} {place} of stage {stage} has no {peer} on stage {stage + further}.")
            met.append(pair)
        elif stage == 0 and kind in (_EMBEDDING, _CLIP):
            stages: Iterable[int] = {0, last_stage} if kind == _EMBEDDING else range(last_stage + 1)
            met.append(tuple(sorted((kind, place, one) for one in stages if (kind, place, one) in known)))
    inside = {node for meeting in met for node in meeting}
    return [*met, *((node,) for node in nodes if node not in inside)]


def _ordered(
    nodes: tuple[Key, ...], edges: Mapping[Key, set[Key]], together: list[tuple[Key, ...]]
) -> list[tuple[Key, ...]]:
    """The meetings in an order in which each comes after those that its members wait for."""
    meeting_of = {node: index for index, meeting in enumerate(together) for node in meeting}
    before = [{meeting_of[other] for node in meeting for other in edges[node]} for meeting in together]
    after: list[list[int]] = [[] for _ in together]
    for index, others in enumerate(before):
        for other in others:
            after[other].append(index)
    left = [len(others) for others in before]
    ready = [index for index, count in enumerate(left) if count == 0]
    result = []
    while ready:
        index = ready.pop()
        result.append(together[index])
        for other in after[index]:
            left[other] -= 1
            if left[other] == 0:
                ready.append(other)
    if len(result) != len(together):
        raise InputError("the operations of the first step wait for each other in a circle; give whole steps only.")
    return result


def starts_of(table: OperationTable, rows: npt.NDArray[np.intp]) -> tuple[Int64, Int64]:
    """Start and end of every node from the begin of its step; shape (nodes, replicas, steps), ns."""
    start = table.start_ns[rows]
    begin = start.min(axis=(0, 1))
    return start - begin, start + table.dur_ns[rows] - begin
