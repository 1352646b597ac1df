"""Does a wait of the host that a recording caught by chance count no more than it happens?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.replay.graph.build import build
from llmprof.analyzers.replay.graph.graph import Graph, NodeKind
from llmprof.analyzers.replay.graph.replay import replay
from llmprof.analyzers.replay.unprofiled.rare_syncs import without_rare_syncs
from llmprof.timeline.timeline import RankTimeline, Timeline
from tests.analyzers.rules.run_builder import times
from tests.scenarios.builder import TraceBuilder

MS, STEPS, KERNEL = 1_000_000, 4, 20 * 1_000_000
WORK = 8 * MS
"""Of the host before it launches: after a wait the device idles that long."""


def recorded(waiting: tuple[int, ...]) -> RankTimeline:
    """A kernel a step, launched by a host that is ahead but where it has waited for the device in the step before."""
    builder, host, device = TraceBuilder(), 0, 0
    for step in range(STEPS):
        begin = host
        host += WORK
        start = max(device, host + 10_000)
        builder.kernel("gemm_bf16", start, KERNEL, launch_ns=host)
        host, device = host + 5_000, start + KERNEL
        if step in waiting:
            builder.runtime("cudaStreamSynchronize", host, device + 2_000 - host)
            host = device + 2_000
        builder.step(step, begin, host)
    return builder.rank()


def seen(waiting: tuple[int, ...], wall_ms: list[float]) -> tuple[Graph, RankTimeline, Facts]:
    """The graph, and the facts of a run whose other steps took so long."""
    rank = recorded(waiting)
    fields = {name: getattr(rank, name) for name in ("rank", "events", "lanes", "marks", "quality")}
    rank = RankTimeline(**fields, times=times(wall_ms))
    graph = build(rank)
    assert graph is not None
    return graph, rank, measure(Timeline(ranks=(rank,), kind="run", paths=("here",), world_size=1))


def waits(graph: Graph) -> int:
    """Calls that still wait for the device."""
    return int(((graph.kind == NodeKind.WAIT) & (graph.cause >= 0)).sum())


RARE = [*[20.0] * 49, 28.0]
"""A loop that waits once in 50 steps."""


def test_one_wait_in_four_traced_steps_of_a_run_with_one_in_fifty_goes() -> None:
    graph, rank, facts = seen((1,), RARE)
    found = without_rare_syncs(graph, [rank], facts)
    assert (waits(graph), waits(found)) == (1, 0)
    assert replay(graph).step_ns == pytest.approx(KERNEL + WORK / 4, rel=0.01)
    assert replay(found).step_ns == pytest.approx(KERNEL, rel=0.001)


@pytest.mark.parametrize(
    ("waiting", "wall_ms"),
    [
        ((1,), [20.0, 20.0, 20.0, 28.0] * 12),  # every fourth step of the run is long as well
        ((0, 1, 2, 3), RARE),  # all steps wait
        ((1, 3), RARE),  # half of them are no exception
    ],
)
def test_waits_that_the_run_has_as_often_stay(waiting: tuple[int, ...], wall_ms: list[float]) -> None:
    graph, rank, facts = seen(waiting, wall_ms)
    assert without_rare_syncs(graph, [rank], facts) is graph
