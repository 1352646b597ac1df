"""Does a step in another number format take what its operators take there, on the device and on the host?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.faster.number_formats import converted
from llmprof.analyzers.replay.transforms.base import Level
from llmprof.analyzers.replay.transforms.number_formats import CAST_HOST_NS
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.timeline.environment import Environment
from llmprof.timeline.timeline import RankTimeline
from tests.analyzers.replay.programs import asked
from tests.scenarios.builder import TraceBuilder

SIMT = "sm80_xmma_gemm_f32f32_f32f32_f32_nt_n_tilesize128x128x8_stage3_ffma_aligna4_alignc4_execute_kernel"
TYPES = ["float", "float"]
PRODUCT_NS = 5_400_000
CALLS = 10


def linear(
    rank: int = 0, *, width: int = 2048, shapes: bool = True, host_ns: int = 40_000, kernel_ns: int = PRODUCT_NS
) -> RankTimeline:
    """Ten products of a layer in fp32, for which the host then waits."""
    builder, now = TraceBuilder(), 100_000
    dims = [[4 * width, width], [width, 4 * width]]
    for step in range(6):
        begin = now
        at = now + 20_000
        for _ in range(CALLS):
            builder.op("aten::mm", now, host_ns, shapes=(dims, TYPES) if shapes else None)
            at = max(at, now + host_ns)
            builder.kernel(SIMT, at, kernel_ns, launch_ns=now + host_ns // 2)
            at, now = at + kernel_ns, now + host_ns
        builder.runtime("cudaDeviceSynchronize", now, max(at - now, 0) + 10_000)
        now = max(now, at) + 10_000
        builder.step(step, begin, now)
    device = replace(Environment().device, name="NVIDIA H200", sm_count=132, capability=(9, 0))
    return builder.rank(rank, environment=Environment(device=device))


def expected_ns(found: WhatIf, fast: str) -> float:
    critical = found.subject.facts.critical
    assert critical.operators is not None
    return sum(one.ns[1] for one in converted(critical.operators, critical.environment.device, fast))


@pytest.mark.parametrize(("fix", "fast"), [("bf16-autocast", "bf16"), ("tf32", "tf32")])
def test_a_step_of_products_takes_what_the_products_then_take(fix: str, fast: str) -> None:
    found = asked(linear())
    left = expected_ns(found, fast)
    assert found.outcome([fix]).step_ns == pytest.approx(left, rel=0.05)  # and the first launch
    assert found.outcome([fix], Level.HIGH).step_ns < left < found.outcome([fix], Level.LOW).step_ns


def test_a_rank_of_unknown_shapes_has_the_same_kernels_in_the_other_format() -> None:
    """Kernels go by the name that they have on the rank whose shapes are known."""
    both, alone = asked(linear(0), linear(1, shapes=False)), asked(linear(0))
    assert both.outcome(["tf32"]).step_ns == pytest.approx(alone.outcome(["tf32"]).step_ns, rel=0.01)


def test_casts_lengthen_a_step_that_waits_for_its_host() -> None:
    """A cast for each weight, which is as much as a launch, but runs no Python."""
    for host_ns, cast_ns in ((10_000, 10_000), (100_000, CAST_HOST_NS)):
        found = asked(linear(width=64, host_ns=host_ns, kernel_ns=2_000))
        before = found.model.outcome.step_ns
        assert found.outcome(["tf32"]).step_ns == pytest.approx(before, rel=0.02)
        longer = found.outcome(["bf16-autocast"]).step_ns - before
        assert longer == pytest.approx(CALLS * cast_ns, rel=0.4)
