"""Is what debugging costs taken out of forward and backward, and nothing else?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.replay.transforms.base import Level
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.timeline.environment import Environment
from llmprof.timeline.settings import Precision
from tests.analyzers.replay.programs import what_if_of
from tests.analyzers.replay.transforms.test_pauses import paused
from tests.scenarios.builder import TraceBuilder

US = 1_000
LAYERS = 20
MAIN, BACKWARD = 1, 2
ANOMALY = Precision(detect_anomaly=True)


def trained(*, stack_us: int = 0, check: bool = False, optimizer_us: int = 0) -> TraceBuilder:
    """Steps of 20 operators forward and 20 functions backward, 20 µs of host and a kernel of 4 µs each.

    stack_us    what each operator of the forward pass takes longer, before it launches
    optimizer_us    what the optimizer does before it launches its only kernel
    check       whether each gradient is looked at: 60 µs of host, two kernels, and a wait for the copy
    """
    builder, now, free = TraceBuilder(), 0, 0

    def launch(at: int, kernel: int, tid: int, name: str = "gemm_bf16") -> int:
        nonlocal free
        free = max(at + 6 * US, free + US) + kernel
        builder.kernel(name, free - kernel, kernel, launch_ns=at, tid=tid)
        return free

    for step in range(4):
        begin = now
        for _ in range(LAYERS):
            builder.op("aten::mm", now + 2 * US, (16 + stack_us) * US, tid=MAIN)
            launch(now + (10 + stack_us) * US, 4 * US, MAIN)
            now += (20 + stack_us) * US
        for _ in range(LAYERS):
            start = now
            builder.op("aten::mm", now + 4 * US, 12 * US, tid=BACKWARD)
            launch(now + 8 * US, 4 * US, BACKWARD)
            now += 20 * US
            if check:
                builder.op("aten::isnan", now, 16 * US, tid=BACKWARD)
                launch(now + 8 * US, 2 * US, BACKWARD, "elementwise_kernel_ne")
                builder.op("aten::_is_any_true", now + 20 * US, 16 * US, tid=BACKWARD)
                launch(now + 28 * US, 2 * US, BACKWARD, "reduce_kernel_or")
                free = max(now + 54 * US, free + US) + US
                builder.memcpy("DtoH (Device -> Pageable)", free - US, US, 1, launch_ns=now + 46 * US, tid=BACKWARD)
                end = free + 2 * US
                builder.runtime("cudaStreamSynchronize", now + 51 * US, end - now - 51 * US, tid=BACKWARD)
                builder.op("aten::item", now + 40 * US, end + US - now - 40 * US, tid=BACKWARD)
                now = end + 2 * US
            builder.op("autograd::engine::evaluate_function: MmBackward0", start, now - start, tid=BACKWARD)
        if optimizer_us:
            builder.annotation("Optimizer.step#AdamW.step", now, (optimizer_us + 10) * US, tid=MAIN)
            builder.op("aten::_fused_adamw_", now + 2 * US, (optimizer_us + 6) * US, tid=MAIN)
            launch(now + (optimizer_us + 2) * US, 4 * US, MAIN, "multi_tensor_apply_kernel_fused_adam")
            now += (optimizer_us + 10) * US
        builder.step(step, begin, now)
    return builder


def asked(builder: TraceBuilder) -> WhatIf:
    return what_if_of(builder, environment=Environment(precision=ANOMALY))


def test_the_step_is_as_long_as_without_stacks_and_checks() -> None:
    plain = asked(trained()).model.outcome.step_ns
    found = asked(trained(stack_us=100, check=True))
    assert found.model.outcome.step_ns > 4 * plain
    assert found.outcome(["debug-off"]).step_ns == pytest.approx(plain, rel=0.1)
    low, high = (found.outcome(["debug-off"], level).step_ns for level in (Level.LOW, Level.HIGH))
    # Half of twenty stacks of 100 µs may be something else.
    assert low == pytest.approx(plain + 1_000 * US, rel=0.1) and high == pytest.approx(plain, rel=0.1)


def test_an_optimizer_that_collects_its_tensors_keeps_no_stack() -> None:
    plain = asked(trained(optimizer_us=400)).model.outcome.step_ns
    found = asked(trained(stack_us=100, check=True, optimizer_us=400))
    assert found.outcome(["debug-off"]).step_ns == pytest.approx(plain, rel=0.1)


def test_operators_that_keep_no_stack_stay_as_long_as_they_are() -> None:
    plain = asked(trained()).model.outcome.step_ns
    found = asked(trained(stack_us=20, check=True))
    assert found.outcome(["debug-off"]).step_ns == pytest.approx(plain + LAYERS * 20 * US, rel=0.1)


def test_stacks_are_taken_out_where_gradients_are_not_looked_at() -> None:
    plain = asked(trained()).model.outcome.step_ns
    assert asked(trained(stack_us=100)).outcome(["debug-off"]).step_ns == pytest.approx(plain, rel=0.1)


def test_an_allocator_without_its_cache_gets_it_back() -> None:
    uncached = Environment(variables={"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"})
    found = what_if_of(paused("free"), environment=uncached)
    assert found.outcome(["debug-off"]).step_ns == found.outcome(["stop-cache-flush"]).step_ns
    assert found.outcome(["debug-off"]).step_ns < 0.9 * found.model.outcome.step_ns


@pytest.mark.parametrize(
    "environment", [Environment(), Environment(variables={"CUDA_LAUNCH_BLOCKING": "1"}, precision=ANOMALY)]
)
def test_where_no_switch_is_known_or_launches_block_nothing_is_said(environment: Environment) -> None:
    found = what_if_of(trained(stack_us=100, check=True), environment=environment)
    assert "debug-off" in found.predict(["debug-off"]).left_out
