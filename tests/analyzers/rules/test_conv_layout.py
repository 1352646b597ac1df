"""Are conversions between image layouts named?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.faster.channels_last import nchw_norms
from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.analyzers.rules.conv_layout import evaluate
from tests.analyzers.rules.facts_builder import assert_consistent, fix, status
from tests.analyzers.rules.operators_builder import copied, make_operators, with_operators, work

CONV = work("aten::convolution", "[64,64,56,56];[64,64,3,3]", 30.0, kind="convolution")


def test_what_conversions_take_is_expected_back() -> None:
    facts = with_operators(given=make_operators(CONV, conversion_ns=8e6))
    advice = fix(evaluate(facts), "channels-last")
    assert (advice.gain.low_ms, advice.gain.expected_ms) == (0.0, pytest.approx(8.0))
    assert_consistent(advice, facts)


@pytest.mark.parametrize(("ms", "expected"), [(1.9, "passed"), (2.0, "fired")])
def test_threshold(ms: float, expected: str) -> None:
    assert status(evaluate(with_operators(given=make_operators(CONV, conversion_ns=ms * 1e6)))) == expected


NCHW = "void at::native::batch_norm_collect_statistics_kernel<at::native::Var, c10::BFloat16, c10::BFloat16, float>"
LAST = "void at::native::batch_norm_collect_statistics_channels_last_kernel<at::native::Var, c10::BFloat16>"


def norm(ms: float, kernel: str = NCHW, number_format: str = "bf16") -> OperatorWork:
    shape = "[160,64,48,48];[64]"
    return work("aten::native_batch_norm", shape, ms, kind="normalization", kernel=kernel, number_format=number_format)


def test_batch_norms_in_nchw_are_expected_to_close_three_quarters_of_their_gap() -> None:
    """Three passes over 160 x 64 x 48 x 48 numbers of 2 bytes are what is left at best."""
    facts = with_operators(given=make_operators(CONV, norm(20.0), conversion_ns=1e5))
    advice = fix(evaluate(facts), "channels-last")
    traffic_ms = 3 * 160 * 64 * 48 * 48 * 2 / (0.8 * 4.8e12) * 1e3
    assert advice.gain.expected_ms == pytest.approx(0.1 + 0.75 * (20.0 - traffic_ms), rel=1e-3)
    assert advice.gain.low_ms == pytest.approx(0.5 * (20.0 - traffic_ms), rel=1e-3)
    assert advice.gain.high_ms == pytest.approx(0.1 + 20.0 - traffic_ms, rel=1e-3)
    assert_consistent(advice, facts)


@pytest.mark.parametrize(
    ("one", "conversion_ns"),
    [
        (norm(20.0, LAST), 1e5),
        (norm(20.0, NCHW.replace("BFloat16", "float"), number_format="fp32"), 1e5),
        (norm(20.0), 0),
    ],
)
def test_norms_that_channels_last_does_not_change_are_left_alone(one: OperatorWork, conversion_ns: float) -> None:
    """Those of channels_last, those in fp32, and those beside convolutions that convert nothing."""
    facts = with_operators(given=make_operators(CONV, one, conversion_ns=conversion_ns))
    assert status(evaluate(facts)) == "passed"


def test_no_convolutions_no_question() -> None:
    assert status(evaluate(with_operators(copied(2**20, 10.0)))) == "not_applicable"


def test_images_in_channels_last_that_are_converted_all_the_same_need_no_other_layout() -> None:
    """cuDNN's fp32 kernels for CUDA cores read NCHW alone, and it converts for them by itself."""
    last = "void cudnn::batchnorm_fwtr_nhwc_semiPersist<float, float, float, 512, 16, 2, 4, 1, 0>"
    one = norm(20.0, last, number_format="fp32")
    assert status(evaluate(with_operators(given=make_operators(CONV, one, conversion_ns=8e6)))) == "passed"


def test_group_norms_copy_more_than_the_conversions_that_go() -> None:
    """6 copies in fp32 and bf16 of all images take longer than the conversions: no fix, and the reason is told."""
    images, weight = "[40,256,64,64]", "[256,256,3,3]"
    operators = (
        work("aten::convolution", f"{images};{weight}", 1.0, kind="convolution"),
        work("aten::convolution_backward", f"{images};{images};{weight}", 2.0, kind="convolution"),
        work("aten::native_group_norm", f"{images};[256];[256]", 0.3, kind="normalization", number_format="fp32"),
        work(
            "aten::native_group_norm_backward",
            f"{images};{images};[40,8];[40,8];[256]",
            0.4,
            kind="normalization",
            number_format="fp32",
        ),
    )
    moved = {"aten::convolution": 4.0, "aten::convolution_backward": 6.0}
    some = [replace(one, bytes=moved.get(one.operator, 0.0) * 40 * 256 * 64 * 64 or one.bytes) for one in operators]
    found = evaluate(with_operators(given=make_operators(*some, conversion_ns=4e6)))
    assert status(found) == "passed" and "read NCHW alone" in found.finding.summary
    newer = make_operators(*some, conversion_ns=4e6, copies_group_norms=False)
    assert status(evaluate(with_operators(given=newer))) == "fired"


def test_instance_norms_gain_nothing_from_channels_last() -> None:
    """Their kernels read NCHW whatever the layout, and their images are copied for them."""
    images, weight, kernel = "[40,256,64,64]", "[256,256,3,3]", "batch_norm_transform_input_kernel"
    convolution = work("aten::convolution", f"{images};{weight}", 1.0, kind="convolution")
    some = [
        replace(convolution, bytes=4.0 * 40 * 256 * 64 * 64),
        work("aten::native_batch_norm", "[1,10240,64,64];[10240]", 9.0, kind="normalization", kernel=kernel),
    ]
    operators = make_operators(*some, conversion_ns=0.2e6)
    assert nchw_norms(operators) == []
    assert status(evaluate(with_operators(given=operators))) == "passed"
