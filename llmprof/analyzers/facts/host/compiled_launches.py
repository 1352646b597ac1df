"""How much of the host's work to launch a model stays when it is compiled, without CUDA graphs?

torch.compile fuses chains of pointwise operators and reductions; matrix products, convolutions and attention stay calls
of their own (Ansel et al., PyTorch 2, ASPLOS 2024), so what is left follows from how many of these the step has.
Collectives are launched by hooks or by hand, outside of the compiled code.
"""

from __future__ import annotations

from llmprof.analyzers.facts.device.kernels import KernelFacts

__all__ = ["EXTERN", "launches_left", "share_left"]

EXTERN = ("gemm", "attention", "convolution")
"""Kernels that are not generated: the compiled code calls the library as the uncompiled did."""
FUSED_EACH = (3.0, 2.0, 1.0)
"""Generated kernels for each of those, at worst, expected, at best: at least one lies between two of them, and sums
over another dimension (gradients of biases and norms) need their own (an assumption)."""
CASTS_EACH = (1.0, 2 / 3, 0.0)
"""Casts beside each of those where fp32 weights are multiplied in 16 bits: the weight's before the forward product, its
gradient's after one of the two backward ones. Both lie between a library's call and a tensor that is kept, so that
nothing is left to fuse them with."""
DEARER = (2.0, 1.5, 1.0)
"""Host time of a launch from the compiled module over that of an operator now: eager backward passes launch from C++
without Python, compiled ones call every kernel from a Python wrapper, with guards before and a prologue around them
(an assumption; 1 where eager Python costs as much)."""
LEAST = 0.25
"""Guards, optimizer and the code outside of the compiled module stay, however much is fused (an assumption)."""
_OUTSIDE = ("optimizer", "memcpy", "memset", "communication")


def launches_left(kernels: KernelFacts | None, *, cast: bool = False) -> tuple[float, float, float] | None:
    """The share of the model's launch time that stays: at worst, expected, at best; None without kernels by class.

    cast    whether the products run under autocast
    """
    if kernels is None or not kernels.count_by_class:
        return None
    counts = kernels.count_by_class
    model = sum(counts.values()) - sum(counts.get(name, 0.0) for name in _OUTSIDE)
    return share_left(model, sum(counts.get(name, 0.0) for name in EXTERN), cast=cast)


def share_left(model: float, extern: float, *, cast: bool = False) -> tuple[float, float, float] | None:
    """The same for `model` kernels of which `extern` are calls of a library; None without such."""
    if model <= 0 or extern <= 0:
        return None
    worst, expected, best = (
        min(1.0, max(LEAST, dearer * extern * (1 + fused + casts * cast) / model))
        for fused, casts, dearer in zip(FUSED_EACH, CASTS_EACH, DEARER, strict=True)
    )
    return worst, expected, best
