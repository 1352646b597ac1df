"""Is what a profiler added to each recorded event found again, from the total step alone?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.facts.partition.correction import MAX_COST_NS
from llmprof.analyzers.replay.graph.build import build
from llmprof.analyzers.replay.graph.graph import Graph, NodeKind
from llmprof.analyzers.replay.graph.replay import replay
from llmprof.analyzers.replay.unprofiled.distortion import (
    Distortion,
    fit,
    relieved,
    slower_device,
)
from llmprof.analyzers.replay.unprofiled.event_cost import USUAL_COST_NS
from llmprof.analyzers.replay.unprofiled.seen import Seen
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


def test_a_busy_device_leaves_open_how_early_the_host_is() -> None:
    """Where every cost from some one on explains the step, the host is not taken to be just in time."""
    plain = graph_of([Call(4_000, "launch", 20_000)] * 50)
    found = fit(burdened(plain, 6_000), step_ns(plain), step_ns, seen=Seen(idle_share=0.0))
    assert found.range_ns is not None
    assert found.range_ns[0] <= found.cost_ns <= found.range_ns[1]
    assert abs(found.error or 0) < 0.01


def test_a_slower_device_explains_a_step_as_well() -> None:
    plain = graph_of(DEVICE_BOUND)
    found = slower_device(plain, 1.15 * step_ns(plain), step_ns, Seen(), cost_ns=2_000)
    assert found is not None
    assert found.device == pytest.approx(1.15, rel=0.01)
    assert abs(found.error or 0) < 0.005


def test_how_much_slower_a_device_may_be_is_for_the_caller_to_say() -> None:
    plain = graph_of(DEVICE_BOUND)
    asked = (plain, 1.4 * step_ns(plain), step_ns, Seen(idle_share=0.0))
    assert slower_device(*asked, cost_ns=2_000) is None
    found = slower_device(*asked, cost_ns=2_000, most=1.5)
    assert found is not None and found.device == pytest.approx(1.4, rel=0.01)


def test_collectives_that_are_too_short_leave_it_to_all_of_the_devices_work() -> None:
    plain = graph_of(DEVICE_BOUND)
    kind = plain.kind.copy()
    kind[np.flatnonzero(plain.on_device)[:1]] = NodeKind.MEETING
    met = replace(plain, kind=kind)
    asked = (met, 1.15 * step_ns(met), step_ns, Seen(idle_share=0.0))
    assert slower_device(*asked, cost_ns=2_000) is None
    found = slower_device(*asked, cost_ns=2_000, whole=True)
    assert found is not None and found.device == pytest.approx(1.15, rel=0.01)
    assert step_ns(relieved(met, found)) == pytest.approx(1.15 * step_ns(met), rel=0.005)


@pytest.mark.parametrize(("longer", "idle_share"), [(1.15, 0.9), (1.6, 0.0)])
def test_a_device_that_ran_dry_or_had_to_be_far_slower_explains_nothing(longer: float, idle_share: float) -> None:
    plain = graph_of(DEVICE_BOUND)
    assert slower_device(plain, longer * step_ns(plain), step_ns, Seen(idle_share=idle_share), cost_ns=2_000) is None


def test_phases_tell_the_cost_where_the_host_was_slower_in_the_unprofiled_steps() -> None:
    """A profiler that costs 3 µs an event, and a host that took 1.3 times as long in the steps without it."""
    plain = graph_of(HOST_BOUND)
    traced, step = burdened(plain, 3_000), step_ns(relieved(plain, Distortion(stretch=1 / 1.3)))
    told = fit(traced, step, step_ns, seen=Seen(idle_share=1.0, least_cost_ns=3_000))
    assert (told.cost_ns, told.stretch) == (3_000, pytest.approx(1 / 1.3, rel=0.01))
    assert abs(told.error or 0) < 0.003
    assert fit(traced, step, step_ns).stretch == 1.0  # nothing told: all of it is the cost of an event


def test_no_slower_host_explains_a_step_that_hardly_follows_its_host() -> None:
    """The device needs 20 ms; a step of 20.8 ms would take a host nearly four times as slow."""
    plain = graph_of([Call(100_000, "launch", 390_000)] * 50)
    found = fit(plain, 1.04 * step_ns(plain), step_ns, seen=Seen(idle_share=1.0))
    assert found.stretch == 1.0


def test_a_host_much_slower_than_recorded_did_something_else() -> None:
    plain = graph_of(HOST_BOUND)
    found = fit(plain, 2.0 * step_ns(plain), step_ns, seen=Seen(idle_share=1.0))
    assert found.stretch == 1.0 and (found.error or 0) < -0.4


def test_a_busy_device_that_is_a_little_slower_than_recorded_makes_no_host_quicker() -> None:
    """The traced steps wait for a burdened host; the device alone would take 1.2 % more than the step did."""
    plain = graph_of([Call(4_000, "launch", 20_000)] * 50)
    found = fit(burdened(plain, 6_000), step_ns(plain) / 1.012, step_ns, seen=Seen(idle_share=0.0))
    assert found.stretch == 1.0 and found.range_ns is not None
    assert found.range_ns[0] <= found.cost_ns <= max(USUAL_COST_NS, found.range_ns[0])
    assert found.error == pytest.approx(0.012, abs=0.006)


def test_where_the_step_tells_nothing_quick_phases_tell_what_the_profiler_cost() -> None:
    plain = graph_of(DEVICE_BOUND)
    early, late = (Seen(idle_share=share, quick_cost_ns=3_500) for share in (0.0, 0.3))
    assert fit(plain, step_ns(plain), step_ns, seen=early).cost_ns == 3_500
    assert fit(plain, step_ns(plain), step_ns, seen=late).cost_ns == USUAL_COST_NS
    less = Seen(idle_share=0.0, quick_cost_ns=500)  # what they tell is a lower bound
    assert fit(plain, step_ns(plain), step_ns, seen=less).cost_ns == USUAL_COST_NS


def slower(graph: Graph, factor: float) -> Graph:
    """The graph of a host that needs so many times as long for everything."""
    scale = np.where(graph.on_host, factor, 1.0)
    return replace(graph, before_lag=graph.before_lag * scale, dur=graph.dur * scale)


def test_a_host_that_was_slower_while_it_was_traced_is_no_dear_event() -> None:
    """Five times the usual cost would explain the step as well; no profiler that had a core of its own cost as much."""
    plain = graph_of(HOST_BOUND)
    traced = burdened(slower(plain, 1.8), USUAL_COST_NS)
    found = fit(traced, step_ns(plain), step_ns, seen=Seen(idle_share=1.0))
    assert (found.cost_ns, found.stretch) == pytest.approx((USUAL_COST_NS, 1.8), rel=0.03)
    assert abs(found.error or 0) < 0.005
    by_events = fit(traced, step_ns(plain), step_ns, seen=Seen(idle_share=1.0), by_events=True)
    assert by_events.cost_ns > 4 * USUAL_COST_NS and by_events.stretch == 1


def test_a_cost_near_what_others_pay_is_hardly_doubted() -> None:
    plain = graph_of(HOST_BOUND)
    found = fit(burdened(plain, 4_200), step_ns(plain), step_ns, seen=Seen(idle_share=1.0))
    assert found.cost_ns == pytest.approx(4_000, rel=0.06)
    assert 1 <= found.stretch < 1.05


def test_a_host_that_was_seen_to_be_early_is_that_early_where_the_step_does_not_tell() -> None:
    plain = graph_of(DEVICE_BOUND)
    seen = Seen(idle_share=0.0, early_cost_ns=(900, 1_300, 1_800), usual_cost_ns=3_000)
    found = fit(burdened(plain, 1_300), step_ns(plain), step_ns, seen=seen)
    assert (found.cost_ns, found.range_ns) == (1_300, (900, 1_800))
    assert not found.fitted and abs(found.error or 0) < 0.01


def test_a_host_is_never_taken_to_be_later_than_the_step_allows() -> None:
    """Only from some cost on does the device set the pace, and the quick steps may have waited for a part."""
    plain = graph_of([Call(4_000, "launch", 20_000)] * 50)
    traced = burdened(plain, 6_000)
    least = fit(traced, step_ns(plain), step_ns, seen=Seen(idle_share=0.0, usual_cost_ns=100)).cost_ns
    late = Seen(idle_share=0.0, early_cost_ns=(least / 4, least / 2, 2 * least))
    found = fit(traced, step_ns(plain), step_ns, seen=late)
    assert found.cost_ns == pytest.approx(least)
    assert found.range_ns == (pytest.approx(least), pytest.approx(2 * least))


def test_without_a_quick_step_the_trace_tells_the_usual_cost() -> None:
    plain = graph_of(DEVICE_BOUND)
    found = fit(burdened(plain, 1_000), step_ns(plain), step_ns, seen=Seen(usual_cost_ns=1_400))
    assert (found.cost_ns, found.range_ns) == (1_400, (700, 2_800))


def test_phases_of_a_late_host_tell_the_cost_where_the_step_does_not() -> None:
    """A step that waits for its loader: the device is dry, and the trace as long as the step."""
    plain = graph_of(DEVICE_BOUND)
    late = Seen(idle_share=1.0, least_cost_ns=2_200, usual_cost_ns=3_000)
    found = fit(burdened(plain, 2_200), step_ns(plain), step_ns, seen=late)
    assert (found.cost_ns, found.range_ns) == (2_200, (1_100, 4_400))
