"""Is it known of each collective when it could begin, who launched it, and what of it nothing hides?"""

from __future__ import annotations

import numpy as np

from llmprof.analyzers.facts.communication.call_times import CallTimes
from llmprof.timeline.events import NONE
from tests.analyzers.rules.exchange_facts import facts_of
from tests.scenarios.builder import TraceBuilder
from tests.scenarios.exchange import GEMM, MIB, MS, Link, Run, ddp_run, fsdp_run

ALL_REDUCE = "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)"


def calls_of(*runs: Run) -> CallTimes:
    collectives = facts_of(*runs).critical.collectives
    assert collectives is not None and collectives.calls is not None
    return collectives.calls


def test_a_bucket_is_ready_when_its_gradients_are() -> None:
    """Four buckets of 40 ms each, 25 MiB in 2.6 ms: each begins at once, and the last one is exposed."""
    run = ddp_run([25 * MIB] * 4, link=Link(latency_ns=0, bytes_per_s=10e9), backward_ns=160 * MS, steps=1)
    calls = calls_of(run)
    assert calls.ready_ns.tolist() == [120 * MS, 160 * MS, 200 * MS, 240 * MS]
    assert (calls.ready_ns == calls.start_ns).all()
    assert calls.exposed_ns.tolist() == [0, 0, 0, calls.dur_ns[-1]]


def test_a_call_that_stands_in_line_was_ready_before() -> None:
    run = ddp_run([25 * MIB] * 4, link=Link(latency_ns=0, bytes_per_s=1e9), backward_ns=4 * MS, steps=1)
    calls = calls_of(run)
    assert np.diff(calls.ready_ns).tolist() == [MS] * 3
    assert (calls.start_ns[1:] == (calls.start_ns + calls.dur_ns)[:-1]).all()


def test_the_thread_of_the_backward_pass_is_recognised() -> None:
    calls = calls_of(fsdp_run([MIB] * 4, steps=1))
    assert calls.backward[calls.of("reduce_scatter")].tolist() == [1] * 4
    assert calls.backward[calls.of("all_gather")].tolist() == [0] * 4 + [1] * 4


def test_without_operators_nobody_knows_the_backward_pass() -> None:
    b = TraceBuilder()
    b.step(0, 0, 10 * MS)
    b.kernel(GEMM, MS, MS, launch_ns=1000)
    b.kernel(ALL_REDUCE, 3 * MS, MS, launch_ns=2000, stream=9)
    assert calls_of(Run(b, 10 * MS)).backward.tolist() == [NONE]


def test_without_a_launch_it_was_ready_when_it_began() -> None:
    b = TraceBuilder()
    b.step(0, 0, 10 * MS)
    b.kernel(GEMM, MS, MS, launch_ns=1000)
    b.kernel(ALL_REDUCE, 3 * MS, MS, launch_ns=None, stream=9)
    b.kernel(GEMM, 5 * MS, MS, launch_ns=3000)
    assert calls_of(Run(b, 10 * MS)).ready_ns.tolist() == [3 * MS]


def test_transfers_are_those_of_the_rank_that_came_last() -> None:
    quick, slow = (ddp_run([25 * MIB] * 4, link=Link(latency_ns=ns)) for ns in (0, 0))
    calls = calls_of(quick, slow)
    assert (calls.transfer_ns == calls.dur_ns).all()
