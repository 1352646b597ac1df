"""Is a graph that is made larger for a benchmark still that of the same steps?"""

from __future__ import annotations

import pytest

from benchmarks.replay_speed import tiled
from llmprof.analyzers.replay.graph.build import build
from llmprof.analyzers.replay.graph.replay import replay
from tests.analyzers.replay.programs import Call, record

PROGRAM = [
    *(Call(5_000, "launch", 40_000), Call(5_000, "launch", 2_000, stream=9), Call(30_000, "sync")),
    *(Call(90_000, "launch", 4_000), Call(2_000, "launch", 70_000)),
]


@pytest.mark.parametrize("times", [1, 3])
def test_the_steps_stand_one_after_the_other(times: int) -> None:
    graph = build(record(PROGRAM))
    assert graph is not None
    larger = tiled(graph, times)
    assert (len(larger), larger.steps) == (times * len(graph), times * graph.steps)
    assert replay(larger).step_ns == pytest.approx(replay(graph).step_ns)
