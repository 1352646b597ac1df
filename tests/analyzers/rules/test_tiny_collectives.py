"""Are tiny collectives that interrupt the step recognised, without what is waiting for a late rank?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.tiny_collectives import evaluate
from llmprof.timeline.events import CollectiveCall
from llmprof.timeline.settings import DdpSettings
from tests.analyzers.rules.exchange_facts import facts_of
from tests.analyzers.rules.facts_builder import assert_consistent, fix, make_facts, status
from tests.scenarios.builder import TraceBuilder
from tests.scenarios.exchange import GEMM, MS, Run

KERNELS = {
    "broadcast": "ncclDevKernel_Broadcast_RING_LL(ncclDevKernelArgsStorage<4096ul>)",
    "allreduce": "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)",
}


def interrupted(name: str, count: int, took_us: int, *, elements: int = 256, gap_us: int = 0) -> Run:
    """Steps of 100 ms of kernels in which `count` collectives of 1 KiB stop the device for so long each.

    gap_us    from the end of the kernel before each of them to its begin
    """
    b = TraceBuilder()
    for step in range(3):
        now = start = step * 100 * MS
        b.op("autograd::engine::evaluate_function: AddmmBackward0", start + 100, 50, 2)
        for _ in range(count):
            b.kernel(GEMM, now, MS - gap_us * 1000, launch_ns=now - start + start)
            call = CollectiveCall(name=name, in_elements=elements, out_elements=elements, dtype="Float", group_size=2)
            b.kernel(KERNELS[name], now + MS, took_us * 1000, launch_ns=now + 10_000, stream=9, collective=call)
            now += MS + took_us * 1000
        b.kernel(GEMM, now, start + 100 * MS - now, launch_ns=now - 5_000)
        b.step(step, start, start + 100 * MS)
    return Run(b, 100 * MS)


def facts(name: str = "allreduce", count: int = 20, took_us: int = 200, *, elements: int = 256) -> Facts:
    ddp = DdpSettings(broadcast_buffers=True, backend="nccl")
    return facts_of(interrupted(name, count, took_us, elements=elements), settings={"ddp": ddp})


def test_metrics_are_to_be_reduced_together() -> None:
    seen = facts()
    found = evaluate(seen)
    assert found.finding.cost_ms == pytest.approx(4.0, rel=0.01)
    advice = fix(found, "join-collectives")
    assert advice.gain.expected_ms == pytest.approx(4.0, rel=0.01)
    assert_consistent(advice, seen)


@pytest.mark.parametrize(("gap_us", "expected"), [(0, "passed"), (4, "fired"), (200, "fired")])
def test_the_hand_over_between_the_streams_counts_as_well(gap_us: int, expected: str) -> None:
    """50 collectives of 55 us are 2.75 % of a step, and with 4 us to each of them and back 3.15 %."""
    assert status(evaluate(facts_of(interrupted("allreduce", 50, 55, gap_us=gap_us)))) == expected


def test_buffers_need_not_be_broadcast() -> None:
    assert "broadcast_buffers=False" in fix(evaluate(facts("broadcast")), "skip-buffer-broadcast").how


@pytest.mark.parametrize(("took_us", "expected"), [(149, "passed"), (151, "fired")])
def test_threshold(took_us: int, expected: str) -> None:
    assert status(evaluate(facts(took_us=took_us))) == expected


def test_large_messages_are_not_tiny() -> None:
    assert status(evaluate(facts(elements=1 << 20))) == "passed"


def test_waiting_for_a_late_rank_is_not_counted() -> None:
    """Rank 0 sits in its collectives for 200 us, the other one for 10: the rest is waiting."""
    late = interrupted("allreduce", 20, 200)
    quick = TraceBuilder()
    for step in range(3):
        start = step * 100 * MS
        for place in range(20):
            now = start + place * (MS + 200_000)
            quick.kernel(GEMM, now, MS + 190_000, launch_ns=now)
            call = CollectiveCall(name="allreduce", in_elements=256, out_elements=256, dtype="Float", group_size=2)
            quick.kernel(
                KERNELS["allreduce"], now + MS + 190_000, 10_000, launch_ns=now + 10_000, stream=9, collective=call
            )
        quick.kernel(GEMM, start + 24 * MS, 76 * MS, launch_ns=start + 23 * MS)
        quick.step(step, start, start + 100 * MS)
    assert status(evaluate(facts_of(late, Run(quick, 100 * MS)))) == "passed"


@pytest.mark.parametrize(("world", "expected"), [(1, "not_applicable"), (2, "no_data")])
def test_without_collectives(world: int, expected: str) -> None:
    assert status(evaluate(make_facts(100, world_size=world))) == expected
