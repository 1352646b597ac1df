"""What of a launch is its own work, and what is waiting for room in the queue?"""

from __future__ import annotations

import numpy as np
import pytest

from llmprof.analyzers.replay.graph.build import build
from llmprof.analyzers.replay.graph.graph import NodeKind
from llmprof.analyzers.replay.graph.launch_queue import DEPTH
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder

LAUNCH = 5_000


def behind(kernels: list[int], launches: list[int]) -> RankTimeline:
    """A host with these launches that is stopped as soon as DEPTH of these kernels wait."""
    builder, now, free = TraceBuilder(), 0, 10_000
    begun: list[int] = []
    for place, (kernel, launch) in enumerate(zip(kernels, launches, strict=True)):
        room = begun[place - DEPTH] if place >= DEPTH else 0
        took = max(launch, room - now)
        begin = max(free, now + took + 1_000)
        builder.kernel("gemm", begin, kernel - 1_000, launch_ns=now, launch_dur_ns=took)
        begun.append(begin)
        now, free = now + took + 1_000, begin + kernel
    builder.step(0, 0, now)
    return builder.rank()


def launches_of(rank: RankTimeline) -> list[float]:
    graph = build(rank)
    assert graph is not None
    found: list[float] = graph.dur[graph.kind == NodeKind.CALL].tolist()
    return found


def test_waiting_for_one_short_kernel_is_waiting_as_well() -> None:
    """Behind a full queue some launches wait 200 us and most 30 us; by itself each takes 5."""
    count = 2 * DEPTH
    rank = behind([30_000, 30_000, 30_000, 200_000] * (count // 4), [LAUNCH] * count)
    assert max(launches_of(rank)) <= 2 * LAUNCH


@pytest.mark.parametrize("slow", [30_000, 90_000])
def test_a_slow_launch_is_slow_where_no_queue_was_seen_to_be_full(slow: int) -> None:
    launches = [LAUNCH] * 400
    launches[200] = slow
    rank = behind([2_000] * 400, launches)
    assert np.sort(launches_of(rank))[-2:].tolist() == [LAUNCH, slow]
