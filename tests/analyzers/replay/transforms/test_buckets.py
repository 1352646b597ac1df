"""Is what other buckets bring told gradient by gradient, for one that was too large and gradients joined by hand?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.facts.operators.gradients import gradients_of
from llmprof.analyzers.replay.scenario import run
from llmprof.analyzers.replay.transforms.base import Level
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.timeline.environment import Device, Environment
from llmprof.timeline.events import CollectiveCall
from llmprof.timeline.settings import DdpSettings, ModelSettings
from llmprof.timeline.timeline import RankTimeline, ShapedSteps
from tests.analyzers.replay.programs import asked
from tests.scenarios.builder import TraceBuilder

MS, MIB = 1_000_000, 1 << 20
NCCL = "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage)"
AUTOGRAD = 2
SIZES = (1, 30, 30, 40, 5, 25, 30)
"""MiB of the gradients, in their order; the fifth fills no bucket and goes with the next."""
EACH_NS = 3 * MS
BUCKETS = ((0,), (1,), (2,), (3,), (4, 5), (6,))


def recorded(
    number: int, *, rate: float, by_hand: bool, joining_ns: int = 0, parts: Sequence[Sequence[int]] = (SIZES,)
) -> RankTimeline:
    """3 steps: forward, a kernel for each gradient, and a reduction of all of them that nothing hides.

    rate          bytes per ns of the link
    by_hand       reduced by the training thread after the backward pass, behind a kernel that joins the gradients
    parts         MiB of the gradients in each message
    """
    builder, now = TraceBuilder(), 0
    for step in range(3):
        begin = now
        builder.kernel("gemm_bf16", now + 20_000, 5 * MS, launch_ns=now + 1_000)
        now += 20_000 + 5 * MS
        for place, size in enumerate(SIZES):
            at = begin + 10_000 * (place + 1)
            builder.kernel("gemm_bf16", now, EACH_NS, launch_ns=at, tid=AUTOGRAD)
            builder.op(
                "autograd::engine::evaluate_function: torch::autograd::AccumulateGrad", at + 5_000, 900, AUTOGRAD
            )
            shapes = ([[size * MIB // 4]], ["float"])
            builder.op("torch::autograd::AccumulateGrad", at + 5_100, 300, AUTOGRAD, shapes=shapes)
            now += EACH_NS
        called = begin + 10_000 * len(SIZES) + (20_000 if by_hand else 5_500)
        if joining_ns:
            builder.kernel("CatArrayBatchedCopy", now, joining_ns, launch_ns=called - 5_000)
            now += joining_ns
        for part in parts:
            elements = sum(part) * MIB // 4
            call = CollectiveCall(name="allreduce", in_elements=elements, dtype="Float", group_size=2, ranks=(0, 1))
            ns = round(4 * elements / rate)
            tid = None if by_hand else AUTOGRAD
            builder.runtime("cudaStreamWaitEvent", called - 200, 100, tid)
            builder.kernel(NCCL, now, ns, launch_ns=called, launch_dur_ns=200, stream=9, tid=tid, collective=call)
            now, called = now + ns, called + 400
        builder.runtime("cudaStreamWaitEvent", begin + 148_000, 100)
        builder.kernel("adam", now, MS, launch_ns=begin + 150_000)
        now += MS
        waited = begin + 160_000
        builder.runtime("cudaDeviceSynchronize", waited, now + 2_000 - waited)
        now += 5_000
        builder.step(step, begin, now)
    ddp = None if by_hand else DdpSettings(bucket_cap_bytes=4000 * MIB)
    environment = Environment(device=Device(name=None), models=(ModelSettings(name="Net"),), ddp=ddp)
    rank = builder.rank(number, environment=environment)
    assert rank.events is not None
    return replace(rank, shaped=ShapedSteps(rank.events, rank.marks))


def in_buckets(
    rate: float, *, latency_ns: float = 50_000.0, beside: float = 1.04, whole_ns: float | None = None
) -> float:
    """Ns from the first gradient's kernel to the end of the reductions, each bucket sent when it is full."""
    whole, free = whole_ns or sum(SIZES) * MIB / rate, 0.0
    for bucket in BUCKETS:
        ready = (bucket[-1] + 1) * EACH_NS
        begin = max(free, ready)
        ns = latency_ns + (whole - latency_ns) * sum(SIZES[place] for place in bucket) / sum(SIZES)
        free = begin + ns * (beside if begin < len(SIZES) * EACH_NS else 1.0)
    return free


def saved(found: WhatIf, fix: str, level: Level = Level.EXPECTED) -> float:
    """Ns that the fix saves a step whose kernels take as long beside a collective as alone."""
    scenario = replace(found.model.scenario, contention=None)
    return found.model.step_ns - run(found.applied([fix], level, scenario)[0]).step_ns


@pytest.mark.parametrize("rate", [10.0, 25.0, 50.0])
def test_one_bucket_of_all_gradients_cut_up_hides_behind_the_backward_pass(rate: float) -> None:
    """Over a slow link the transfers set the pace, over a fast one only what follows the last gradient is left."""
    found = asked(*(recorded(number, rate=rate, by_hand=False) for number in range(2)))
    alone = len(SIZES) * EACH_NS + sum(SIZES) * MIB / rate
    assert saved(found, "ddp-bucket-size") == pytest.approx(alone - in_buckets(rate), rel=0.02, abs=20_000)
    best = saved(found, "ddp-bucket-size", Level.HIGH)
    assert best == pytest.approx(alone - in_buckets(rate, latency_ns=50_000 / 6, beside=1.0), rel=0.02, abs=60_000)


def test_gradients_joined_by_hand_leave_in_buckets_and_what_joined_them_goes() -> None:
    rate, joining = 25.0, 2 * MS
    found = asked(*(recorded(number, rate=rate, by_hand=True, joining_ns=joining) for number in range(2)))
    alone = len(SIZES) * EACH_NS + joining + sum(SIZES) * MIB / rate
    assert saved(found, "wrap-ddp") == pytest.approx(alone - in_buckets(rate), rel=0.02)


def test_gradients_reduced_one_by_one_are_joined_to_buckets() -> None:
    """Of each message a latency is saved, and of each bucket paid again; the shortest message shows how much it is."""
    rate, each = 25.0, [[size] for size in SIZES]
    found = asked(*(recorded(number, rate=rate, by_hand=True, parts=each) for number in range(2)))
    latency = min(SIZES) * MIB / rate
    alone = len(SIZES) * EACH_NS + sum(SIZES) * MIB / rate
    moved = sum(SIZES) * MIB - len(SIZES) * latency * rate
    after = in_buckets(rate, latency_ns=latency, whole_ns=moved / rate + latency)
    assert saved(found, "wrap-ddp") == pytest.approx(alone - after, rel=0.03)


def test_messages_that_do_not_hold_all_gradients_are_not_cut() -> None:
    found = asked(*(recorded(number, rate=25.0, by_hand=True, parts=[SIZES[:3]]) for number in range(2)))
    assert "by hand" in found.predict(["wrap-ddp"]).left_out["wrap-ddp"]


def test_gradients_have_the_sizes_of_the_step_that_was_traced_for_shapes() -> None:
    rank = recorded(0, rate=25.0, by_hand=True)
    steps = gradients_of(rank, rank.marks.start_ns, rank.marks.end_ns)
    assert steps is not None and len(steps) == 3
    assert [one.sizes.tolist() for one in steps] == [[size * MIB for size in SIZES]] * 3
    assert all((np.diff(one.done_ns) == 10_000).all() for one in steps)
    assert steps[0].buckets(MIB, 25 * MIB) == [bucket[-1] for bucket in BUCKETS]
    assert gradients_of(replace(rank, shaped=None), rank.marks.start_ns, rank.marks.end_ns) is None
