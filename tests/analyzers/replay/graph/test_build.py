"""Does the graph of a recording replay to that recording, and to what the same program does when it is changed?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmprof.analyzers.replay.graph.build import build
from llmprof.analyzers.replay.graph.graph import Graph, NodeKind
from llmprof.analyzers.replay.graph.replay import replay
from llmprof.timeline.timeline import RankTimeline
from tests.analyzers.replay.programs import Call, record, simulate
from tests.scenarios.builder import TraceBuilder


def built(rank: RankTimeline) -> Graph:
    graph = build(rank)
    assert graph is not None
    return graph


def host_faster(program: list[Call], factor: float) -> list[Call]:
    return [replace(call, work=int(call.work * factor)) for call in program]


calls = st.builds(
    Call,
    work=st.integers(2, 60).map(lambda us: us * 1000),
    what=st.sampled_from(["launch", "launch", "launch", "launch", "sync"]),
    kernel=st.integers(2, 80).map(lambda us: us * 1000),
)
# Both kinds of waiting stand at the end of each program, so that latency and gap can be learned from it.
LEARNABLE = [Call(200_000, "launch", 2_000), Call(2_000, "launch", 60_000), Call(2_000, "launch", 10_000)]


@settings(max_examples=25, deadline=None)
@given(st.lists(calls, min_size=3, max_size=25))
def test_the_replay_of_a_recording_is_the_recording(program: list[Call]) -> None:
    program = [*program, *LEARNABLE]
    graph = built(record(program, steps=4))
    assert replay(graph).step_ns == pytest.approx(simulate(program, 8), rel=0.01)


@settings(max_examples=25, deadline=None)
@given(st.lists(calls, min_size=3, max_size=25), st.sampled_from([0.2, 0.5, 2.0, 4.0]))
def test_a_changed_host_replays_to_what_the_changed_program_does(program: list[Call], factor: float) -> None:
    program = [*program, *LEARNABLE]
    graph = built(record(program, steps=4))
    work = np.where(graph.kind == NodeKind.WAIT, 1.0, factor)
    changed = replace(graph, before_lag=np.where(graph.on_host, graph.before_lag * work, graph.before_lag))
    assert replay(changed).step_ns == pytest.approx(simulate(host_faster(program, factor), 8), rel=0.03)


def test_what_a_sync_waits_for_is_replayed_not_its_recorded_length() -> None:
    program = [Call(20_000, "launch", 500_000), Call(10_000, "sync"), *LEARNABLE]
    graph = built(record(program))
    shorter = replace(graph, dur=np.where(graph.on_device, graph.dur / 10, graph.dur))
    faster = [replace(call, kernel=call.kernel // 10) for call in program]
    assert replay(shorter).step_ns == pytest.approx(simulate(faster, 8), rel=0.02)


def test_the_host_runs_ahead_no_further_than_the_launch_queue() -> None:
    # 600 kernels a step of 100 us each, launched every 6 us: without a bound the host would be a whole step ahead.
    graph = built(record([Call(1_000, "launch", 100_000)] * 600, steps=3))
    found = replay(graph, rounds=4)
    calls, work = graph.kind == NodeKind.CALL, graph.kind == NodeKind.DEVICE
    launched = np.sort(found.end_ns[:, calls].ravel())
    begun = np.sort(found.start_ns[:, work].ravel())
    ahead = np.arange(1, launched.size + 1) - np.searchsorted(begun, launched, side="right")
    assert 900 < ahead.max() <= 1026


def test_a_launch_that_the_full_queue_blocked_is_not_slow_by_itself() -> None:
    builder = TraceBuilder()
    now, kernel = 0, 10_000
    for place in range(1500):
        # From the 1024th launch on each call lasts until a kernel has left the queue.
        took = 5_000 if place < 1024 else 200_000
        builder.kernel("gemm", kernel, 199_000, launch_ns=now, launch_dur_ns=took)
        now, kernel = now + took + 1_000, kernel + 200_000
    builder.step(0, 0, now)
    graph = built(builder.rank())
    calls = graph.kind == NodeKind.CALL
    assert graph.dur[calls].max() == 5_000


def test_a_collective_stream_waits_for_compute_and_compute_for_the_collective() -> None:
    builder = TraceBuilder()
    builder.kernel("gemm", 20_000, 100_000, launch_ns=10_000)
    builder.runtime("cudaStreamWaitEvent", 16_000, 1_000)
    builder.kernel("ncclDevKernel_AllReduce_Sum_f32_RING_LL", 122_000, 300_000, launch_ns=20_000, stream=17)
    builder.runtime("cudaStreamWaitEvent", 30_000, 1_000)
    builder.kernel("adam", 424_000, 50_000, launch_ns=35_000)
    builder.kernel("adam", 475_000, 50_000, launch_ns=45_000)
    builder.step(0, 0, 60_000)
    graph = built(builder.rank())
    work = np.flatnonzero(graph.on_device)
    edges = set(zip(graph.extra_from.tolist(), graph.extra_to.tolist(), strict=True))
    assert edges == {(work[0], work[1]), (work[1], work[2])}
    assert graph.unexplained_ns == 0


def test_waiting_without_a_known_reason_is_kept_and_counted() -> None:
    builder = TraceBuilder()
    builder.kernel("gemm", 20_000, 100_000, launch_ns=10_000)
    builder.kernel("gemm", 620_000, 100_000, launch_ns=20_000)
    builder.step(0, 0, 30_000)
    graph = built(builder.rank())
    assert graph.unexplained_ns == pytest.approx(490_000, abs=20_000)
    assert replay(graph.opened(), rounds=1).end_ns.max() == pytest.approx(720_000, abs=1_000)


def test_a_recording_without_launches_or_events_has_no_graph() -> None:
    builder = TraceBuilder()
    builder.kernel("gemm", 20_000, 100_000, launch_ns=None)
    assert build(builder.rank()) is None
    assert build(builder.rank(events=None)) is None
