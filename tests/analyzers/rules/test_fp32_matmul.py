"""Are slow number formats recognised, and is the step in bf16 predicted as it was measured?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.device.kernels import TopKernel
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.written_attention import WrittenAttention
from llmprof.analyzers.rules.fp32_matmul import evaluate
from llmprof.timeline.environment import Device, Environment
from llmprof.timeline.settings import Precision
from tests.analyzers.rules.facts_builder import (
    H200,
    assert_consistent,
    assert_contains,
    fix,
    make_facts,
    make_kernels,
    status,
)
from tests.analyzers.rules.operators_builder import make_operators, put, work


def test_measured_truth_of_fp32() -> None:
    """An H200 run in fp32: 174.9 ms, and 24.5 ms under bf16 autocast."""
    facts = make_facts(
        174.878,
        host=0.56,
        compute_classes={"gemm": 147.0, "attention": 16.5, "elementwise": 9.0, "optimizer": 1.8},
        kernels=make_kernels(gemm_ms={"fp32": 147.0}, attention_ms={"fp32": 16.5}),
    )
    found = evaluate(facts)
    assert found.finding.severity == "critical"
    advice = fix(found, "bf16-autocast")
    assert_contains(advice, 174.878 - 24.524)
    assert advice.gain.expected_ms == pytest.approx(174.878 - 24.524, rel=0.05)
    assert advice.gain.basis == "roofline"
    # The same run with TF32 takes 52.6 ms.
    assert_contains(fix(found, "tf32"), 174.878 - 52.6)
    for one in found.recommendations:
        assert_consistent(one, facts)


def test_measured_truth_of_tf32() -> None:
    """An H200 run in TF32: 52.6 ms, and 24.5 ms under bf16 autocast."""
    facts = make_facts(
        52.6,
        host=0.5,
        compute_classes={"gemm": 24.6, "attention": 16.8, "elementwise": 9.0, "optimizer": 1.7},
        kernels=make_kernels(gemm_ms={"tf32": 24.6}, attention_ms={"fp32": 16.8}),
    )
    found = evaluate(facts)
    assert_contains(fix(found, "bf16-autocast"), 52.6 - 24.468)
    assert [one.id for one in found.recommendations] == ["bf16-autocast"]


@pytest.mark.parametrize(
    ("formats", "expected"),
    [
        ({"fp32": 0.99, "bf16": 50.0}, "passed"),
        ({"fp32": 1.0, "bf16": 50.0}, "fired"),
        ({"tf32": 4.99, "bf16": 50.0}, "passed"),
        ({"tf32": 5.0, "bf16": 50.0}, "fired"),
        ({"bf16": 50.0}, "not_applicable"),
        ({}, "not_applicable"),
        ({"unknown": 50.0}, "no_data"),
    ],
)
def test_thresholds(formats: dict[str, float], expected: str) -> None:
    kernels = make_kernels(gemm_ms=formats)
    facts = make_facts(100, compute_classes={"gemm": sum(formats.values())}, kernels=kernels)
    assert status(evaluate(facts)) == expected


def test_no_data_without_kernels() -> None:
    assert status(evaluate(make_facts(100))) == "no_data"


def test_not_applicable_on_a_device_without_bf16() -> None:
    environment = Environment(device=Device(name="Tesla V100-SXM2-32GB", capability=(7, 0)))
    kernels = make_kernels(gemm_ms={"fp32": 50.0})
    assert status(evaluate(make_facts(100, kernels=kernels, environment=environment))) == "not_applicable"


def test_an_unknown_device_gets_the_cautious_ratio() -> None:
    environment = Environment(device=Device(name="a new GPU"))
    kernels = make_kernels(gemm_ms={"fp32": 80.0})
    facts = make_facts(100, compute_classes={"gemm": 80.0}, kernels=kernels, environment=environment)
    assert fix(evaluate(facts), "bf16-autocast").gain.expected_ms == pytest.approx(80 * (1 - 0.25 * 1.1))


def test_faster_kernels_gain_nothing_while_the_host_is_late() -> None:
    kernels = make_kernels(gemm_ms={"fp32": 10.0})
    facts = make_facts(100, host=80.0, compute_classes={"gemm": 10.0}, kernels=kernels)
    advice = fix(evaluate(facts), "bf16-autocast")
    assert (advice.gain.low_ms, advice.gain.expected_ms, advice.gain.step_ms_after) == (0.0, 0.0, 100.0)
    assert "the host is late anyway" in advice.why


def test_the_current_setting_stands_in_the_advice() -> None:
    environment = Environment(device=Device(name="NVIDIA H200"), matmul_precision="highest")
    kernels = make_kernels(gemm_ms={"fp32": 80.0})
    found = evaluate(make_facts(100, compute_classes={"gemm": 80.0}, kernels=kernels, environment=environment))
    assert '"highest"' in fix(found, "tf32").how


def test_the_settings_stand_beside_what_the_kernels_tell() -> None:
    environment = Environment(allow_tf32=False, precision=Precision(autocast_watched=True))
    kernels = make_kernels(gemm_ms={"fp32": 80.0})
    found = evaluate(make_facts(100, compute_classes={"gemm": 80.0}, kernels=kernels, environment=environment))
    told = {one.label: one.value for one in found.finding.evidence if one.source == "settings"}
    assert told == {"autocast in the steps": "off", "TF32 in fp32 products": "not allowed"}


def test_unknown_settings_are_no_evidence() -> None:
    kernels = make_kernels(gemm_ms={"fp32": 80.0})
    found = evaluate(make_facts(100, compute_classes={"gemm": 80.0}, kernels=kernels))
    assert [one for one in found.finding.evidence if one.source == "settings"] == []


def test_a_variable_that_forbids_tf32_has_to_go_first() -> None:
    environment = Environment(
        device=Device(name="NVIDIA H200"), allow_tf32=False, variables={"NVIDIA_TF32_OVERRIDE": "0"}
    )
    kernels = make_kernels(gemm_ms={"fp32": 80.0})
    found = evaluate(make_facts(100, compute_classes={"gemm": 80.0}, kernels=kernels, environment=environment))
    assert "unset NVIDIA_TF32_OVERRIDE" in fix(found, "tf32").how


def convolutional(precision: Precision, allow_tf32: bool | None = None) -> Facts:
    """A step of 100 ms of which convolutions in fp32 take 60, and 5 ms convert their images."""
    longest = (
        TopKernel(name="sm80_xmma_wgrad_implicit_gemm_indexed_f32f32_f32f32_f32_nhwckrsc_nhwc", kind="convolution",
                  ns_per_step=60e6, count_per_step=50, dtype="fp32"),
        TopKernel(name="nchwToNhwcKernel<float, float>", kind="convolution", ns_per_step=5e6, count_per_step=50,
                  dtype="fp32"),
    )  # fmt: skip
    return make_facts(
        100,
        compute_classes={"convolution": 65.0},
        kernels=replace(make_kernels(), top=longest),
        environment=Environment(device=H200, precision=precision, allow_tf32=allow_tf32),
    )


@pytest.mark.parametrize(("cudnn", "expected"), [(False, ["bf16-autocast", "tf32"]), (True, ["bf16-autocast"])])
def test_convolutions_in_fp32_have_a_setting_of_their_own(cudnn: bool, expected: list[str]) -> None:
    facts = convolutional(Precision(cudnn_tf32=cudnn), allow_tf32=True)
    found = evaluate(facts)
    assert sorted(one.id for one in found.recommendations) == expected
    assert fix(found, "bf16-autocast").gain.expected_ms == pytest.approx(60.0 * (1 - 1.1 * 67 / 989), rel=0.01)
    if not cudnn:
        assert fix(found, "tf32").how == "torch.backends.cudnn.allow_tf32 = True"
        assert_consistent(fix(found, "tf32"), facts)


def test_attention_that_pytorch_widens_is_not_reached_by_autocast() -> None:
    """Its products can use TF32; bf16 they are given already."""
    one = work("aten::bmm", "[256,1024,64];[256,64,1024]", 10.0, kind="gemm", number_format="fp32")
    attention = WrittenAttention(
        ns=10e6, softmax_ns=0.0, flops=1.0, backward_flops=0.0, operand_bytes=0.0, queries=1024, keys=1024, heads=256,
        number_format="bf16", masked=False, calls=1.0, widened=True, work=(one,),
    )  # fmt: skip
    kernels = make_kernels(gemm_ms={"fp32": 10.0, "bf16": 40.0})
    facts = make_facts(100, compute_classes={"gemm": 50.0}, kernels=kernels)
    assert {one.id for one in evaluate(facts).recommendations} == {"bf16-autocast", "tf32"}
    widened = put(facts, operators=make_operators(one, attention=attention))
    assert {one.id for one in evaluate(widened).recommendations} == {"tf32"}
    allowed = put(widened, environment=replace(facts.critical.environment, allow_tf32=True))
    assert status(evaluate(allowed)) == "passed"
