"""Do all rules about kernels say what is missing, and keep quiet where they have nothing to say?"""

from __future__ import annotations

import importlib
from dataclasses import replace

import pytest

from llmprof.analyzers.rules.base import Judgement
from llmprof.timeline.environment import Device, Environment
from tests.analyzers.rules.facts_builder import make_facts, status
from tests.analyzers.rules.operators_builder import make_operators, product, put, with_operators

SHAPED = (
    "unfused_attention", "misaligned_matmul", "unfused_elementwise", "unfused_cross_entropy",
    "layout_copies", "low_bandwidth_kernels", "bandwidth_bound", "fp8_opportunity", "low_mfu", "unfused_norm",
)  # fmt: skip
ALL = (*SHAPED, "slow_attention_backend", "recompute_overuse", "conv_layout", "cudnn_benchmark")


def judged(rule: str, facts: object) -> Judgement:
    found = importlib.import_module(f"llmprof.analyzers.rules.{rule}").evaluate(facts)
    assert isinstance(found, Judgement)
    return found


@pytest.mark.parametrize("rule", ALL)
def test_without_kernels_there_is_no_data(rule: str) -> None:
    found = judged(rule, make_facts(100.0))
    assert status(found) == "no_data" and "llmprof run" in found.finding.summary


@pytest.mark.parametrize("rule", ALL)
def test_training_on_the_cpu_has_no_kernels(rule: str) -> None:
    assert status(judged(rule, make_facts(100.0, cpu_only=True))) == "not_applicable"


@pytest.mark.parametrize("rule", SHAPED)
def test_without_shapes_there_is_no_data(rule: str) -> None:
    unshaped = make_operators(replace(product(4096, 4096, 4096, 50.0), shapes=None), shaped_share=0.0)
    found = judged(rule, with_operators(given=unshaped))
    assert status(found) == "no_data" and "record_shapes" in found.finding.summary


@pytest.mark.parametrize("rule", ALL)
def test_an_unknown_device_gets_no_promise(rule: str) -> None:
    """No roofline is guessed: whatever a rule says, its fixes promise nothing."""
    device = Device(name="Some GPU 9000", sm_count=100, capability=(9, 0))
    facts = with_operators(product(8192, 1024, 50257, 60.0, device=device), environment=Environment(device=device))
    found = judged(rule, facts)
    assert status(found) != "error"
    assert all(one.gain.low_ms == 0.0 for one in found.recommendations)


@pytest.mark.parametrize("rule", ALL)
def test_a_good_step_promises_nothing_above_3_percent(rule: str) -> None:
    """Large aligned products at 80 % of the peak, and nothing else."""
    facts = with_operators(*(product(16384, 4096, 4096, 0.7, calls=1) for _ in range(1)), step_ms=0.75)
    found = judged(rule, facts)
    assert all(one.gain.low_ms <= 0.03 * 0.75 for one in found.recommendations)


@pytest.mark.parametrize("rule", ALL)
def test_a_step_that_waits_for_its_host_gets_no_promise(rule: str) -> None:
    """Shorter kernels only lengthen the wait, whatever they could save."""
    facts = with_operators(product(8192, 1024, 50257, 20.0), host=60.0)
    found = judged(rule, put(facts))
    assert all(one.gain.expected_ms == 0.0 for one in found.recommendations)
