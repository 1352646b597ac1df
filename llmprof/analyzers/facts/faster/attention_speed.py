"""How fast would fused attention be? Its time from FLOPs and sequence length."""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.analyzers.facts.device.devices import DevicePeaks

__all__ = ["BACKWARD_AGAIN", "FusedAttention", "efficient_attention", "fused_attention"]

_BANDS = ((512, 0.05, 0.15), (1536, 0.2, 0.4), (3072, 0.4, 0.6))
"""(queries below, least, most) share of the peak that fused attention reaches, after TraceLens (AMD-AGI/TraceLens):
0.05 to 0.15 for less than 512 tokens, 0.2 to 0.4 for 1k, 0.4 to 0.6 for 2k; an edge lies half-way between. That of 1k
begins at 512: there FlashAttention-2 reaches 0.2 to 0.3 on an H100 (FlashAttention-3, arXiv 2407.08608, figure 5)."""
_LONG = (0.5, 0.7)
"""The same for 4k tokens and more."""
_FASTEST = 0.75
"""The share that the fastest published kernels reach on long sequences (FlashAttention-3, arXiv 2407.08608)."""
BACKWARD_AGAIN = 1.25
"""Fused backward computes the scores again: five products where attention that is written out has four."""
_EFFICIENT, _EFFICIENT_BACKWARD = (0.26, 0.33), (0.13, 0.20)
"""Share of the peak of an A100 that the memory-efficient kernel reaches: forward with 1k and 4k tokens
(facebookresearch/xformers issue 712), backward with the gradient of a bias with 256 and 4k (NVIDIA/cutlass pull
request 992)."""
_AMPERE_ON_HOPPER = 0.5
"""Kernels written for Ampere reach 35 % of the peak of an H100, and up to 73 % of that of an A100 (abstracts of
FlashAttention-3, arXiv 2407.08608, and FlashAttention-2, arXiv 2307.08691)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedAttention:
    """Time of a fused kernel per step, ns: at best, as expected, and at worst."""

    fast_ns: float
    expected_ns: float
    slow_ns: float


def fused_attention(
    peaks: DevicePeaks,
    *,
    forward_flops: float,
    backward_flops: float,
    moved: float,
    queries: int,
    number_format: str | None,
    causal: bool,
) -> FusedAttention | None:
    """The time of fused attention in place of written-out attention; None for a format without a peak.

    forward_flops, backward_flops   of the products of scores that are written out
    moved                           bytes of operands and results, below which no kernel gets
    causal                          a causal mask halves the arithmetic, at worst not at all
    """
    peak = peaks.flops.get(number_format or "")
    if peak is None:
        return None
    least, most = next((band[1:] for band in _BANDS if queries < band[0]), _LONG)
    flops = forward_flops + BACKWARD_AGAIN * backward_flops
    traffic = moved / peaks.achievable_bytes_per_s

    def ns(share: float, part: float = 1.0) -> float:
        return max(part * flops / (peak * share), traffic) * 1e9

    part = 0.5 if causal else 1.0
    # At best a kernel for short sequences is as fast as the best for long ones: none is known that is faster.
    return FusedAttention(fast_ns=ns(_FASTEST, part), expected_ns=ns((least + most) / 2, part), slow_ns=ns(least))


def efficient_attention(
    peaks: DevicePeaks,
    *,
    forward_flops: float,
    backward_flops: float,
    moved: float,
    queries: int,
    number_format: str | None,
    hopper: bool,
) -> FusedAttention | None:
    """The time of the memory-efficient kernel, the only one for a bias that needs a gradient; arguments as above.

    hopper    a device of Hopper's generation or later, for which this kernel was not written
    """
    peak = peaks.flops.get(number_format or "")
    if peak is None:
        return None
    rate = peak * (_AMPERE_ON_HOPPER if hopper and number_format in ("bf16", "fp16") else 1.0)
    band = next((band[1:] for band in _BANDS if queries < band[0]), _LONG)
    slow, fast = (
        forward_flops / min(forward, share) + BACKWARD_AGAIN * backward_flops / min(backward, share)
        for forward, backward, share in zip(_EFFICIENT, _EFFICIENT_BACKWARD, band, strict=True)
    )
    traffic = moved / peaks.achievable_bytes_per_s
    ns = [max(flops / rate, traffic) * 1e9 for flops in (fast, (fast + slow) / 2, slow)]
    return FusedAttention(fast_ns=ns[0], expected_ns=ns[1], slow_ns=ns[2])
