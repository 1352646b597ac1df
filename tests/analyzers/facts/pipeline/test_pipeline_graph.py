"""Is the graph of a pipelined step replayed as the schedule runs, and what is no pipeline refused?"""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from llmprof.analyzers.facts.pipeline.pipeline_graph import graph_of, replay, rows_of, starts_of
from llmprof.errors import InputError
from llmprof.timeline.operations import OperationTable
from tests.scenarios.operations import pipeline_table


def without(table: OperationTable, kind: str, stage: int) -> OperationTable:
    """The table without the operations of one kind on one stage."""
    kept = ~((table.kind == table.kinds.index(kind)) & (table.stage == stage))
    columns = {one.name: getattr(table, one.name)[kept] for one in fields(table) if one.name != "kinds"}
    return OperationTable(kinds=table.kinds, **columns)


def test_every_pass_ends_when_it_did() -> None:
    """The table was laid out by the rules of the schedule, so a replay with its own durations changes nothing."""
    table = pipeline_table()
    nodes, rows = rows_of(table)
    graph = graph_of(table, nodes, rows)
    start, end = starts_of(table, rows)
    passes = [place for place, (kind, _, _) in enumerate(nodes) if kind.endswith("compute") or kind == "optimizer"]
    replayed = replay(graph, (end - start).astype(float))
    assert np.abs(replayed[passes] - end[passes]).max() == 0


def test_nodes_are_the_operations_of_one_replica() -> None:
    nodes, rows = rows_of(pipeline_table())
    assert rows.shape == (len(nodes), 2, 3)
    assert ("forward-send", 0, 0) in nodes and ("forward-recv", 0, 1) in nodes


def test_a_send_without_its_receive_is_refused() -> None:
    table = without(pipeline_table(), "forward-recv", 1)
    with pytest.raises(InputError, match="has no forward-recv on stage 1"):
        graph_of(table, *rows_of(table))


def test_a_stage_without_passes_is_refused() -> None:
    table = without(without(pipeline_table(), "forward-compute", 0), "backward-compute", 0)
    with pytest.raises(InputError, match="stage 0 has no forward-compute"):
        graph_of(table, *rows_of(table))


def test_an_interleaved_schedule_is_refused() -> None:
    table = pipeline_table()
    columns = {one.name: getattr(table, one.name) for one in fields(table)}
    with pytest.raises(InputError, match="interleaved"):
        rows_of(OperationTable(**(columns | {"chunk": np.ones_like(table.chunk)})))
