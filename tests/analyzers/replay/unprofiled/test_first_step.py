"""Are pauses that only the first traced step has left out, and no others?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.replay.graph.build import build
from llmprof.analyzers.replay.graph.graph import Graph
from llmprof.analyzers.replay.unprofiled.first_step import without_first_pauses
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder

WORK, KERNEL = 20_000, 3_000_000
PAUSE = 25_000_000


def recorded(*pauses: int, launches: int = 5, fetching: bool = False) -> RankTimeline:
    """A device-bound loop; before the third launch of each step the host pauses."""
    builder, now, free = TraceBuilder(), 0, 0
    for step, pause in enumerate(pauses):
        begin = now
        for number in range(launches):
            if number == 2 and pause:
                if fetching:
                    builder.annotation("enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", now, pause)
                now += pause
            now += WORK
            start = max(now + 8_000, free + 1_000)
            builder.kernel("gemm", start, KERNEL, launch_ns=now, launch_dur_ns=5_000)
            free, now = start + KERNEL, now + 5_000
        builder.step(step, begin, now)
    return builder.rank()


def graph_of(rank: RankTimeline) -> Graph:
    found = build(rank)
    assert found is not None
    return found


def host_ns(graph: Graph) -> np.ndarray:
    """The host's work by step."""
    host = graph.on_host
    return np.bincount(graph.step[host], graph.before_lag[host], graph.steps)


def test_a_pause_of_the_first_step_alone_becomes_what_the_others_take() -> None:
    before, after = graph_of(recorded(PAUSE, 0, 0, 0)), without_first_pauses(graph_of(recorded(PAUSE, 0, 0, 0)))
    assert host_ns(before)[0] == pytest.approx(PAUSE + 5 * WORK)
    assert host_ns(after)[0] == pytest.approx(5 * WORK)
    assert np.array_equal(host_ns(before)[1:], host_ns(after)[1:])
    assert np.array_equal(before.dur, after.dur)


@pytest.mark.parametrize(
    "rank",
    [
        recorded(PAUSE, 0, PAUSE, 0),  # the loop pauses every second step
        recorded(0, PAUSE, 0, 0),  # not the first one
        recorded(PAUSE, 0),  # one step alone tells nothing about the other
        recorded(600_000, 0, 0, 0),  # short
        recorded(PAUSE, 0, 0, 0, fetching=True),  # a batch that took its time
    ],
)
def test_all_other_pauses_stay(rank: RankTimeline) -> None:
    graph = graph_of(rank)
    assert np.array_equal(without_first_pauses(graph).before_lag, graph.before_lag)


def test_steps_that_launch_otherwise_are_not_compared() -> None:
    graph = graph_of(recorded(PAUSE, 0, 0, 0))
    launched = graph.launched.copy()
    calls = np.flatnonzero(launched > 0)
    launched[calls[[7, 12]]] = 0  # a launch less in the second and in the third step
    other = replace(graph, launched=launched)
    assert np.array_equal(without_first_pauses(other).before_lag, other.before_lag)
