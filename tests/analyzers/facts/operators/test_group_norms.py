"""What do group and instance norms cost in channels_last? Copies, at the bandwidth of the conversions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.operators.group_norms import copies_group_norms, instance_norms, norm_copies
from llmprof.analyzers.facts.operators.operators import OperatorWork
from tests.analyzers.rules.operators_builder import work

IMAGES = "[40,256,64,64]"
NUMBERS = 40 * 256 * 64 * 64
WEIGHTS = 256 * 256 * 3 * 3
FORWARD = work("aten::convolution", f"{IMAGES};[256,256,3,3]", 1.0, kind="convolution")
BACKWARD = work("aten::convolution_backward", f"{IMAGES};{IMAGES};[256,256,3,3]", 2.0, kind="convolution")
CONVOLUTIONS = (
    replace(FORWARD, bytes=2.0 * (2 * NUMBERS + WEIGHTS)),
    replace(BACKWARD, bytes=2.0 * (3 * NUMBERS + 2 * WEIGHTS)),
)
CONVERTED = 2 * 2.0 * (6 * NUMBERS + 3 * WEIGHTS)
"""Bytes read and written by the conversions of three products."""
BANDWIDTH = 0.8 * 4.8e12 / 1e9
"""Bytes a ns that good kernels move on an H200."""


def norm(dims: str = IMAGES, number_format: str = "fp32", *, backward: bool = False) -> OperatorWork:
    name = "aten::native_group_norm" + "_backward" * backward
    shapes = f"{dims};{dims};[40,8]" if backward else f"{dims};[256];[256]"
    return work(name, shapes, 0.3, kind="normalization", number_format=number_format)


def test_copies_of_a_forward_norm_and_of_the_convolution_behind_it() -> None:
    """In fp32 under autocast the norm's images are twice as large as those of a convolution in bf16."""
    (one,) = norm_copies([*CONVOLUTIONS, norm()], CONVERTED / 2000.0)  # 2000 bytes a ns, half of what is possible
    both, sectors = 2 * NUMBERS * (4 + 2) / 2000.0, NUMBERS * (2 * 32 + 4 + 2) / BANDWIDTH
    assert one.high_ns == pytest.approx(-2 * NUMBERS * 4 / 2000.0)
    assert one.low_ns == pytest.approx(-sectors)
    assert one.expected_ns == pytest.approx(-(both + sectors) / 2)


def test_backward_copies_input_and_gradient() -> None:
    forward, backward = norm_copies([*CONVOLUTIONS, norm(), norm(backward=True)], CONVERTED / 2000.0)
    assert backward.expected_ns == pytest.approx(2 * forward.expected_ns)


def test_no_copy_is_faster_than_good_kernels_move() -> None:
    """Where few convolutions are converted the bandwidth of the conversions would come out too high."""
    (one,) = norm_copies([*CONVOLUTIONS, norm()], CONVERTED / 1e6)
    assert one.high_ns == pytest.approx(-2 * NUMBERS * 4 / BANDWIDTH)


@pytest.mark.parametrize("other", ["[40,256]", "[40,256,4096]"])
def test_norms_of_no_images_have_no_layout(other: str) -> None:
    assert norm_copies([*CONVOLUTIONS, norm(other)], CONVERTED / 2000.0) == ()


def test_without_conversions_nothing_tells_what_a_copy_takes() -> None:
    assert norm_copies([*CONVOLUTIONS, norm()], 0.0) == ()


@pytest.mark.parametrize(("version", "copies"), [("2.4.1", True), ("2.14.0+cu130", True), ("2.15.0", False)])
def test_newer_versions_have_kernels_for_channels_last(version: str, copies: bool) -> None:
    assert copies_group_norms(version) is copies


def test_an_unknown_version_is_taken_to_copy() -> None:
    assert copies_group_norms(None)


def instance(*, backward: bool = False, images: int = 1) -> OperatorWork:
    """A batch norm of one image with the channels of all 40."""
    dims = f"[{images},{40 * 256},64,64]"
    name = "aten::native_batch_norm" + "_backward" * backward
    return work(name, f"{dims};{dims};[10240]" if backward else f"{dims};[10240];[10240]", 0.3, kind="normalization")


def test_an_instance_norm_copies_its_input_once_and_its_gradient() -> None:
    """The copy in NCHW is kept for backward; the convolution copies its image and gradient there all the same."""
    forward, backward = norm_copies([*CONVOLUTIONS, instance(), instance(backward=True)], CONVERTED / 2000.0)
    assert forward.high_ns == backward.high_ns == pytest.approx(-2 * NUMBERS * 2 / 2000.0)
    assert forward.low_ns == pytest.approx(-2 * NUMBERS * (32 + 2) / BANDWIDTH)
    assert backward.low_ns == pytest.approx(1.5 * forward.low_ns)
    only = norm_copies([*CONVOLUTIONS, instance(), norm()], CONVERTED / 2000.0, group_norms=False)
    assert [one.work[0].operator for one in only] == ["aten::native_batch_norm"]


def test_a_batch_norm_is_no_instance_norm() -> None:
    several = work("aten::native_batch_norm", f"{IMAGES};[256];[256]", 0.3, kind="normalization")
    assert instance_norms([*CONVOLUTIONS, several, instance(images=2)]) == ()
    alone = work("aten::convolution", "[1,256,64,64];[256,256,3,3]", 1.0, kind="convolution")
    assert instance_norms([alone, instance()]) == ()
    assert instance_norms([*CONVOLUTIONS, instance()]) == (instance(),)
