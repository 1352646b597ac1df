"""Does the walk over the arrays give what an event simulation of the same graph gives?"""

from __future__ import annotations

import heapq

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from llmprof.analyzers.replay.graph.graph import NO_REF, Graph, NodeKind
from llmprof.analyzers.replay.graph.replay import replay


def graph_of(
    kind: list[int],
    before: list[int],
    before_lag: list[float],
    cause: list[int],
    cause_lag: list[float],
    dur: list[float],
    extra: list[tuple[int, int, float]] = (),  # type: ignore[assignment]
    steps: int = 1,
) -> Graph:
    n = len(kind)
    ordered = sorted(extra)
    return Graph(
        ranks=(0,),
        steps=steps,
        kind=np.array(kind, np.uint8),
        rank=np.zeros(n, np.int32),
        row=np.arange(n, dtype=np.int32),
        lane=np.zeros(n, np.int32),
        step=np.zeros(n, np.int32),
        region=np.zeros(n, np.uint8),
        before=np.array(before, np.int64),
        before_lag=np.array(before_lag, np.float64),
        cause=np.array(cause, np.int64),
        cause_lag=np.array(cause_lag, np.float64),
        dur=np.array(dur, np.float64),
        recorded_start=np.zeros(n, np.int64),
        recorded_end=np.zeros(n, np.int64),
        lead_events=np.zeros(n),
        own_events=np.zeros(n),
        launched=np.zeros(n),
        extra_to=np.array([one[0] for one in ordered], np.int64),
        extra_from=np.array([one[1] for one in ordered], np.int64),
        extra_lag=np.array([one[2] for one in ordered], np.float64),
    )


def simulated(graph: Graph, rounds: int) -> np.ndarray:
    """Ends of all nodes by an event simulation: a node begins when the last of what it waits for has ended."""
    n = len(graph)
    needs: dict[int, list[tuple[int, float]]] = {}
    for number in range(rounds):
        for node in range(n):
            edges = [(graph.before[node], graph.before_lag[node]), (graph.cause[node], graph.cause_lag[node])]
            edges += [
                (graph.extra_from[e], graph.extra_lag[e]) for e in np.flatnonzero(graph.extra_to == node).tolist()
            ]
            needs[number * n + node] = [
                (-1 if ref == NO_REF or number * n + ref < 0 else int(number * n + ref), float(lag))
                for ref, lag in edges
            ]
    waiting = {node: sum(source >= 0 for source, _ in edges) for node, edges in needs.items()}
    followers: dict[int, list[int]] = {}
    for node, edges in needs.items():
        for source, _ in edges:
            if source >= 0:
                followers.setdefault(source, []).append(node)
    end = np.zeros(rounds * n)
    events: list[tuple[float, int]] = []

    def begin(node: int) -> None:
        start = max((end[source] if source >= 0 else 0.0) + lag for source, lag in needs[node])
        end[node] = start + graph.dur[node % n]
        heapq.heappush(events, (end[node], node))

    for node, count in waiting.items():
        if count == 0:
            begin(node)
    while events:
        _, node = heapq.heappop(events)
        for follower in followers.get(node, []):
            waiting[follower] -= 1
            if waiting[follower] == 0:
                begin(follower)
    return end.reshape(rounds, n)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Any graph in topological order, with references into the two rounds before."""
    n = draw(st.integers(1, 12))
    ns = st.integers(0, 1000).map(float)

    def reference(node: int) -> int:
        return draw(st.one_of(st.just(NO_REF), st.integers(-2 * n, node - 1)))

    extra = []
    for _ in range(draw(st.integers(0, 6))):
        to = draw(st.integers(0, n - 1))
        extra.append((to, reference(to), draw(ns)))
    return graph_of(
        kind=[draw(st.sampled_from([NodeKind.CALL, NodeKind.DEVICE])) for _ in range(n)],
        before=[reference(node) for node in range(n)],
        before_lag=[draw(ns) for _ in range(n)],
        cause=[reference(node) for node in range(n)],
        cause_lag=[draw(ns) for _ in range(n)],
        dur=[draw(ns) for _ in range(n)],
        extra=extra,
    )


@settings(max_examples=80, deadline=None)
@given(graphs(), st.integers(1, 3))
def test_every_end_is_that_of_an_event_simulation(graph: Graph, rounds: int) -> None:
    np.testing.assert_allclose(replay(graph, rounds).end_ns, simulated(graph, rounds))


@settings(max_examples=30, deadline=None)
@given(graphs(), st.integers(0, 11), st.integers(1, 500))
def test_longer_work_never_makes_anything_end_earlier(graph: Graph, node: int, more: int) -> None:
    before = replay(graph).end_ns.copy()
    graph.dur[node % len(graph)] += more
    assert (replay(graph).end_ns >= before).all()


def test_the_step_of_a_device_bound_loop_is_the_device_work() -> None:
    # A call of 10 ns launches a kernel of 100 ns, round after round.
    graph = graph_of([NodeKind.CALL, NodeKind.DEVICE], [-2, -1], [0, 0], [NO_REF, 0], [0, 5], [10, 100])
    assert replay(graph, rounds=3).step_ns == 100


def test_the_step_of_a_launch_bound_loop_is_the_host_work() -> None:
    graph = graph_of([NodeKind.CALL, NodeKind.DEVICE], [-2, -1], [490, 0], [NO_REF, 0], [0, 5], [10, 100])
    assert replay(graph, rounds=3).step_ns == 500
