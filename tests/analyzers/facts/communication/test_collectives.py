from __future__ import annotations

import pytest

from llmprof.analyzers.facts.communication.collectives import CollectiveFacts
from llmprof.analyzers.facts.measure import measure
from llmprof.timeline.events import CollectiveCall
from llmprof.timeline.timeline import RankTimeline, Timeline
from tests.scenarios.builder import TraceBuilder

ALL_REDUCE = "ncclDevKernel_AllReduce_Sum_f32_RING_LL"
MS = 1_000_000


def facts_of(*ranks: RankTimeline) -> dict[int, CollectiveFacts]:
    facts = measure(Timeline(ranks=ranks, kind="kineto", paths=()))
    return {number: rank.collectives for number, rank in facts.ranks.items() if rank.collectives is not None}


def a_rank(number: int, start_ns: int, *, elements: int | None = 250_000) -> RankTimeline:
    """A step with a matmul over [1, 4) ms and an all-reduce of 1 MB over [start, 10) ms."""
    b = TraceBuilder()
    b.step(0, 0, 10 * MS)
    b.kernel("volta_sgemm_128x64_nn", MS, 3 * MS, launch_ns=10_000)
    call = CollectiveCall(name="allreduce", in_elements=elements, out_elements=elements, dtype="Float", group_size=2)
    b.kernel(
        ALL_REDUCE,
        start_ns,
        10 * MS - start_ns,
        launch_ns=20_000,
        stream=9,
        collective=None if elements is None else call,
    )
    return b.rank(number)


def test_exposed_hidden_and_waiting() -> None:
    facts = facts_of(a_rank(0, 2 * MS), a_rank(1, 8 * MS))
    first, last = facts[0], facts[1]
    assert (first.total_ns, first.exposed_ns, first.hidden_ns) == (8 * MS, 6 * MS, 2 * MS)
    assert (first.skew_ns, first.waits_for, first.wait_by_rank_ns) == (4 * MS, 1, {1: 4 * MS})
    assert (last.exposed_ns, last.skew_ns, last.waits_for, last.wait_by_rank_ns) == (2 * MS, 0, None, {})


def test_bus_bandwidth_is_that_of_the_rank_that_did_not_wait() -> None:
    for facts in facts_of(a_rank(0, 2 * MS), a_rank(1, 8 * MS)).values():
        (group,) = facts.groups
        assert (group.op, group.dtype, group.group_size, group.bytes) == ("all_reduce", "fp32", 2, 1e6)
        assert group.bus_bytes_per_s == pytest.approx(1e6 / 2e-3)  # the factor of two ranks is 1


def test_one_rank_alone_knows_neither_skew_nor_bandwidth() -> None:
    facts = facts_of(a_rank(0, 2 * MS))[0]
    assert (facts.skew_ns, facts.waits_for, facts.groups[0].bus_bytes_per_s) == (None, None, None)
    assert facts.exposed_ns == 6 * MS


def test_without_sizes_there_are_no_bytes() -> None:
    facts = facts_of(a_rank(0, 2 * MS, elements=None), a_rank(1, 8 * MS, elements=None))[0]
    assert (facts.median_bytes, facts.groups[0].bytes, facts.groups[0].bus_bytes_per_s) == (None, None, None)
    assert facts.skew_ns == 4 * MS


def test_a_rank_without_collectives_has_no_facts() -> None:
    b = TraceBuilder()
    b.step(0, 0, 10 * MS)
    b.kernel("volta_sgemm_128x64_nn", MS, 3 * MS, launch_ns=10_000)
    assert facts_of(b.rank()) == {}


def test_one_all_reduce_per_parameter_on_two_h200(recorded) -> None:
    facts = facts_of(recorded("h200/comm_manual.rank0"), recorded("h200/comm_manual.rank1"))
    for own in facts.values():
        (group,) = own.groups
        assert (group.op, group.dtype, group.group_size) == ("all_reduce", "fp32", 2)
        assert own.count_per_step == 133
        assert group.bytes == pytest.approx(304.9e6 * 4, rel=1e-3)  # the parameters of the model
        assert 100e9 < group.bus_bytes_per_s < 450e9  # NVLink's limit in one direction
        assert own.skew_ns < own.exposed_ns


def test_rank_0_waits_for_the_straggler(recorded) -> None:
    facts = facts_of(recorded("h200/straggler_data.rank0"), recorded("h200/straggler_data.rank1"))
    assert facts[0].waits_for == 1
    assert facts[0].skew_ns > 0.9 * facts[0].exposed_ns
    assert facts[1].skew_ns < 0.01 * facts[0].skew_ns


def test_ranks_recorded_without_marks_and_sizes_are_matched_by_order(recorded) -> None:
    facts = facts_of(recorded("h200/light_comm_manual.cuda.rank0"), recorded("h200/light_comm_manual.cuda.rank1"))
    # Both ranks transfer the same: what is left without the waiting agrees.
    transfer = [own.exposed_ns - own.skew_ns for own in facts.values()]
    assert transfer[0] == pytest.approx(transfer[1], rel=0.02)


def test_symmetric_memory_all_reduces_are_collectives(recorded) -> None:
    facts = facts_of(recorded("kineto_public/tracelens_b200_vllm"))[0]
    assert facts.total_ns == pytest.approx(2.14 * MS, rel=5e-3)
    assert facts.groups[0].op == "all_reduce"


def test_mixed_sizes_of_a_group_of_eight(recorded) -> None:
    facts = facts_of(recorded("kineto_public/tracelens_mi300_resnet_act_checkpoint"))[0]
    assert {(group.op, group.group_size) for group in facts.groups} >= {("all_reduce", 8), ("broadcast", 8)}
    assert facts.skew_ns is None


def test_a_run_without_a_gpu_has_the_collectives_of_its_backend() -> None:
    """gloo runs 4 ms on a thread of its own, 3 ms of them beside a matrix product."""
    b = TraceBuilder()
    b.step(0, 0, 10 * MS)
    b.op("aten::mm", MS, 5 * MS)
    b.op("c10d::allreduce_", 2 * MS, 10_000)
    b.annotation("gloo:all_reduce", 3 * MS, 4 * MS, 2)
    facts = facts_of(b.rank())[0]
    assert (facts.count_per_step, facts.total_ns, facts.exposed_ns, facts.hidden_ns) == (1, 4 * MS, MS, 3 * MS)
    assert (facts.skew_ns, facts.groups, facts.call_ns) == (None, (), (4 * MS, 4 * MS, 4 * MS))


def test_the_first_call_of_a_step_on_the_host_waits_for_the_others() -> None:
    b = TraceBuilder()
    for step in range(2):
        at = step * 20 * MS
        b.step(step, at, at + 20 * MS)
        for begin, length in ((1, 9), (11, 1), (13, 3)):
            b.annotation("gloo:all_reduce", at + begin * MS, length * MS, 2)
    facts = facts_of(b.rank())[0]
    assert (facts.count_per_step, facts.call_ns) == (3, (MS, 3 * MS, 2 * MS))


def test_bandwidths_follow_the_formulas_of_nccl_tests() -> None:
    """1 MB in 2 ms are 0.5 GB/s; on two ranks all-reduce has the factor 2 (n - 1) / n = 1."""
    (group,) = facts_of(a_rank(0, 2 * MS), a_rank(1, 8 * MS))[0].groups
    assert group.bus_bytes_per_s == pytest.approx(0.5e9)
    assert group.best_bus_bytes_per_s is None  # no message is large enough to show the link's


def test_messages_by_size(recorded) -> None:
    own = facts_of(recorded("h200/comm_manual.rank0"), recorded("h200/comm_manual.rank1"))[0]
    assert sum(one.count for one in own.sizes) == 133
    assert [one.up_to for one in own.sizes] == sorted(one.up_to for one in own.sizes)
    assert sum(one.bytes for one in own.sizes) == pytest.approx(own.groups[0].bytes)
    assert own.groups[0].backward_share == 0.0  # a loop after the backward pass
    assert own.fit is not None and 150e9 < own.fit.bytes_per_s < 450e9
