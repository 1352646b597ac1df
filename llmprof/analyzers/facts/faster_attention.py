"""What would attention take in the fused kernels of this GPU? For attention written out, and for older kernels."""

from __future__ import annotations

import math
import re

from llmprof.analyzers.facts.attention_speed import FusedAttention, fused_attention
from llmprof.analyzers.facts.devices import find_device
from llmprof.analyzers.facts.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators import OperatorWork
from llmprof.analyzers.facts.saving import Saving, saving_of
from llmprof.analyzers.facts.written_attention import WrittenAttention
from llmprof.timeline.environment import Device

__all__ = [
    "HOPPER",
    "HOPPER_SPEEDUP",
    "HOPPER_SPEEDUP_HIGH",
    "fused",
    "fused_saving",
    "masked",
    "newer_saving",
    "older_kernels",
    "square_masked",
    "unmasked_saving",
]

HOPPER = (9, 0)
HOPPER_SPEEDUP = 1.5
HOPPER_SPEEDUP_HIGH = 2.0
"""Kernels written for the H100 over FlashAttention-2: 1.5 to 2 (FlashAttention-3, arXiv 2407.08608)."""
FORWARD_LAUNCHES, BACKWARD_LAUNCHES = 1, 3
"""Kernels of one fused call: forward one; backward a dot product of gradient and output, the gradients themselves,
and the conversion of that of the queries (FlashAttention-2, Dao-AILab/flash-attention)."""

CAUSAL_LEFT, CAUSAL_LEFT_BEST = 0.5, 0.3
"""A kernel that knows that its mask is causal skips the half of the blocks that are masked; at best it also saves what
reading the mask costs (an assumption)."""

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
    return fused_attention(
        peaks,
        forward_flops=found.flops - found.backward_flops,
        backward_flops=found.backward_flops,
        moved=found.operand_bytes,
        queries=found.queries,
        number_format=found.number_format,
        causal=found.causal,
    )


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
    """What `is_causal` saves where the mask tensor says just that; nothing for sure, since its values are not known."""
    found = square_masked(operators)
    total = sum(one.ns for one in found)
    return saving_of(
        total,
        low_ns=0.0,
        expected_ns=total * (1 - CAUSAL_LEFT),
        high_ns=total * (1 - CAUSAL_LEFT_BEST),
        work=found,
    )


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
