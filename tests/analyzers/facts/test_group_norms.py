"""What do group norms between convolutions cost in channels_last? Copies, at the bandwidth of the conversions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.group_norms import copies_group_norms, group_norm_copies
from llmprof.analyzers.facts.operators import OperatorWork
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
    (one,) = group_norm_copies([*CONVOLUTIONS, norm()], CONVERTED / 2000.0)  # 2000 bytes a ns, half of what is possible
    both, sectors = 2 * NUMBERS * (4 + 2) / 2000.0, NUMBERS * (2 * 32 + 4 + 2) / BANDWIDTH
    assert one.high_ns == pytest.approx(-2 * NUMBERS * 4 / 2000.0)
    assert one.low_ns == pytest.approx(-sectors)
    assert one.expected_ns == pytest.approx(-(both + sectors) / 2)


def test_backward_copies_input_and_gradient() -> None:
    forward, backward = group_norm_copies([*CONVOLUTIONS, norm(), norm(backward=True)], CONVERTED / 2000.0)
    assert backward.expected_ns == pytest.approx(2 * forward.expected_ns)


def test_no_copy_is_faster_than_good_kernels_move() -> None:
    """Where few convolutions are converted the bandwidth of the conversions would come out too high."""
    (one,) = group_norm_copies([*CONVOLUTIONS, norm()], CONVERTED / 1e6)
    assert one.high_ns == pytest.approx(-2 * NUMBERS * 4 / BANDWIDTH)


@pytest.mark.parametrize("other", ["[40,256]", "[40,256,4096]"])
def test_norms_of_no_images_have_no_layout(other: str) -> None:
    assert group_norm_copies([*CONVOLUTIONS, norm(other)], CONVERTED / 2000.0) == ()


def test_without_conversions_nothing_tells_what_a_copy_takes() -> None:
    assert group_norm_copies([*CONVOLUTIONS, norm()], 0.0) == ()


@pytest.mark.parametrize(("version", "copies"), [("2.4.1", True), ("2.14.0+cu130", True), ("2.15.0", False)])
def test_newer_versions_have_kernels_for_channels_last(version: str, copies: bool) -> None:
    assert copies_group_norms(version) is copies


def test_an_unknown_version_is_taken_to_copy() -> None:
    assert copies_group_norms(None)
