"""What does channels_last save? Conversions, and what norms and convolutions take beyond what they do there."""

from __future__ import annotations

import re

from llmprof.analyzers.facts.operators.convolutions import (
    BACKWARD_CONVOLUTION,
    FORWARD_CONVOLUTION,
    is_depthwise,
)
from llmprof.analyzers.facts.operators.group_norms import instance_norms, norm_copies
from llmprof.analyzers.facts.operators.operator_facts import CONVERSION, OperatorFacts
from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.analyzers.facts.operators.saving import Saving, saving_of

__all__ = [
    "CONVOLUTION_KERNELS",
    "CONVOLUTION_NS",
    "CONVOLUTION_TIME",
    "LAYOUT_NORM",
    "LAYOUT_NORM_LOW",
    "in_channels_last",
    "layout_savings",
    "nchw_norms",
]

LAYOUT_NORM = 0.75
"""Of what batch norms in NCHW take beyond their traffic: TraceLens closes 75 % of a gap."""
LAYOUT_NORM_LOW = 0.5
"""An assumption: some operators have no kernel for channels_last and convert back and forth."""
CONVOLUTION_TIME = 1.4
CONVOLUTION_NS = 4_000.0
"""What convolutions in channels_last take: of the time at achievable rates, and beyond that a kernel (recorded on H200s
with 24 and 192 images)."""
CONVOLUTION_KERNELS = {FORWARD_CONVOLUTION: 1, BACKWARD_CONVOLUTION: 3}
"""Kernels of a convolution on tensor cores: the product, backward one for each gradient, of which that of the weight
adds up its parts in another (recorded: 55 for 53 convolutions, and 159)."""

_NORM = re.compile(r"batch_norm_(collect_statistics|transform_input|backward(_reduce|_elemt)?)_kernel")
"""PyTorch's kernels for NCHW; those for channels_last say so before `_kernel`."""
_LAST_NORM = re.compile(r"batch_?norm\w*(nhwc|channels_last)", re.IGNORECASE)
"""Kernels of cuDNN and of PyTorch for batch norms over images in channels_last."""


def nchw_norms(operators: OperatorFacts) -> list[OperatorWork]:
    """16-bit batch norms over images in NCHW, where conversions tell that convolutions would rather read channels_last.

    In fp32 NCHW is the layout that convolutions read as well.
    """
    if operators.conversion_ns <= 0:
        return []
    kept = {one.key for one in instance_norms(operators.work)}  # in NCHW whatever the layout
    some = [one for one in operators.work if one.number_format in ("bf16", "fp16") and _NORM.search(one.kernel)]
    return [one for one in some if one.key not in kept]


def in_channels_last(operators: OperatorFacts) -> bool:
    """Whether the images lie in channels_last already: most of the batch norms' time is in kernels for it.

    What is converted then is so for kernels that read nothing else, such as cuDNN's for fp32 on CUDA cores.
    """
    norms = [one for one in operators.work if one.kind == "normalization" and "batch_norm" in one.operator]
    last = sum(one.ns for one in norms if _LAST_NORM.search(one.kernel))
    return last > 0.5 * sum(one.ns for one in norms)


def layout_savings(operators: OperatorFacts) -> tuple[Saving, ...]:
    """What channels_last saves: the conversions, and what norms and convolutions take beyond what they do there.

    Group and instance norms copy their images there, which is a saving below 0.
    """
    converted = 0.0 if in_channels_last(operators) else operators.conversion_ns
    if converted <= 0:
        return ()
    norms = []
    for one in nchw_norms(operators):
        gap = max(0.0, one.ns - (one.best_ns or one.ns))
        low, expected = LAYOUT_NORM_LOW * gap, LAYOUT_NORM * gap
        norms.append(saving_of(one.ns, low_ns=low, expected_ns=expected, high_ns=gap, work=(one,)))
    total = sum(one.ns for one in operators.work if one.operator in CONVOLUTION_KERNELS)
    convolutions = _convolution_savings(operators, min(1.0, converted / total) if total > 0 else 0.0)
    # Conversions are kernels of convolutions: those of the latter are part of their saving, which counts, being later.
    rest = converted * (1 - sum(one.ns for one in convolutions) / total) if convolutions else converted
    conversions = saving_of(rest, low_ns=0.0, expected_ns=rest, high_ns=rest, named=CONVERSION.pattern)
    added = norm_copies(operators.work, operators.conversion_ns, group_norms=operators.copies_group_norms)
    return (conversions, *norms, *convolutions, *added)


def _convolution_savings(operators: OperatorFacts, share: float) -> tuple[Saving, ...]:
    """Of 16-bit convolutions in NCHW: `share` are conversions, and images of odd sizes are loaded in small pieces."""
    found = []
    for one in operators.work:
        if one.operator not in CONVOLUTION_KERNELS or one.best_ns is None or one.number_format not in ("bf16", "fp16"):
            continue
        if is_depthwise(one.operator, one.shapes or ""):
            continue
        usual = CONVOLUTION_TIME * one.best_ns + CONVOLUTION_NS * CONVOLUTION_KERNELS[one.operator] * one.calls
        saved = one.ns - min(usual, one.ns * (1 - share))
        found.append(saving_of(one.ns, low_ns=0.0, expected_ns=saved, high_ns=one.ns - one.best_ns, work=(one,)))
    return tuple(found)
