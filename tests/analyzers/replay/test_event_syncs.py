"""Is a wait for an event bound to the work before that event, although more was launched since?"""

from __future__ import annotations

import numpy as np
import pytest

from llmprof.analyzers.replay.graph.build import build
from llmprof.analyzers.replay.graph.graph import NodeKind
from llmprof.analyzers.replay.graph.replay import replay
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder

MS = 1_000_000
KERNELS, SHORT, LONG = 10, 1 * MS, 3 * MS
LAUNCH, CALL, STEP_NS = 10_000, 5_000, 40 * MS + 200_000


def timed(steps: int = 3) -> RankTimeline:
    """Each step launches short and long kernels, waits for an event between them, and then for all."""
    builder = TraceBuilder()
    for step in range(steps):
        begin = step * STEP_NS
        device, now = begin + 20_000, begin
        for number in range(2 * KERNELS):
            length = SHORT if number < KERNELS else LONG
            builder.kernel("gemm", device, length - 1_000, launch_ns=now, launch_dur_ns=CALL)
            device, now = device + length, now + LAUNCH
        event = begin + 20_000 + KERNELS * SHORT
        builder.runtime("cudaEventSynchronize", now, event + 2_000 - now)
        builder.runtime("cudaDeviceSynchronize", event + 50_000, device + 2_000 - event - 50_000)
        builder.step(step, begin, begin + STEP_NS - 1_000)
    return builder.rank()


def test_the_wait_for_an_event_ends_with_the_work_before_it() -> None:
    graph = build(timed())
    assert graph is not None
    waits = np.flatnonzero(graph.kind == NodeKind.WAIT)
    events = [node for node in waits if graph.before_lag[node] + graph.dur[node] < MS]
    assert len(events) == waits.size, "what was waited for is no work of the host"


def test_with_faster_kernels_nothing_is_left_of_the_wait() -> None:
    graph = build(timed())
    assert graph is not None
    graph.dur[graph.on_device] /= 10
    assert replay(graph).step_ns == pytest.approx((STEP_NS - 200_000) / 10, rel=0.15)
