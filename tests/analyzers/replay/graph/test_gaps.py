"""Are gaps between kernels longer beside a collective that takes the bus, and only there?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from llmprof.analyzers.facts.communication.interference import Interference
from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.replay.graph.build import build
from llmprof.analyzers.replay.graph.gaps import gap_factors
from llmprof.analyzers.replay.graph.graph import Graph
from llmprof.analyzers.replay.graph.replay import replay
from llmprof.analyzers.replay.model import Model, model_of
from llmprof.analyzers.replay.scenario import Scenario, contended, run
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.timeline.timeline import RankTimeline, Timeline
from tests.scenarios.builder import TraceBuilder

COUNT, STEPS, KERNEL, ALONE = 16, 4, 50_000, 1_500
ALL_REDUCE = "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)"


def recorded(beside: int, *, copies: int | None = None) -> RankTimeline:
    """Steps of kernels, launched early, whose second half runs beside a collective that gives gaps of `beside` ns.

    copies    every second piece of work is a copy within the device, and this is the gap before and after it
    """
    builder = TraceBuilder()
    for step in range(STEPS):
        begin = step * 10_000_000
        at, host, exchange = begin + 1_000_000, begin, 0
        for place in range(2 * COUNT):
            late = place >= COUNT
            exchange = at if place == COUNT else exchange
            gap = (beside if copies is None else copies) if late else ALONE
            if copies is not None and place % 2:
                builder.memcpy("DtoD (Device -> Device)", at, KERNEL, 1 << 20, launch_ns=host)
            else:
                builder.kernel("gemm", at, KERNEL, launch_ns=host)
            at, host = at + KERNEL + gap, host + 5_000
        builder.kernel(ALL_REDUCE, exchange - 1_000, at - exchange, launch_ns=host, stream=20)
        builder.step(step, begin, begin + 10_000_000)
    return builder.rank()


def graph_of(rank: RankTimeline) -> tuple[Graph, npt.NDArray[np.bool_]]:
    graph = build(rank)
    assert graph is not None and rank.events is not None
    return graph, graph.on_device & (graph.lane == np.unique(graph.lane[graph.on_device])[-1])


@pytest.mark.parametrize("beside", [3_000, 6_000])
def test_gaps_are_as_many_times_longer_as_the_same_neighbours_show(beside: int) -> None:
    rank = recorded(beside)
    graph, collective = graph_of(rank)
    factors = gap_factors([rank], graph, collective)
    assert set(factors[collective]) == {1.0}
    assert factors.max() == pytest.approx(beside / ALONE, rel=0.05)


def test_copies_are_told_apart_from_kernels() -> None:
    rank = recorded(ALONE, copies=6_000)
    graph, collective = graph_of(rank)
    assert gap_factors([rank], graph, collective).max() == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize("beside", [ALONE, 1_000])
def test_gaps_that_are_no_longer_beside_a_collective_stay_as_they_are(beside: int) -> None:
    rank = recorded(beside)
    graph, collective = graph_of(rank)
    assert set(gap_factors([rank], graph, collective)) == {1.0}


def test_collectives_that_leave_the_bus_leave_the_gaps_short() -> None:
    rank = recorded(6_000)
    graph, _ = graph_of(rank)
    scenario = contended(Scenario(graph=graph), [rank], Interference())
    assert scenario.contention is not None
    assert run(scenario).step_ns == replay(graph).step_ns  # nothing changes without a fix
    off = Scenario(graph=graph, contention=scenario.contention.off_the_bus())
    work = np.flatnonzero(graph.on_device & (scenario.contention.gap != 1))
    found = run(off).replayed.graph.before_lag[work]
    assert found.max() == pytest.approx(ALONE, rel=0.1)


def other(rank: RankTimeline) -> WhatIf:
    timeline = Timeline(ranks=(rank,), kind="kineto", paths=("here",), world_size=2)
    facts = measure(timeline)
    model = model_of(timeline, facts)
    assert isinstance(model, Model), model
    return WhatIf.of(model, facts)


def test_peer_access_takes_collectives_off_the_bus_and_smaller_messages_do_not() -> None:
    found = other(recorded(6_000))
    for fix, times in (("enable-p2p", 1.0), ("reduce-in-bf16", 4.0)):
        contention = found.applied([fix])[0].contention
        assert contention is not None
        assert contention.gap.max() == pytest.approx(times, rel=0.05)
