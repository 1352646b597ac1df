from __future__ import annotations

import pytest

from llmprof.analyzers.facts.host.host import HostFacts, host_facts, innermost
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.timeline.events import NONE, Kind
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder


def facts_of(rank: RankTimeline) -> HostFacts:
    windows = windows_of(rank)
    assert windows is not None
    facts = host_facts(rank, windows)
    assert facts is not None
    return facts


LAUNCHES = [
    "cudaLaunchKernel",
    "cudaLaunchKernelExC",
    "cuLaunchKernel",
    "cuLaunchKernelEx",
    "cudaMemcpyAsync",
    "cudaMemsetAsync",
    "cudaGraphLaunch",
    "hipLaunchKernel",
    "hipExtModuleLaunchKernel",
    "hipMemcpyAsync",
    "hipGraphLaunch",
]
SYNCS = [
    "cudaDeviceSynchronize",
    "cudaStreamSynchronize",
    "cudaEventSynchronize",
    "cudaMemcpy",
    "hipDeviceSynchronize",
    "hipMemcpyWithStream",
]
ALLOCATIONS = ["cudaMalloc", "cudaFree", "cudaHostAlloc", "cuMemCreate", "hipMalloc", "hipFree"]
NEITHER = ["cudaEventQuery", "cudaStreamWaitEvent", "cudaEventRecord", "cudaStreamIsCapturing", "cudaGetDevice"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, (1, 0, 0)) for name in LAUNCHES),
        *((name, (0, 1, 0)) for name in SYNCS),
        *((name, (0, 0, 1)) for name in ALLOCATIONS),
        *((name, (0, 0, 0)) for name in NEITHER),
    ],
)
def test_what_a_runtime_call_is(name: str, expected: tuple[int, int, int]) -> None:
    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.runtime(name, 1_000, 5_000)
    facts = facts_of(b.rank())
    assert (facts.launches, facts.syncs, facts.allocator_calls) == expected


def test_a_sync_belongs_to_the_innermost_operator_of_its_thread() -> None:
    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.op("aten::item", 10_000, 50_000)
    b.op("aten::sub", 11_000, 1_000)  # ended before the sync
    b.op("aten::_local_scalar_dense", 15_000, 40_000)
    b.op("aten::elsewhere", 14_000, 60_000, 2)  # another thread
    b.runtime("cudaStreamSynchronize", 20_000, 30_000)
    b.runtime("cudaStreamSynchronize", 57_000, 1_000)  # after the inner operator, still in item
    b.runtime("cudaDeviceSynchronize", 100_000, 1_000)
    rank = b.rank()
    assert (facts_of(rank).syncs, facts_of(rank).sync_ns) == (3, 32_000)
    events = rank.events
    assert events is not None
    calls, operators = events.rows(Kind.RUNTIME), events.rows(Kind.CPU_OP)
    found = innermost(events, calls, operators[events.lane[operators] == events.lane[calls[0]]])
    assert [events.named(row) for row in found[:2]] == ["aten::_local_scalar_dense", "aten::item"]
    assert found[2] == NONE


def test_the_host_is_busy_outside_of_waiting_calls_and_long_gaps() -> None:
    b = TraceBuilder()
    b.step(0, 0, 10_000_000)
    b.op("aten::mm", 0, 3_000_000)
    b.runtime("cudaLaunchKernel", 1_000_000, 1_500_000)  # the launch queue is full
    b.op("aten::add", 3_400_000, 600_000)  # 0.4 ms of Python before it
    b.runtime("cudaStreamSynchronize", 3_500_000, 100_000)
    b.op("aten::mm", 9_000_000, 1_000_000)  # 5 ms without a row before it
    assert facts_of(b.rank()).busy_ns == 10_000_000 - 1_500_000 - 100_000 - 5_000_000


def test_in_a_step_without_length_the_host_is_not_busy() -> None:
    b = TraceBuilder()
    b.step(0, 5_000, 0)
    b.op("aten::mm", 0, 20_000)
    b.runtime("cudaLaunchKernel", 1_000, 500)
    assert facts_of(b.rank()).busy_ns == 0


def test_the_sync_that_ends_the_recording_is_not_counted() -> None:
    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.kernel("gemm", 100_000, 1_500_000, launch_ns=10_000)
    b.runtime("cudaDeviceSynchronize", 1_100_000, 500_000)
    assert facts_of(b.rank()).syncs == 0


def test_without_marks_a_sync_after_the_last_launch_is_not_counted() -> None:
    b = TraceBuilder()
    b.kernel("gemm", 100_000, 100_000, launch_ns=10_000)
    b.runtime("cudaStreamSynchronize", 110_000, 90_000)
    b.kernel("gemm", 300_000, 400_000, launch_ns=250_000)
    b.runtime("cudaDeviceSynchronize", 310_000, 390_000)
    assert facts_of(b.rank()).syncs == 1


def test_a_recording_without_runtime_calls_does_not_know_launches() -> None:
    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.op("aten::mm", 10_000, 50_000)
    facts = facts_of(b.rank())
    assert (facts.launches, facts.syncs, facts.operators) == (None, None, 1)


def test_launches_of_real_steps(recorded) -> None:
    small, graphs = facts_of(recorded("h200/host_small.rank0")), facts_of(recorded("h200/host_small_fixed.rank0"))
    assert (small.graph_launches, graphs.graph_launches) == (0, 2)
    assert small.launches > 50 * graphs.launches
    assert small.syncs == 0  # the profiler's own sync at the end lies outside the steps
