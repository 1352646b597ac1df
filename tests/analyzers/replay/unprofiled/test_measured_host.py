"""Is the host's work as long as unprofiled steps measured it?"""

from __future__ import annotations

import numpy as np
import pytest

from llmprof.analyzers.replay.graph.build import build
from llmprof.analyzers.replay.graph.graph import Graph, Region
from llmprof.analyzers.replay.graph.join import join
from llmprof.analyzers.replay.graph.meetings import meetings_of
from llmprof.analyzers.replay.unprofiled.distortion import Distortion, relieved
from llmprof.analyzers.replay.unprofiled.measured_host import evened, with_optimizer
from llmprof.timeline.timeline import RankTimeline
from tests.analyzers.replay.unprofiled.test_seen import hosts, times
from tests.scenarios.builder import TraceBuilder


def rank_of(number: int, lead_ns: int, phases: dict[str, int], operators: int = 0) -> RankTimeline:
    """A rank whose recorded host takes `lead_ns` before each of its two launches, of which one is a collective."""
    builder = TraceBuilder()
    for step in range(4):
        begin = step * 1_000_000
        for place in range(operators):
            builder.op("aten::view", begin + 1_000 + place * 5_000, 1_000)
        builder.kernel("gemm", begin + lead_ns + 10_000, 50_000, launch_ns=begin + lead_ns)
        at = begin + 2 * lead_ns
        arrived = at + 10_000
        left = begin + 900_000
        builder.kernel("ncclDevKernel_AllReduce_Sum_f32_RING_LL", arrived, left - arrived, launch_ns=at)
        builder.step(step, begin, begin + 1_000_000)
    return builder.rank(number, times=times(phases))


def joined(ranks: list[RankTimeline]) -> Graph:
    graphs = [graph for rank in ranks if (graph := build(rank)) is not None]
    meetings = meetings_of(ranks, graphs)
    assert meetings is not None
    graph = join(graphs, meetings)
    # The end of the step is the host's as well: only what lies before the launches differs.
    graph.before_lag[graph.region == Region.OTHER] = np.minimum(graph.before_lag, 100_000)[graph.region == Region.OTHER]
    return graph


@pytest.mark.parametrize(
    ("backward", "operators", "kernels", "even"),
    [
        (400_000, 0, 1, True),
        (700_000, 0, 1, False),
        (400_000, 9, 1, True),
        (400_000, 0, 2, True),
        (400_000, 9, 2, False),
    ],
)
def test_hosts_that_were_alike_without_the_profiler_are_made_alike(
    backward: int, operators: int, kernels: int, even: bool
) -> None:
    """Also where the profiler lost the operators of one rank, or the same calls of one rank make more kernels."""
    same = {"forward": 200_000, "backward": 400_000, "optimizer": 100_000}
    ranks = [rank_of(0, 100_000, same | {"backward": backward}), rank_of(1, 80_000, same, operators)]
    graph = joined(ranks)
    graph.launched[graph.rank == 1] *= kernels
    found = hosts(evened(ranks, graph, lambda cost: relieved(graph, Distortion(cost_ns=cost))))
    assert (found[0] == pytest.approx(found[1], rel=0.01)) is even


@pytest.mark.parametrize("operators", [(0, 9), (9, 0)])
def test_hosts_that_are_alike_are_so_at_any_cost_of_the_profiler(operators: tuple[int, int]) -> None:
    """Of one rank nine operators more were recorded: that says nothing of what the profiler cost the other one."""
    same = {"forward": 200_000, "backward": 400_000, "optimizer": 100_000}
    ranks = [rank_of(0, 100_000, same, operators[0]), rank_of(1, 80_000, same, operators[1])]
    graph = joined(ranks)
    found = evened(ranks, graph, lambda cost: relieved(graph, Distortion(cost_ns=cost)))
    left = hosts(relieved(found, Distortion(cost_ns=2_000)))
    assert left[0] == pytest.approx(left[1], rel=0.02)
    assert left[0] < 0.95 * hosts(found)[0]


def test_the_optimizer_takes_as_long_as_it_was_measured() -> None:
    builder = TraceBuilder()
    for step in range(4):
        begin = step * 1_000_000
        builder.kernel("gemm", begin + 110_000, 50_000, launch_ns=begin + 100_000)
        builder.annotation("Optimizer.step#AdamW.step", begin + 400_000, 300_000)
        builder.kernel("adam", begin + 610_000, 50_000, launch_ns=begin + 600_000)
        builder.step(step, begin, begin + 1_000_000)
    rank = builder.rank(times=times({"optimizer": 240_000}))
    graph = build(rank)
    assert graph is not None
    found = with_optimizer([rank], graph, graph)
    nodes = found.within(Region.OPTIMIZER)
    assert float((found.before_lag + found.dur)[nodes].sum()) / 4 == pytest.approx(240_000)
    assert not found.lead_events[nodes].any()
