"""Does removing waits save what a simulation of the host and its device says, and is each wait blamed on its cause?"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmprof.analyzers.facts.host.blocking import Blocking, blocking
from llmprof.analyzers.facts.partition.partition import device_partition
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder

LAUNCH_NS = 4_000
RETURN_NS = 2_000


def blocking_of(rank: RankTimeline) -> Blocking:
    windows = windows_of(rank)
    assert windows is not None and rank.events is not None
    found = blocking(rank, windows, device_partition(rank.events, windows))
    assert found is not None
    return found


Program = list[tuple[str, int, int]]
"""("launch", host work before it, length of its kernel) or ("read" | "explicit", host work before it, 0)."""


def simulate(program: Program, without: frozenset[str] = frozenset(), trace: TraceBuilder | None = None) -> int:
    """When the device is done; one thread, one stream. Writes what a profiler would record into `trace`."""
    host = device = 0
    for what, work, length in program:
        host += work
        if what == "launch":
            begin, host = host, host + LAUNCH_NS
            start = max(host, device)
            device = start + length
            if trace is not None:
                trace.kernel("k", start, length, launch_ns=begin, launch_dur_ns=LAUNCH_NS)
        elif what not in without:
            begin, host = host, max(host, device) + RETURN_NS
            if trace is not None:
                if what == "read":
                    trace.op("aten::item", begin - 1, host - begin + 2)
                trace.runtime("cudaStreamSynchronize", begin, host - begin)
    return device


def recorded(program: Program) -> RankTimeline:
    trace = TraceBuilder()
    end = simulate(program, trace=trace)
    trace.step(0, 0, end + 1_000_000)
    return trace.rank()


work = st.integers(10, 200_000)
programs = st.lists(
    st.one_of(
        st.tuples(st.just("launch"), work, st.integers(1_000, 300_000)),
        st.tuples(st.sampled_from(["read", "explicit"]), work, st.just(0)),
    ),
    min_size=1,
    max_size=30,
).map(lambda middle: [("launch", 1_000, 50_000), *middle, ("launch", 1_000, 50_000)])


@settings(max_examples=60, deadline=None)
@given(programs)
def test_what_goes_is_what_a_simulation_without_the_waits_saves(program: Program) -> None:
    found = blocking_of(recorded(program))
    end = simulate(program)
    for group in ("read", "explicit"):
        saved = end - simulate(program, frozenset({group}))
        assert found.alone_ns.get(group, 0.0) == pytest.approx(saved, abs=1)
    saved = end - simulate(program, frozenset({"read", "explicit"}))
    assert sum(found.together_ns.values()) == pytest.approx(saved, abs=1)


def test_a_wait_while_the_device_works_costs_only_the_bubble_behind_it() -> None:
    program: Program = [("launch", 1_000, 900_000), ("read", 10_000, 0), ("launch", 50_000, 100_000)]
    found = blocking_of(recorded(program))
    # From the end of the kernel: the way back, the host's work and the launch. The wait itself was 885 us.
    assert found.alone_ns == {"read": RETURN_NS + 50_000 + LAUNCH_NS}
    assert found.calls[0].blocked_ns == 900_000 - 10_000 + RETURN_NS


def test_a_wait_of_a_launch_bound_step_costs_its_own_few_microseconds() -> None:
    program: Program = [("launch", 100_000, 5_000), ("read", 20_000, 0)] * 20 + [("launch", 100_000, 5_000)]
    assert blocking_of(recorded(program)).alone_ns == {"read": 20 * RETURN_NS}


def test_calls_are_told_apart_by_the_operators_around_them() -> None:
    b = TraceBuilder()
    b.step(0, 0, 10_000_000)
    b.kernel("k", 10_000, 5_000, launch_ns=1_000)
    b.op("aten::is_nonzero", 100_000, 50_000)
    b.op("aten::_local_scalar_dense", 110_000, 30_000)
    b.runtime("cudaStreamSynchronize", 120_000, 10_000)
    b.op("aten::index", 200_000, 50_000)
    b.op("aten::nonzero", 210_000, 30_000)
    b.runtime("cudaStreamSynchronize", 220_000, 10_000)
    b.op("aten::copy_", 300_000, 50_000)
    b.memcpy("DtoH (Device -> Pinned)", 305_000, 5_000, 1000, launch_ns=301_000)
    b.runtime("cudaStreamSynchronize", 320_000, 10_000)
    b.op("aten::copy_", 400_000, 50_000)
    b.memcpy("HtoD (Pinned -> Device)", 405_000, 5_000, 1000, launch_ns=401_000)
    b.runtime("cudaStreamSynchronize", 420_000, 10_000)
    b.memcpy("HtoD (Pageable -> Device)", 505_000, 5_000, 1000, launch_ns=501_000, launch_dur_ns=20_000)
    b.runtime("cudaDeviceSynchronize", 600_000, 10_000)
    b.runtime("cudaMalloc", 700_000, 10_000)
    b.op("c10d::barrier", 740_000, 30_000)
    b.runtime("cudaStreamSynchronize", 750_000, 10_000)
    b.kernel("k", 900_000, 5_000, launch_ns=800_000)
    found = {(one.group, one.operator): one.count for one in blocking_of(b.rank()).calls}
    assert found == {
        ("read", "aten::is_nonzero"): 1,
        ("shapes", "aten::index"): 1,
        ("to-host", "aten::copy_"): 1,
        ("to-device", "aten::copy_"): 1,
        ("to-device", "cudaMemcpyAsync"): 1,
        ("explicit", "cudaDeviceSynchronize"): 1,
        ("allocator", "cudaMalloc"): 1,
        ("collective", "c10d::barrier"): 1,
    }


def test_a_sync_in_front_of_cudafree_is_the_allocators() -> None:
    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.kernel("k", 10_000, 5_000, launch_ns=1_000)
    b.runtime("cudaDeviceSynchronize", 100_000, 10_000)
    b.runtime("cudaFree", 120_000, 10_000)
    b.runtime("cudaFree", 140_000, 10_000)
    b.runtime("cudaDeviceSynchronize", 200_000, 10_000)
    b.kernel("k", 310_000, 5_000, launch_ns=300_000)
    b.runtime("cudaFree", 400_000, 10_000)
    b.kernel("k", 510_000, 5_000, launch_ns=500_000)
    found = {(one.group, one.operator): one.count for one in blocking_of(b.rank()).calls}
    assert found == {
        ("allocator", "cudaDeviceSynchronize"): 1,
        ("allocator", "cudaFree"): 3,
        ("explicit", "cudaDeviceSynchronize"): 1,
    }


def test_waits_of_threads_that_launch_nothing_do_not_count() -> None:
    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.kernel("k", 10_000, 5_000, launch_ns=1_000)
    b.runtime("cudaEventSynchronize", 100_000, 400_000, tid=9)
    b.kernel("k", 800_000, 5_000, launch_ns=700_000)
    assert blocking_of(b.rank()).calls == ()


def test_the_line_of_the_script_is_named_where_python_was_recorded() -> None:
    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.kernel("k", 10_000, 5_000, launch_ns=1_000)
    b.python("train.py(40): step", 90_000, 100_000)
    b.python("torch/_tensor.py(12): item", 95_000, 90_000)
    b.op("aten::item", 100_000, 50_000)
    b.runtime("cudaStreamSynchronize", 120_000, 10_000)
    b.kernel("k", 800_000, 5_000, launch_ns=700_000)
    assert blocking_of(b.rank()).calls[0].place == "train.py(40): step"


def test_nothing_is_known_without_runtime_calls() -> None:
    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.kernel("k", 10_000, 5_000, launch_ns=None)
    rank = b.rank()
    windows = windows_of(rank)
    assert windows is not None and rank.events is not None
    assert blocking(rank, windows, device_partition(rank.events, windows)) is None
