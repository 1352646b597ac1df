"""What would attention take in the fused kernels of this GPU? For attention written out, and for older kernels."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from llmprof.analyzers.facts.device.devices import DevicePeaks, find_device
from llmprof.analyzers.facts.faster.attention_speed import (
    BACKWARD_AGAIN,
    FusedAttention,
    efficient_attention,
    fused_attention,
)
from llmprof.analyzers.facts.operators.attention_bias import AttentionBias
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.analyzers.facts.operators.saving import Saving, saving_of
from llmprof.analyzers.facts.operators.written_attention import WrittenAttention, head_widths
from llmprof.timeline.environment import Device

__all__ = [
    "CAUSAL",
    "CAUSAL_BACKWARD",
    "CAUSAL_BACKWARD_NS",
    "CAUSAL_NS",
    "HOPPER",
    "HOPPER_SPEEDUP",
    "HOPPER_SPEEDUP_HIGH",
    "causal_ns",
    "fused",
    "fused_saving",
    "masked",
    "newer_saving",
    "older_kernels",
    "square_masked",
    "unmasked_saving",
]

HOPPER = (9, 0)
HOPPER_SPEEDUP = 1.7
HOPPER_SPEEDUP_HIGH = 2.0
"""Kernels written for the H100 over FlashAttention-2: 1.5 to 2 forward, 1.5 to 1.75 backward, of which the middle is
expected (FlashAttention-3, arXiv 2407.08608)."""
FORWARD_LAUNCHES, BACKWARD_LAUNCHES = 1, 3
"""Kernels of one fused call: forward one; backward a dot product of gradient and output, the gradients themselves,
and the conversion of that of the queries (FlashAttention-2, Dao-AILab/flash-attention)."""

CAUSAL_LEFT, CAUSAL_LEFT_BEST = 0.5, 0.3
"""A kernel that knows that its mask is causal skips the half of the blocks that are masked; at best it also saves what
reading the mask costs (an assumption)."""
CAUSAL = 0.95
CAUSAL_BACKWARD = 1.1
CAUSAL_NS = 10_000.0
CAUSAL_BACKWARD_NS = 60_000.0
"""What causal attention in kernels of Hopper's generation takes, of the time that its whole arithmetic needs at the
achievable rate, and beyond that a call (recorded on H200s with 512 to 2048 tokens)."""

SHORTEST_RECORDED = 512
"""With fewer tokens a call is shorter: what it takes beyond its arithmetic goes with their number (128 and 256 tokens
on the same devices)."""
WHOLE_SHARE = 0.6
"""The share of the peak that attention without a mask reaches on some thousand tokens (FlashAttention-3, figure 5)."""

WIDEST_HEAD = 256
"""Flash attention and cuDNN's take no wider heads; the memory-efficient kernel does (native/transformers/cuda/
sdp_utils.cpp)."""
CHECKED_BYTES = 15
"""What PyTorch moves for every score beside written-out attention where it writes it out itself: fp32 scores are
compared with -inf, the results joined for each row, and such rows replaced (`_safe_softmax` in native/transformers)."""

_FLASH2 = re.compile(r"flash_(fwd|bwd)_", re.IGNORECASE)
_EFFICIENT = re.compile(r"fmha_cutlass", re.IGNORECASE)
_SIZES = re.compile(r"\[([\d,]*)\]")
_BATCHED = 4
_NEW = re.compile(r"sm(90|100)|hopper|wgmma", re.IGNORECASE)


def fused(found: WrittenAttention, device: Device) -> FusedAttention | None:
    """A fused kernel in the same number format; None for a device or a format of unknown rates.

    Products in TF32 become fp32 ones: fused kernels have no TF32 mode.
    """
    peaks = find_device(device.name, device.sm_count)
    if peaks is None:
        return None
    parts = [_fused(one, device, peaks) for one in found.parts or (found,)]
    known = [one for one in parts if one is not None]
    if len(known) < len(parts):
        return None
    return FusedAttention(
        fast_ns=sum(one.fast_ns for one in known),
        expected_ns=sum(one.expected_ns for one in known),
        slow_ns=sum(one.slow_ns for one in known),
    )


def _fused(found: WrittenAttention, device: Device, peaks: DevicePeaks) -> FusedAttention | None:
    """The same with scores of one size."""
    hopper = (device.capability or (0, 0)) >= HOPPER
    if found.bias is not None:
        return _biased(found, found.bias, peaks, hopper=hopper)
    if max(head_widths(found), default=0) > WIDEST_HEAD:
        return _efficient(found, peaks, hopper=hopper)
    one = fused_attention(
        peaks,
        forward_flops=found.flops - found.backward_flops,
        backward_flops=found.backward_flops,
        moved=found.operand_bytes,
        queries=found.queries,
        number_format=found.number_format,
        causal=found.causal,
    )
    if one is None or found.number_format not in ("bf16", "fp16") or not hopper:
        return one
    return replace(one, expected_ns=min(max(one.fast_ns, _hopper_ns(found, peaks)), one.slow_ns))


def _efficient(found: WrittenAttention, peaks: DevicePeaks, *, hopper: bool) -> FusedAttention | None:
    """In the memory-efficient kernel, where no other takes the operands."""
    return efficient_attention(
        peaks,
        forward_flops=found.flops - found.backward_flops,
        backward_flops=found.backward_flops,
        moved=found.operand_bytes,
        queries=found.queries,
        number_format=found.number_format,
        hopper=hopper,
    )


def _biased(found: WrittenAttention, bias: AttentionBias, peaks: DevicePeaks, *, hopper: bool) -> FusedAttention | None:
    """With a bias that needs a gradient, whose bytes come on top.

    Unless a bias whose last dimension is not contiguous is made so before, no fused kernel takes it: at worst PyTorch
    writes attention out itself, and the middle is expected.
    """
    one = _efficient(found, peaks, hopper=hopper)
    if one is None:
        return None
    moved = bias.bytes / peaks.achievable_bytes_per_s * 1e9
    fast, expected, slow = (ns + moved for ns in (one.fast_ns, one.expected_ns, one.slow_ns))
    if bias.scattered:
        slow = max(slow, _written_by_pytorch(found, peaks))
        expected = (expected + slow) / 2
    return FusedAttention(fast_ns=fast, expected_ns=expected, slow_ns=slow)


def _written_by_pytorch(found: WrittenAttention, peaks: DevicePeaks) -> float:
    """Time where no fused kernel takes the operands, ns: as written out now, with products and softmax in fp32."""
    products = sum(one.ns for one in found.work if one.flops)
    rate = peaks.achievable("fp32")
    wide = found.flops / rate * 1e9 if rate is not None else products
    scores = found.heads * found.queries * found.keys * found.calls
    return found.ns + max(0.0, wide - products) + CHECKED_BYTES * scores / peaks.achievable_bytes_per_s * 1e9


def _hopper_ns(found: WrittenAttention, peaks: DevicePeaks) -> float:
    """What kernels of Hopper's generation take, as recorded; of what is not causal no more than their best rate."""
    rate = (peaks.achievable(found.number_format or "") or math.inf) / 1e9
    backward = BACKWARD_AGAIN * found.backward_flops
    forward = found.flops - found.backward_flops
    short = min(1.0, found.queries / SHORTEST_RECORDED)
    ns = CAUSAL * forward / rate + found.calls * CAUSAL_NS * short
    if backward > 0:
        ns += CAUSAL_BACKWARD * backward / rate + found.calls * CAUSAL_BACKWARD_NS * short
    least = 0.0 if found.causal else (forward + backward) / (WHOLE_SHARE * peaks.flops[found.number_format or ""]) * 1e9
    return max(ns, least)


def fused_saving(found: WrittenAttention, device: Device) -> Saving | None:
    """What a fused kernel saves of attention that is written out; None as for `fused`."""
    one = fused(found, device)
    if one is None:
        return None
    kernels = sum(part.kernels for part in (*found.work, *found.copies))
    left = found.calls * (FORWARD_LAUNCHES + (BACKWARD_LAUNCHES if found.backward_flops > 0 else 0))
    return saving_of(
        found.ns,
        low_ns=found.ns - one.slow_ns,
        expected_ns=found.ns - one.expected_ns,
        high_ns=found.ns - one.fast_ns,
        work=found.work,
        copies=found.copies,
        launches=left / kernels if kernels > 0 else 1.0,
    )


def older_kernels(operators: OperatorFacts) -> list[OperatorWork]:
    """Fused attention in 16 bits whose kernels were written for Ampere."""
    return [one for one in operators.work if one.kind == "attention" and _is_old(one)]


def masked(old: list[OperatorWork]) -> bool:
    """Whether memory-efficient kernels are among these, which a mask tensor forces."""
    return any(_EFFICIENT.search(one.kernel) for one in old)


def newer_saving(operators: OperatorFacts) -> Saving:
    """What kernels of Hopper's generation save of the older ones; for short sequences nothing."""
    old = older_kernels(operators)
    total = sum(one.ns for one in old)
    return saving_of(
        total,
        low_ns=0.0,
        expected_ns=total * (1 - 1 / HOPPER_SPEEDUP),
        high_ns=total * (1 - 1 / HOPPER_SPEEDUP_HIGH),
        work=old,
    )


def square_masked(operators: OperatorFacts) -> list[OperatorWork]:
    """Fused attention with a mask tensor of queries by keys that all sequences and heads share, as a causal one is.

    Kernels of an older generation are left out: these have another saving.
    """
    return [
        one for one in operators.work if one.kind == "attention" and not _is_old(one) and _has_square_mask(one.shapes)
    ]


def unmasked_saving(operators: OperatorFacts) -> Saving:
    """What `is_causal` saves where the mask tensor says just that; nothing for sure, since its values are not known.

    Reading the mask slows a kernel down, so that the causal one is more than twice as fast.
    """
    found = square_masked(operators)
    total = sum(one.ns for one in found)
    return saving_of(
        total,
        low_ns=0.0,
        expected_ns=total - sum(min(CAUSAL_LEFT * one.ns, causal_ns(one) or one.ns) for one in found),
        high_ns=total * (1 - CAUSAL_LEFT_BEST),
        work=found,
    )


def causal_ns(one: OperatorWork) -> float | None:
    """What this attention takes in a causal kernel in its own format; None where its arithmetic is not known."""
    if not one.flops or one.best_ns is None:
        return None
    left, fixed = (CAUSAL_BACKWARD, CAUSAL_BACKWARD_NS) if one.backward else (CAUSAL, CAUSAL_NS)
    return left * one.best_ns + fixed * one.calls


def _has_square_mask(shapes: str | None) -> bool:
    """Whether an input beside queries, keys and values is as large as one head's scores."""
    sizes = [[int(size) for size in one.split(",") if size] for one in _SIZES.findall(shapes or "")]
    if not sizes or len(sizes[0]) != _BATCHED:
        return False
    lengths = sizes[0][1:3]  # heads stand before or after the sequence
    return any(one[-2:] == [n, n] and math.prod(one[:-2]) == 1 for one in sizes for n in lengths if n > 1)


def _is_old(one: OperatorWork) -> bool:
    if one.number_format not in ("bf16", "fp16", None) or _NEW.search(one.kernel):
        return False
    return bool(_FLASH2.search(one.kernel) or _EFFICIENT.search(one.kernel))
