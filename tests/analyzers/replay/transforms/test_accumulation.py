"""Do gradients that are reduced in the last micro-batch only cost one reduction, and one copy into buckets and back?"""

from __future__ import annotations

import numpy as np
import pytest

from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.timeline.steps import StepPhase, StepTimes
from llmprof.timeline.timeline import RankTimeline
from tests.analyzers.replay.programs import asked
from tests.scenarios.builder import TraceBuilder

NCCL = "ncclDevKernel_{}_Sum_f32_RING_LL(ncclDevKernelArgsStorage)"
MS = 1_000_000
MICRO = 4
STEPS = 4
COMPUTE, COPY, BACK, REDUCE = 5 * MS, 1 * MS, 1 * MS, 3 * MS


def micro_batches(wall_ns: int = 100 * MS) -> StepTimes:
    return StepTimes(
        number=np.arange(STEPS),
        start_ns=np.arange(STEPS) * wall_ns,
        wall_ns=np.full(STEPS, wall_ns),
        phase=np.full(STEPS, StepPhase.TRACED, np.uint8),
        microbatches=np.full(STEPS, MICRO),
    )


def reducing(number: int, *, op: str = "AllReduce", copies: bool = True) -> RankTimeline:
    """Micro-batches of a product, the copy into a bucket, its reduction and the copy back, one after the other."""
    builder, now, launch = TraceBuilder(), 100_000, 0
    for step in range(STEPS):
        begin = now - 100_000
        launch = begin
        for _ in range(MICRO):
            for name, ns, marked in (
                ("gemm_bf16", COMPUTE, None),
                ("mul_kernel", COPY, "torch::distributed::reducer::mul_out"),
                (NCCL.format(op), REDUCE, None),
                ("copy_kernel", BACK, "torch.distributed.ddp.reducer::copy_bucket_to_grad"),
            ):
                launch += 10_000
                if marked is not None and copies:
                    builder.op(marked, launch - 2_000, 9_000)
                builder.kernel(name, now, ns - 2_000, launch_ns=launch)
                now += ns
        builder.kernel("adam", now, 100_000, launch_ns=launch + 10_000)
        builder.runtime("cudaDeviceSynchronize", launch + 20_000, now + 102_000 - launch - 20_000)
        now += 210_000
        builder.step(step, begin, now - 100_000)
    return builder.rank(number, times=micro_batches())


def saved_ms(found: WhatIf) -> float:
    return (found.model.step_ns - found.predict(["no-sync"]).step_ns) / MS


@pytest.mark.parametrize("count", [1, 2])
def test_all_but_the_last_reductions_go_with_their_copies(count: int) -> None:
    assert saved_ms(asked(*(reducing(n) for n in range(count)))) == pytest.approx(3 * (3 + 1 + 1), rel=0.02)


def test_copies_that_no_reducer_makes_stay() -> None:
    assert saved_ms(asked(*(reducing(n, copies=False) for n in range(2)))) == pytest.approx(3 * 3, rel=0.02)


def test_a_late_host_no_longer_issues_the_reductions_that_went() -> None:
    """Each micro-batch takes the host 1 ms of the model and 2 ms inside the operator that issues its reduction."""
    builder, now = TraceBuilder(), 100_000
    for step in range(STEPS):
        begin = now
        for _ in range(MICRO):
            builder.kernel("gemm_bf16", now + MS + 10_000, 20_000, launch_ns=now + MS - 6_000, launch_dur_ns=6_000)
            builder.op("c10d::allreduce_", now + MS, 2 * MS)
            at = now + 2 * MS
            builder.kernel(NCCL.format("AllReduce"), at + 10_000, 20_000, launch_ns=at, launch_dur_ns=6_000, stream=20)
            now += 3 * MS
        builder.step(step, begin, now)
    rank = builder.rank(times=micro_batches(wall_ns=MICRO * 3 * MS))
    assert saved_ms(asked(rank)) == pytest.approx(3 * 2, rel=0.03)


def test_gathers_of_parameters_stay() -> None:
    found = asked(reducing(0, op="AllGather"))
    assert found.predict(["no-sync"]).left_out == {"no-sync": "no reductions of gradients were recorded"}


def test_without_micro_batches_nothing_is_to_be_gained() -> None:
    builder = TraceBuilder()
    for step in range(STEPS):
        builder.kernel("gemm", step * MS + 20_000, 500_000, launch_ns=step * MS)
        builder.kernel(NCCL.format("AllReduce"), step * MS + 530_000, 300_000, launch_ns=step * MS + 8_000)
        builder.step(step, step * MS, (step + 1) * MS)
    reasons = asked(builder.rank()).predict(["no-sync"]).left_out
    assert "not accumulated" in reasons["no-sync"]
