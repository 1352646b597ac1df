"""What does a loss in few passes save, and what is made for its output layer alone? At the bandwidth of the device."""

from __future__ import annotations

from llmprof.analyzers.facts.device.roofline import Roofline
from llmprof.analyzers.facts.operators.loss_layer import LossLayer
from llmprof.analyzers.facts.operators.saving import Saving, saving_of

__all__ = ["LOSS_LOW", "LOSS_PASSES", "LOSS_PASSES_LEAST", "before_saving", "loss_saving"]

LOSS_PASSES = 5.5
"""Over the logits in 16 bits, as long as a compiled loss takes: recorded on H200s, 5.3 and 5.6 (forward as long as
three, since it also computes an exponential a logit)."""
LOSS_PASSES_LEAST = 3.0
"""Read twice (online softmax), their gradient written in place (Liger-Kernel, arXiv 2410.10989)."""
LOSS_LOW = 0.5
"""An assumption: a chunked loss works on pieces too small for full bandwidth."""
BEFORE_PASSES = 5.0
"""Over what the output layer reads: written once forward, and in backward it and its gradient read for each of the two
sums of a pair's gradient, which have a kernel of their own (torch/_inductor, one reduction a kernel)."""
LOSS_LAUNCHES = 2
"""Kernels of a fused loss: one computes loss and gradient, one scales the gradient in backward (Liger-Kernel)."""


def loss_saving(loss: LossLayer, line: Roofline) -> Saving:
    """What a fused loss saves: a few passes over the logits stay."""

    def passes_ns(passes: float) -> float:
        return passes * loss.elements * loss.element_bytes / line.bytes_per_s * 1e9

    expected = max(0.0, loss.ns - passes_ns(LOSS_PASSES))
    kernels = sum(one.kernels for one in loss.work)
    calls = loss.elements * loss.element_bytes / loss.logits_bytes if loss.logits_bytes else 0.0
    return saving_of(
        loss.ns,
        low_ns=LOSS_LOW * expected,
        expected_ns=expected,
        high_ns=loss.ns - passes_ns(LOSS_PASSES_LEAST),
        work=loss.work,
        launches=LOSS_LAUNCHES * calls / kernels if kernels > 0 else 1.0,
    )


def before_saving(loss: LossLayer, line: Roofline) -> tuple[Saving, ...]:
    """What is made for the output layer alone saves when it is compiled with it; nothing for sure, as with padding."""
    ns = sum(one.ns for one in loss.before)
    expected = ns - BEFORE_PASSES * loss.before_bytes / line.bytes_per_s * 1e9
    if expected <= 0:
        return ()
    return (saving_of(ns, low_ns=0.0, expected_ns=expected, high_ns=expected, work=loss.before),)
