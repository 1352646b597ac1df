"""What does attention take in a causal kernel instead of with a mask tensor, and where only one kernel is left?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.faster.faster_attention import CAUSAL, CAUSAL_NS, fused, unmasked_saving
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators.operators import OperatorWork
from tests.analyzers.rules.facts_builder import H200
from tests.analyzers.rules.operators_builder import make_operators, work

FLOPS = 4.0 * 4 * 8 * 4096 * 4096 * 128
BEST_NS = FLOPS / 795e12 * 1e9
ONE = OperatorWork(
    operator="aten::_scaled_dot_product_cudnn_attention",
    kind="attention",
    ns=2.2 * BEST_NS,
    calls=1.0,
    kernels=1.0,
    shapes="[4,8,4096,128];[4,8,4096,128];[4,8,4096,128];[4096,4096]|c10::BFloat16;c10::BFloat16;c10::BFloat16",
    number_format="bf16",
    flops=FLOPS,
    best_ns=BEST_NS,
    kernel="cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16",
)


def saved(one: OperatorWork) -> float:
    return unmasked_saving(OperatorFacts(work=(one,))).expected_ns


def test_reading_the_mask_costs_more_than_the_half_that_it_hides() -> None:
    assert saved(ONE) == pytest.approx(ONE.ns - CAUSAL * BEST_NS - CAUSAL_NS)


@pytest.mark.parametrize("changed", [{"ns": 1.2 * BEST_NS}, {"flops": None, "best_ns": None}])
def test_half_of_the_blocks_go_in_any_case(changed: dict[str, float | None]) -> None:
    one = replace(ONE, **changed)  # type: ignore[arg-type]
    assert saved(one) == pytest.approx(0.5 * one.ns)


@pytest.mark.parametrize(("width", "slow"), [(256, False), (264, True)])
def test_flash_attention_takes_no_wider_heads_than_256(width: int, slow: bool) -> None:
    """The memory-efficient kernel is left, here at a fifth to a third of half the peak."""
    operators = make_operators(
        work("aten::bmm", f"[8,4096,{width}];[8,{width},4096]", 1.0, kind="gemm"),
        work("aten::_softmax", "[8,4096,4096]", 2.0, kind="softmax"),
        work("aten::bmm", f"[8,4096,4096];[8,4096,{width}]", 1.0, kind="gemm"),
    )
    assert operators.attention is not None
    one = fused(operators.attention, H200)
    assert one is not None
    flops = 2 * 2 * 8 * 4096**2 * width
    efficient_ns = flops / (0.5 * 989e12 * 0.33) * 1e9
    assert (one.fast_ns == pytest.approx(efficient_ns)) is slow
