"""Is what a profiler added to each recorded event found again, from the total step alone?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.replay.build import build
from llmprof.analyzers.replay.distortion import MAX_COST_NS, Distortion, fit, relieved
from llmprof.analyzers.replay.graph import Graph
from llmprof.analyzers.replay.replay import replay
from tests.analyzers.replay.programs import Call, record

HOST_BOUND = [Call(40_000, "launch", 10_000)] * 50
DEVICE_BOUND = [Call(5_000, "launch", 400_000)] * 50


def step_ns(graph: Graph) -> float:
    return replay(graph).step_ns


def graph_of(program: list[Call]) -> Graph:
    graph = build(record(program))
    assert graph is not None
    return graph


def burdened(graph: Graph, cost_ns: float) -> Graph:
    """The graph as a profiler with this cost, four times as much a launch, would have recorded it."""
    own = graph.own_events + 3 * graph.launched
    host = graph.on_host
    return replace(
        graph,
        before_lag=graph.before_lag + np.where(host, cost_ns * graph.lead_events, 0),
        dur=graph.dur + np.where(host, cost_ns * own, 0),
    )


@pytest.mark.parametrize("cost_ns", [1_000, 3_000, 6_000])
def test_the_cost_of_an_event_is_found_from_the_step(cost_ns: float) -> None:
    plain = graph_of(HOST_BOUND)
    found = fit(burdened(plain, cost_ns), step_ns(plain), step_ns)
    assert found.fitted
    assert found.cost_ns == pytest.approx(cost_ns, rel=0.03)
    assert abs(found.error or 0) < 0.002


def test_relieving_takes_off_exactly_what_was_added() -> None:
    plain = graph_of(HOST_BOUND)
    again = relieved(burdened(plain, 2_000), Distortion(cost_ns=2_000))
    np.testing.assert_allclose(again.dur, plain.dur)
    np.testing.assert_allclose(again.before_lag, plain.before_lag)


def test_a_device_bound_step_tells_nothing_about_the_cost() -> None:
    plain = graph_of(DEVICE_BOUND)
    found = fit(burdened(plain, 1_000), step_ns(plain), step_ns)
    assert not found.fitted
    assert abs(found.error or 0) < 0.01


def test_a_step_that_no_believable_cost_explains_keeps_its_error() -> None:
    plain = graph_of([Call(400_000, "launch", 10_000)] * 20)
    found = fit(plain, 0.2 * step_ns(plain), step_ns)
    assert found.cost_ns <= MAX_COST_NS
    assert (found.error or 0) > 0.5
