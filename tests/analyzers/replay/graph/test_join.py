"""Do ranks that meet at collectives wait for the last one, and no longer?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.replay.graph.build import build
from llmprof.analyzers.replay.graph.graph import Graph, NodeKind
from llmprof.analyzers.replay.graph.join import join
from llmprof.analyzers.replay.graph.meetings import meetings_of
from llmprof.analyzers.replay.graph.replay import replay
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder

TRANSFER = 50_000
NCCL = "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage)"


def rank_of(number: int, work_ns: int, slowest_ns: int, steps: int = 4, name: str = NCCL) -> RankTimeline:
    """A rank that computes `work_ns`, then reduces with peers of which the slowest computes `slowest_ns`."""
    builder = TraceBuilder()
    for step in range(steps):
        begin = step * (slowest_ns + TRANSFER + 20_000)
        builder.kernel("gemm", begin + 10_000, work_ns, launch_ns=begin + 1_000)
        arrived, left = begin + 11_000 + work_ns, begin + 11_000 + slowest_ns + TRANSFER
        builder.kernel(name, arrived, left - arrived, launch_ns=begin + 6_000)
        builder.runtime("cudaDeviceSynchronize", begin + 12_000, left + 2_000 - begin - 12_000)
        builder.step(step, begin, begin + slowest_ns + TRANSFER + 20_000)
    return builder.rank(number)


def joined(*works: int, name: str = NCCL) -> Graph:
    ranks = [rank_of(number, work, max(works), name=name) for number, work in enumerate(works)]
    graphs = [graph for rank in ranks if (graph := build(rank)) is not None]
    meetings = meetings_of(ranks, graphs)
    assert meetings is not None
    assert meetings.transfer_ns.tolist() == [TRANSFER] * 4
    return join(graphs, meetings)


def test_the_joint_replay_is_the_recording() -> None:
    assert replay(joined(300_000, 100_000)).step_ns == pytest.approx(370_000, rel=0.01)


def test_with_equal_ranks_nobody_waits() -> None:
    graph = joined(300_000, 100_000)
    slow = (graph.rank == 0) & (graph.dur == 300_000)
    assert slow.sum() == 4
    graph.dur[slow] = 100_000
    assert replay(graph).step_ns == pytest.approx(170_000, rel=0.02)


def test_a_fast_rank_made_faster_changes_nothing() -> None:
    graph = joined(300_000, 100_000)
    graph.dur[(graph.rank == 1) & (graph.dur == 100_000)] = 10_000
    assert replay(graph).step_ns == pytest.approx(370_000, rel=0.01)


def test_every_rank_steps_together() -> None:
    found = replay(joined(300_000, 100_000, 200_000))
    graph = found.graph
    for rank in (0, 1, 2):
        ends = found.end_ns[:, graph.on_device & (graph.rank == graph.ranks.index(rank))].max(axis=1)
        assert (ends[-1] - ends[-2]) / graph.steps == pytest.approx(found.step_ns)
    assert (found.graph.kind == NodeKind.MEETING).sum() == 4


def test_whoever_waits_for_a_broadcast_waits_for_its_sender_and_not_for_itself() -> None:
    """A receiver's kernel lasts from its own arrival to the sender's: without a late sender it is a transfer."""
    graph = joined(300_000, 100_000, name="ncclDevKernel_Broadcast_RING_LL(ncclDevKernelArgsStorage<4096ul>)")
    graph.dur[(graph.rank == 0) & (graph.dur == 300_000)] = 100_000
    assert replay(graph).step_ns == pytest.approx(170_000, rel=0.02)
