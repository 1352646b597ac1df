"""Do the transforms of collectives shorten what is exposed, and nothing that is hidden or waited for?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.device.devices import find_device
from llmprof.analyzers.replay.feeds import Feed
from llmprof.analyzers.replay.scenario import run
from llmprof.analyzers.replay.transforms.base import Level
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.timeline.environment import Device, Environment
from llmprof.timeline.events import CollectiveCall
from llmprof.timeline.timeline import RankTimeline
from tests.analyzers.replay.programs import asked
from tests.scenarios.builder import TraceBuilder

NCCL = "ncclDevKernel_{}_RING_LL(ncclDevKernelArgsStorage)"
MS = 1_000_000


def saved(found: WhatIf, fix: str) -> float:
    """Ns that the fix saves a step."""
    return found.model.step_ns - found.predict([fix]).step_ns


def reducing(
    number: int, *, compute_ns: int, lengths: tuple[int, ...], slowest_ns: int, device: str | None = None
) -> RankTimeline:
    """4 steps: `compute_ns` of kernels, then one all-reduce after another on the same stream, nothing hidden.

    Each message has half a million fp32 numbers; what memory takes for them is not known without a `device`.
    """
    asked_for = CollectiveCall(name="allreduce", in_elements=500_000)
    builder = TraceBuilder()
    calls = len(lengths)
    step_ns = slowest_ns + sum(lengths) + calls * 10_000 + 200_000
    for step in range(4):
        begin = step * step_ns
        for part in range(10):
            at = begin + 20_000 + part * compute_ns // 10
            builder.kernel("gemm_bf16", at, compute_ns // 10 - 2_000, launch_ns=begin + 1_000 + part * 6_000)
        begin_reduce = begin + 20_000 + slowest_ns
        arrived = begin + 20_000 + compute_ns
        for call, each_ns in enumerate(lengths):
            start = begin_reduce + sum(lengths[:call]) + call * 10_000
            first = arrived if call == 0 else start
            launch = begin + 70_000 + call * 6_000
            name, taken = NCCL.format("AllReduce_Sum_f32"), start + each_ns - first
            builder.kernel(name, first, taken, launch_ns=launch, collective=asked_for)
        done = begin_reduce + sum(lengths) + calls * 10_000
        builder.kernel("adam", done + 5_000, 50_000, launch_ns=begin + 90_000 + calls * 6_000)
        waited = begin + 100_000 + calls * 6_000
        builder.runtime("cudaDeviceSynchronize", waited, done + 57_000 - waited)
        builder.step(step, begin, begin + step_ns)
    return builder.rank(number, environment=Environment(device=Device(name=device)))


def test_half_the_bytes_save_about_half_the_exposed_transfer_and_none_of_the_waiting() -> None:
    works = (10 * MS, 4 * MS)
    lengths = (50_000, 2 * MS, 2 * MS)
    ranks = [reducing(n, compute_ns=work, lengths=lengths, slowest_ns=10 * MS) for n, work in enumerate(works)]
    # The shortest stands for latency, which stays; of the rest half is left.
    found = asked(*ranks)
    assert saved(found, "compress-gradients") == pytest.approx(0.5 * 2 * (2 * MS - 50_000), rel=0.03)
    assert "no parameters are gathered" in found.predict(["fsdp-prefetch"]).left_out["fsdp-prefetch"]


def test_of_messages_of_one_size_all_but_a_short_latency_is_transfer() -> None:
    ranks = [reducing(n, compute_ns=10 * MS, lengths=(2 * MS,) * 5, slowest_ns=10 * MS) for n in range(2)]
    # The shortest of equal messages is as long as the others, and yet no latency.
    found = asked(*ranks)
    assert saved(found, "compress-gradients") == pytest.approx(0.5 * 5 * 2 * MS, rel=0.05)
    # FSDP reduces what backward computed: half of the bytes, and nothing to cast.
    assert saved(found, "reduce-in-bf16") == pytest.approx(0.5 * 5 * 2 * MS, rel=0.05)


def test_casts_of_compressed_gradients_stand_in_line_with_the_backward_pass() -> None:
    """6 bytes to bf16, 4 to divide, 6 back at half the rate; at best the last beside other work. FSDP casts nothing."""
    lengths, device = (2 * MS,) * 5, "NVIDIA H200"
    blind = asked(*(reducing(n, compute_ns=10 * MS, lengths=lengths, slowest_ns=10 * MS) for n in range(2)))
    known = asked(
        *(reducing(n, compute_ns=10 * MS, lengths=lengths, slowest_ns=10 * MS, device=device) for n in range(2))
    )
    peaks = find_device(device, None)
    assert peaks is not None
    each = 5 * 500_000 / peaks.achievable_bytes_per_s * 1e9
    dearer = saved(blind, "compress-gradients") - saved(known, "compress-gradients")
    assert dearer == pytest.approx((10 + 6 / 0.53) * each, rel=0.02)
    best = [one.outcome(["compress-gradients"], Level.HIGH).step_ns for one in (blind, known)]
    assert best[1] - best[0] == pytest.approx(10 * each, rel=0.02)
    assert saved(known, "reduce-in-bf16") == pytest.approx(saved(blind, "reduce-in-bf16"), rel=0.001)


def looping(rank: int, device: str | None = None) -> RankTimeline:
    return reducing(rank, compute_ns=20 * MS, lengths=(MS // 4,) * 48, slowest_ns=20 * MS, device=device)


def test_buckets_next_to_backward_hide_what_a_loop_exposes() -> None:
    found = asked(*map(looping, range(2)))
    # 12 ms of transfers in 4 buckets, of which all but the last run beside the 20 ms of kernels.
    assert 8 * MS < saved(found, "wrap-ddp") < 12 * MS


def test_gradients_are_copied_into_buckets_and_back() -> None:
    """48 messages of half a million numbers, 96 MB, are read and written twice, at what an H200's memory gives.

    Of the way back a part lies beside the last transfers.
    """
    known, unknown = (
        saved(asked(*(looping(rank, device) for rank in range(2))), "wrap-ddp") for device in ("NVIDIA H200", None)
    )
    peaks = find_device("NVIDIA H200", None)
    assert peaks is not None
    both_ways = 2 * 2 * 48 * 2e6 / peaks.achievable_bytes_per_s * 1e9
    assert 0.5 * both_ways < unknown - known < 1.05 * both_ways


def test_repairing_the_slow_rank_saves_what_the_others_wait_for_it() -> None:
    ranks = [
        reducing(n, compute_ns=work, lengths=(MS,) * 2, slowest_ns=20 * MS)
        for n, work in enumerate((20 * MS, 12 * MS, 12 * MS))
    ]
    found = asked(*ranks)
    assert saved(found, "repair-straggler") == pytest.approx(8 * MS, rel=0.1)


def taking_turns(number: int) -> RankTimeline:
    """4 steps of 16 and 8 ms of kernels in turn, on the other rank of 8 and 16 ms, each with a reduction of 1 ms."""
    builder, step_ns = TraceBuilder(), 18 * MS
    for step in range(4):
        begin, compute = step * step_ns, (16 if step % 2 == number else 8) * MS
        builder.kernel("gemm_bf16", begin + 20_000, compute, launch_ns=begin + 1_000)
        left, arrived = begin + 25_000 + 17 * MS, begin + 25_000 + compute
        builder.kernel(NCCL.format("AllReduce_Sum_f32"), arrived, left - arrived, launch_ns=begin + 10_000)
        builder.kernel("adam", left + 5_000, 50_000, launch_ns=begin + 15_000)
        builder.runtime("cudaDeviceSynchronize", begin + 30_000, left + 57_000 - begin - 30_000)
        builder.step(step, begin, begin + step_ns)
    return builder.rank(number)


def test_ranks_that_are_late_in_turn_get_equal_work_in_each_step() -> None:
    """Neither is slower over all steps, and yet each waits for the other: with 12 ms on both no step takes 16."""
    found = asked(*map(taking_turns, range(2)))
    assert saved(found, "balance-batches") == pytest.approx(4 * MS, rel=0.05)
    assert "no rank is slower" in found.predict(["repair-straggler"]).left_out["repair-straggler"]


def test_work_that_is_divided_anew_does_not_go_away() -> None:
    """20 and 12 ms of kernels become 16 on both; a repaired rank does its own in 12.

    At best the time grew with the square of what there is to do: roots of 20 and 12 ms have the mean root of 15.75.
    """
    ranks = [
        reducing(n, compute_ns=work, lengths=(MS,) * 2, slowest_ns=20 * MS) for n, work in enumerate((20 * MS, 12 * MS))
    ]
    found = asked(*ranks)
    assert saved(found, "balance-batches") == pytest.approx(4 * MS, rel=0.05)
    assert saved(found, "repair-straggler") == pytest.approx(8 * MS, rel=0.05)
    best = found.outcome(["balance-batches"], Level.HIGH).step_ns
    assert found.model.outcome.step_ns - best == pytest.approx((20 - 15.75) * MS, rel=0.05)


def test_samples_that_are_heavier_on_one_rank_are_shared_by_all_loaders() -> None:
    """40 ms a batch on one rank with one worker, 4 on the other: 22 on both. Repairing the rank changes no samples."""
    found = asked(*(reducing(n, compute_ns=12 * MS, lengths=(MS,) * 2, slowest_ns=12 * MS) for n in range(2)))
    feeds = {n: Feed(fetches=1.0, workers=1, loads_ns=(load,) * 20) for n, load in enumerate((40e6, 4e6))}
    waiting = replace(found.model.scenario, feeds=feeds)
    assert run(waiting).step_ns == pytest.approx(40 * MS, rel=0.01)
    assert run(found.applied(["balance-batches"], scenario=waiting)[0]).step_ns == pytest.approx(22 * MS, rel=0.01)
    assert "no rank is slower" in found.applied(["repair-straggler"], scenario=waiting)[1]["repair-straggler"]


def backward_overlapped(number: int, extra_ns: int) -> RankTimeline:
    """Forward, then work that one rank has alone, then backward beside one long all-reduce that all ranks share."""
    builder, forward, backward, reduce = TraceBuilder(), 4 * MS, 8 * MS, 20 * MS
    latest = 10 * MS
    step_ns = forward + latest + reduce + MS
    for step in range(4):
        begin = step * step_ns
        builder.kernel("gemm_forward", begin + 20_000, forward - 2_000, launch_ns=begin + 1_000)
        if extra_ns:
            builder.kernel("burn", begin + 20_000 + forward, extra_ns - 2_000, launch_ns=begin + 8_000)
        arrived = begin + 20_000 + forward + extra_ns
        builder.runtime("cudaStreamWaitEvent", begin + 20_000, 1_000)
        left = begin + 20_000 + forward + latest + reduce
        builder.kernel(NCCL.format("AllReduce_Sum_f32"), arrived, left - arrived, launch_ns=begin + 25_000, stream=20)
        builder.kernel("gemm_backward", arrived, backward, launch_ns=begin + 32_000)
        builder.runtime("cudaStreamWaitEvent", begin + 40_000, 1_000)
        builder.kernel("adam", left + 5_000, 50_000, launch_ns=begin + 45_000)
        builder.runtime("cudaDeviceSynchronize", begin + 60_000, left + 57_000 - begin - 60_000)
        builder.step(step, begin, begin + step_ns)
    return builder.rank(number)


def test_work_that_only_the_slow_rank_has_goes_where_it_stands() -> None:
    """10 ms of extra products before backward delay the reduction by 10 ms; backward, shrunk, would delay nothing."""
    found = asked(backward_overlapped(0, 0), backward_overlapped(1, 10 * MS))
    assert saved(found, "repair-straggler") == pytest.approx(10 * MS, rel=0.03)


def test_equal_ranks_have_no_straggler() -> None:
    ranks = [reducing(n, compute_ns=12 * MS, lengths=(MS,) * 2, slowest_ns=12 * MS) for n in range(3)]
    assert "no rank is slower" in asked(*ranks).predict(["repair-straggler"]).left_out["repair-straggler"]


def gathering() -> RankTimeline:
    """FSDP without prefetch: every gather waits for the kernels before it, and these for the gather."""
    builder = TraceBuilder()
    step_ns = 8 * 3 * MS + MS
    for step in range(4):
        begin = step * step_ns
        for block in range(8):
            at, launch = begin + 100_000 + block * 3 * MS, begin + 1_000 + block * 40_000
            builder.runtime("cudaStreamWaitEvent", launch, 1_000)
            builder.kernel(NCCL.format("AllGather"), at, MS - 5_000, launch_ns=launch + 2_000, stream=17)
            builder.runtime("cudaStreamWaitEvent", launch + 10_000, 1_000)
            builder.kernel("gemm_bf16", at + MS, 2 * MS - 5_000, launch_ns=launch + 15_000)
        builder.runtime("cudaDeviceSynchronize", begin + 400_000, 24 * MS - 298_000)
        builder.step(step, begin, begin + step_ns)
    return builder.rank()


def test_prefetched_gathers_run_beside_the_kernels() -> None:
    found = asked(gathering())
    assert found.model.step_ns == pytest.approx(25 * MS, rel=0.06)
    assert saved(found, "fsdp-prefetch") == pytest.approx(7 * MS, rel=0.2)


def updated() -> RankTimeline:
    """FSDP that gathers as early as it may: when the optimizer is done. The host is half a step ahead."""
    builder = TraceBuilder()
    step_ns = 12 * MS
    for step in range(4):
        device, host = step * step_ns, step * step_ns - (6 * MS if step else 0)
        for block in range(4):
            at, launch = device + 10_000 + block * 2 * MS, host + 1_000 + block * 40_000
            builder.runtime("cudaStreamWaitEvent", launch, 1_000)
            builder.kernel(NCCL.format("AllGather"), at, 2 * MS - 5_000, launch_ns=launch + 2_000, stream=17)
            builder.runtime("cudaStreamWaitEvent", launch + 10_000, 1_000)
            builder.kernel("gemm_bf16", at + 2 * MS, MS - 5_000, launch_ns=launch + 15_000)
        builder.annotation("Optimizer.step#AdamW.step", host + 200_000, 30_000)
        builder.kernel("adam", device + 10_000 + 9 * MS, 3 * MS - 15_000, launch_ns=host + 210_000)
        builder.step(step, host, host + 5 * MS)
    return builder.rank()


def test_no_parameter_is_gathered_before_it_is_updated() -> None:
    assert abs(saved(asked(updated()), "fsdp-prefetch")) < 0.02 * 12 * MS


def test_kept_parameters_are_gathered_once() -> None:
    assert saved(asked(gathering()), "fsdp-keep-unsharded") == pytest.approx(4 * MS, rel=0.15)
