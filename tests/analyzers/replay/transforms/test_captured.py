"""What does a step take whose model is launched as CUDA graphs?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.replay.what_if import WhatIf
from tests.analyzers.replay.programs import asked
from tests.scenarios.builder import TraceBuilder


def written_loop(
    kernels: int, gradients: int, *, kernel_ns: int = 2_000, other_ns: int = 0, steps: int = 4, call_ns: int = 20_000
) -> WhatIf:
    """A model of so many kernels, launched one by one, whose backward hands over `gradients`; then other host work.

    The host sets the pace: a launch every `call_ns`, with the kernel right after it.
    """
    builder = TraceBuilder()
    now = 0
    for step in range(steps):
        begin = now
        backward = begin + kernels // 2 * call_ns
        builder.op("autograd::engine::evaluate_function: MmBackward0", backward, kernels // 2 * call_ns, tid=2)
        for place in range(kernels):
            tid = 1 if place < kernels // 2 else 2
            builder.kernel(
                "void elementwise_kernel", now + call_ns, kernel_ns, launch_ns=now + call_ns - 9_000, tid=tid
            )
            now += call_ns
        for place in range(gradients):
            builder.op("torch::autograd::AccumulateGrad", backward + place * call_ns + 1_000, 4_000, tid=2)
        builder.annotation("Optimizer.step#SGD.step", now + 1_000, 18_000 + other_ns)
        builder.kernel("multi_tensor_apply_kernel", now + 30_000, 5_000, launch_ns=now + 15_000, launch_dur_ns=4_000)
        now += 20_000 + other_ns
        builder.step(step, begin, now)
    return asked(builder.rank())


def after_us(found: WhatIf) -> float:
    return found.predict(["cuda-graphs"]).step_ns / 1_000


def test_what_stays_of_a_captured_model_is_at_most_a_launch_for_each_gradient() -> None:
    """400 launches of 20 us: with gradients for all of them 15 % stays, with 4 of them a hundredth."""
    many, few = after_us(written_loop(400, 200)), after_us(written_loop(400, 4))
    assert many == pytest.approx(0.15 * 8_000, rel=0.1)
    assert few == pytest.approx(400 * 2 + 5, rel=0.1)  # the kernels alone


def test_where_no_gradient_was_recorded_the_usual_share_stays() -> None:
    assert after_us(written_loop(400, 0)) == pytest.approx(0.15 * 8_000, rel=0.1)


def test_a_graph_takes_one_place_in_the_launch_queue_however_many_kernels_it_holds() -> None:
    """1,500 kernels of 10 us: the queue would hold 1,024, and the host's 12 ms behind them would stand after 5 ms."""
    found = written_loop(1_500, 4, kernel_ns=10_000, other_ns=12_000_000, steps=3)
    after = found.outcome(["cuda-graphs"])
    assert found.model.outcome.step_ns == pytest.approx(42e6, rel=0.05)
    assert after.step_ns == pytest.approx(15e6, rel=0.03)
