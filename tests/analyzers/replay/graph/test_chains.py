"""Do array operations over stretches of a graph give the ends of an event simulation of it?"""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from llmprof.analyzers.replay.graph import chains
from llmprof.analyzers.replay.graph.chains import ends_of
from llmprof.analyzers.replay.graph.graph import NO_REF, Graph, NodeKind
from tests.analyzers.replay.graph.test_replay import graph_of, graphs, simulated


@settings(max_examples=80, deadline=None)
@given(graphs(), st.integers(1, 4), st.integers(0, 5))
def test_stretches_of_any_length_end_as_in_an_event_simulation(graph: Graph, rounds: int, few: int) -> None:
    with patch.object(chains, "FEW", few):
        np.testing.assert_allclose(ends_of(graph, rounds), simulated(graph, rounds))


@settings(max_examples=80, deadline=None)
@given(graphs(), st.data())
def test_a_graph_made_from_another_one_does_not_inherit_an_order_that_is_none_of_it(
    graph: Graph, data: st.DataObject
) -> None:
    causes = [data.draw(st.integers(-len(graph), node - 1)) for node in range(len(graph))]
    kept = data.draw(st.integers(0, graph.extra_to.size))
    other = replace(
        graph,
        cause=np.array(causes, np.int64),
        extra_to=graph.extra_to[:kept],
        extra_from=graph.extra_from[:kept],
        extra_lag=graph.extra_lag[:kept],
    )
    with patch.object(chains, "FEW", 2):
        ends_of(graph, 2)
        np.testing.assert_allclose(ends_of(other, 2), simulated(other, 2))


def test_graphs_that_differ_in_times_alone_share_their_order() -> None:
    graph = graph_of(
        [NodeKind.CALL, NodeKind.DEVICE] * 2, [-2, -1, 0, 1], [5.0] * 4, [NO_REF, 0, 1, 2], [0.0] * 4, [9.0] * 4
    )
    ends_of(graph, 2)
    slower = replace(graph, dur=2 * graph.dur)
    ends_of(slower, 2)
    assert len(slower.orders) == 1


def test_a_thread_that_nobody_interrupts_is_one_stretch_and_its_stream_another() -> None:
    # 100 calls of 10 ns, each of which launches a kernel of 3 ns.
    n = 100
    kind = [NodeKind.CALL, NodeKind.DEVICE] * n
    before = [-2, -1, *range(2 * n - 2)]
    cause = [NO_REF if node % 2 == 0 else node - 1 for node in range(2 * n)]
    graph = graph_of(kind, before, [0.0] * 2 * n, cause, [0.0] * 2 * n, [10.0, 3.0] * n)
    ends = ends_of(graph, 1)[0]
    np.testing.assert_array_equal(ends[::2], 10.0 * np.arange(1, n + 1))
    np.testing.assert_array_equal(ends[1::2], 10.0 * np.arange(1, n + 1) + 3.0)
    assert graph.orders[0].begins.tolist() == [0, n]
