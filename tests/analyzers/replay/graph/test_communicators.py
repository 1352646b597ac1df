"""Do collectives of one communicator take turns, on whichever streams they stand?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.replay.graph.build import ALL_EDGES, build
from llmprof.analyzers.replay.graph.replay import replay
from llmprof.timeline.events import CollectiveCall
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder

MOVING = 100_000
LATE = 250_000
"""From launch to launch in the recording, whose host is late."""


def recorded(*groups: str, begin: int = 0, length: int = MOVING) -> RankTimeline:
    """Steps of two collectives on two streams, of these groups."""
    builder = TraceBuilder()
    for step in range(4):
        for number, group in enumerate(groups):
            at = (2 * step + number) * LATE + 1_000 - number * begin
            builder.kernel(
                "ncclDevKernel_AllGather_RING_LL",
                at + 8_000,
                length,
                launch_ns=at,
                stream=20 + number,
                collective=CollectiveCall(name="_allgather_base", group_name=group),
            )
        builder.step(step, 2 * step * LATE, 2 * (step + 1) * LATE)
    return builder.rank()


def step_with_early_host(rank: RankTimeline, edges: frozenset[str] = ALL_EDGES) -> float:
    graph = build(rank, edges=edges)
    assert graph is not None
    return replay(replace(graph, before_lag=graph.before_lag * ~graph.on_host)).step_ns


def test_collectives_of_one_communicator_run_one_after_the_other() -> None:
    assert step_with_early_host(recorded("0", "0")) == pytest.approx(2 * MOVING, rel=0.1)


def test_communicators_do_not_wait_for_each_other() -> None:
    assert step_with_early_host(recorded("0", "1")) == pytest.approx(MOVING, rel=0.15)


def test_without_these_edges_streams_are_free() -> None:
    assert step_with_early_host(recorded("0", "0"), ALL_EDGES - {"communicators"}) == pytest.approx(MOVING, rel=0.15)


def test_a_group_whose_collectives_overlap_is_several_communicators() -> None:
    rank = recorded("0", "0", begin=LATE - 30_000)
    assert step_with_early_host(rank) == pytest.approx(MOVING, rel=0.15)
