"""Are the passes of a stage told apart, and is waiting for other stages or for the host left out of them?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.pipeline.stage_work import KERNEL_LEAST_NS, TENSOR_LEAST_NS, StageWork, stage_work
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.timeline.events import CollectiveCall
from llmprof.timeline.settings import PipelineSettings
from tests.analyzers.rules.exchange_facts import environment
from tests.scenarios.builder import TraceBuilder
from tests.scenarios.exchange import GEMM

US, MS = 1_000, 1_000_000
ENGINE, MAIN = 2, 1
ELEMENTWISE = "void at::native::vectorized_elementwise_kernel<4>"
MESSAGE = "ncclDevKernel_SendRecv(ncclDevKernelArgsStorage<4096ul>)"


def one_stage(*, steps: int = 2, late_ns: int = 0) -> StageWork | None:
    """Forward 4 ms, a message of 100 us that waits 5 ms, backward 7 ms, gradients scaled in 1 ms; gaps of 2 us.

    late_ns    how long after the forward pass's first kernel its second is launched
    """
    builder, step_ns = TraceBuilder(), 40 * MS
    for step in range(steps):
        begin = step * step_ns
        launch = begin
        at = begin + 100 * US
        builder.kernel(GEMM, at, 3 * MS, launch_ns=launch, tid=MAIN)
        at += 3 * MS + 2 * US + late_ns
        second = at - 5 * US if late_ns else launch + 10 * US
        builder.kernel(ELEMENTWISE, at, MS, launch_ns=second, tid=MAIN)
        at += MS
        call = CollectiveCall(name="coalesced", in_elements=1 << 20, dtype="Float", group_size=2)
        for waited in (5 * MS, 0):
            builder.kernel(MESSAGE, at, 100 * US + waited, launch_ns=second + 10 * US, stream=9, collective=call)
            at += 100 * US + waited
        builder.op("autograd::engine::evaluate_function: AddmmBackward0", second + 20 * US, 30 * US, ENGINE)
        builder.kernel(GEMM, at, 7 * MS, launch_ns=second + 25 * US, tid=ENGINE)
        at += 7 * MS + 2 * US
        builder.kernel(ELEMENTWISE, at, MS, launch_ns=second + 60 * US, tid=MAIN)
        builder.step(step, begin, begin + step_ns)
    settings = PipelineSettings(schedule="Schedule1F1B", microbatches=1, stages=2, local_stages=(0,))
    rank = builder.rank(0, environment=environment(pipeline=settings))
    return stage_work(rank, windows_of(rank))


def test_passes_are_told_apart_by_the_thread_that_launches_them() -> None:
    work = one_stage()
    assert work is not None
    assert work.forward.busy_ns == 4 * MS
    assert work.backward.busy_ns == 7 * MS
    assert work.forward.kernels == 2
    assert work.forward.least_ns == TENSOR_LEAST_NS + KERNEL_LEAST_NS


def test_waiting_for_the_other_stage_is_no_gap_and_the_shortest_message_waited_for_nobody() -> None:
    work = one_stage()
    assert work is not None
    assert work.forward.gap_ns + work.backward.gap_ns == pytest.approx(2 * US, abs=US)
    assert work.message_ns == 100 * US


def test_what_follows_the_last_backward_pass_is_done_once() -> None:
    work = one_stage(steps=1)
    assert work is not None
    assert work.once_ns == pytest.approx(MS, abs=10 * US)


def test_a_late_host_makes_no_gap_of_the_device() -> None:
    late, in_time = one_stage(late_ns=20 * MS), one_stage()
    assert late is not None
    assert in_time is not None
    assert late.forward.gap_ns <= in_time.forward.gap_ns + 2 * US


def test_without_a_pipeline_there_is_no_stage() -> None:
    builder = TraceBuilder()
    builder.kernel(GEMM, 10, MS, launch_ns=0)
    builder.step(0, 0, 2 * MS)
    rank = builder.rank(0, environment=environment())
    assert stage_work(rank, windows_of(rank)) is None
