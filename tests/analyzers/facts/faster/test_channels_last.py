"""Is what another layout saves told from conversions, norms and convolutions, and only where images lie in NCHW?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.faster.channels_last import in_channels_last, layout_savings
from tests.analyzers.rules.operators_builder import make_operators, work

NCHW = "void at::native::batch_norm_collect_statistics_kernel<at::native::Var, c10::BFloat16>"


def test_conversions_are_told_by_their_names_and_norms_by_their_operators() -> None:
    convolution = work("aten::convolution", "[64,64,56,56];[64,64,3,3]", 30.0, kind="convolution")
    norm = work("aten::native_batch_norm", "[160,64,48,48];[64]", 20.0, kind="normalization", kernel=NCHW)
    conversions, rest = layout_savings(make_operators(convolution, norm, conversion_ns=4e6))
    assert (conversions.ns, conversions.expected_ns, conversions.low_ns) == (4e6, 4e6, 0.0)
    assert conversions.named and not conversions.work
    assert rest.work == (norm,) and 0 < rest.low_ns < rest.expected_ns < rest.high_ns < rest.ns


@pytest.mark.parametrize(("best_ms", "left_ms"), [(2.0, 2.804), (25.0, 27.0)])
def test_a_convolution_takes_in_channels_last_what_is_usual_there(best_ms: float, left_ms: float) -> None:
    """Of 30 ms 3 are conversions; images of odd sizes in NCHW are loaded in pieces, which shows in the rest."""
    one = work("aten::convolution", "[64,64,5,5];[64,64,1,1]", 30.0, kind="convolution", number_format="bf16")
    slow = replace(one, best_ns=best_ms * 1e6, number_format="bf16", calls=1.0)
    conversions, found = layout_savings(make_operators(slow, conversion_ns=3e6))
    assert found.ns - found.expected_ns == pytest.approx(left_ms * 1e6)
    assert (found.low_ns, conversions.ns) == (0.0, 0.0)


def test_images_that_lie_in_channels_last_already_cannot_be_turned() -> None:
    """cuDNN converts for kernels of fp32 that read nothing else; the batch norms tell how the images lie."""
    last = "void cudnn::batchnorm_fwtr_nhwc_semiPersist<float, float, float, 512, 16, 2, 4, 1, 0>"
    norm = work("aten::cudnn_batch_norm", "[96,256,48,48];[256]", 20.0, kind="normalization", kernel=last)
    turned = make_operators(norm, conversion_ns=4e6)
    assert in_channels_last(turned) and layout_savings(turned) == ()
    assert not in_channels_last(make_operators(replace(norm, kernel=NCHW), conversion_ns=4e6))
    assert not in_channels_last(make_operators(conversion_ns=4e6))  # without batch norms nothing tells
