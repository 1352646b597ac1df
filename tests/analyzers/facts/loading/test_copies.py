from __future__ import annotations

from llmprof.analyzers.facts.loading.copies import CopyFacts, CopyGroup, copy_facts
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder


def facts_of(rank: RankTimeline) -> CopyFacts:
    windows = windows_of(rank)
    assert windows is not None
    facts = copy_facts(rank, windows)
    assert facts is not None
    return facts


def test_copies_are_told_apart_by_direction_and_memory() -> None:
    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.memcpy("HtoD (Pageable -> Device)", 100_000, 10_000, 1000, launch_ns=10_000, launch_dur_ns=90_000)
    b.memcpy("HtoD (Pinned -> Device)", 200_000, 20_000, 2000, launch_ns=110_000)
    b.memcpy("DtoH (Device -> Pinned)", 300_000, 30_000, 3000, launch_ns=120_000)
    b.memcpy("DtoD (Device -> Device)", 400_000, 40_000, 4000, launch_ns=130_000)
    b.memcpy("PtoP (Device -> Device)", 500_000, 50_000, 5000, launch_ns=140_000)
    facts = facts_of(b.rank())

    def group(n: int) -> CopyGroup:
        return CopyGroup(count=1, bytes=1000 * n, ns=10_000 * n, exposed_ns=10_000 * n, largest_bytes=1000 * n)

    assert facts == CopyFacts(
        pageable_to_device=group(1),
        pinned_to_device=group(2),
        to_host=group(3),
        on_device=group(4),
        peer=group(5),
        pageable_stall_ns=90_000,
    )


def test_only_what_no_kernel_covers_is_exposed() -> None:
    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.kernel("gemm", 100_000, 60_000, launch_ns=1_000)
    b.memcpy("HtoD (Pinned -> Device)", 120_000, 100_000, 1 << 20, launch_ns=2_000, stream=8)
    b.kernel("ncclDevKernel_AllReduce", 200_000, 50_000, launch_ns=3_000, stream=9)
    group = facts_of(b.rank()).pinned_to_device
    assert (group.ns, group.exposed_ns) == (100_000, 40_000)


def test_figures_are_per_step() -> None:
    b = TraceBuilder()
    for n in range(2):
        b.step(n, n * 1_000_000, (n + 1) * 1_000_000)
        b.kernel("gemm", n * 1_000_000 + 500_000, 100_000, launch_ns=n * 1_000_000 + 1_000)
    b.memcpy("HtoD (Pinned -> Device)", 1_200_000, 8_000, 4096, launch_ns=1_100_000)
    group = facts_of(b.rank()).pinned_to_device
    assert (group.count, group.bytes, group.ns, group.largest_bytes) == (0.5, 2048, 4_000, 4096)


def test_a_stall_without_known_calls_is_unknown() -> None:
    b = TraceBuilder()
    b.memcpy("HtoD (Pageable -> Device)", 100_000, 10_000, 1000, launch_ns=None)
    assert facts_of(b.rank()).pageable_stall_ns is None


def test_pageable_copies_of_a_real_recording(recorded) -> None:
    facts = facts_of(recorded("kineto_public/tracelens_h100_owlv2"))
    assert facts.pageable_to_device.count > 0
    assert facts.pageable_stall_ns > facts.pageable_to_device.ns
    assert facts.pageable_to_device.bytes_per_s < 63e9  # what a PCIe 5 x16 link can carry


def test_pinned_batches_on_an_h200(recorded) -> None:
    facts = facts_of(recorded("h200/data_workers2.rank0"))
    assert facts.pageable_to_device == CopyGroup()
    # 16 x 1024 token numbers of 8 bytes, inputs and targets
    assert (facts.pinned_to_device.count, facts.pinned_to_device.bytes) == (2, 2 * 16 * 1024 * 8)


def test_what_the_elements_of_pageable_copies_are_is_known_from_the_operator_around_the_call() -> None:
    """Images in fp32, labels as 8-byte integers: 4096 of 4608 bytes could be of a shorter floating-point type."""
    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.op("aten::copy_", 10_000, 50_000, shapes=([[1024], [1024], []], ["float", "float", "Scalar"]))
    b.memcpy("HtoD (Pageable -> Device)", 100_000, 10_000, 4096, launch_ns=20_000)
    b.op("aten::copy_", 70_000, 20_000, shapes=([[64], [64], []], ["long int", "long int", "Scalar"]))
    b.memcpy("HtoD (Pageable -> Device)", 120_000, 1_000, 512, launch_ns=75_000)
    assert facts_of(b.rank()).pageable_float_bytes == 4096


def test_without_recorded_types_nothing_is_said_of_the_elements() -> None:
    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.op("aten::copy_", 10_000, 50_000)
    b.memcpy("HtoD (Pageable -> Device)", 100_000, 10_000, 4096, launch_ns=20_000)
    assert facts_of(b.rank()).pageable_float_bytes is None
