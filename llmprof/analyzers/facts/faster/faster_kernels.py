"""Which kernels does a fix make faster, and by how much? At the rates of the device, for rules and for the replay.

Each fix of kernels comes down to some operators and what of their time goes: at the least, expectedly, and at most.
Rules judge whether that is worth a recommendation, the replay whether it shortens the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from llmprof.analyzers.facts.device.roofline import Roofline, roofline_of
from llmprof.analyzers.facts.faster.channels_last import in_channels_last, layout_savings
from llmprof.analyzers.facts.faster.faster_attention import HOPPER, fused_saving, newer_saving, unmasked_saving
from llmprof.analyzers.facts.faster.fused_loss import before_saving, loss_saving
from llmprof.analyzers.facts.faster.misaligned_products import aligned_savings, is_vocabulary, odd_products, odd_size
from llmprof.analyzers.facts.faster.timed_kernels import with_times
from llmprof.analyzers.facts.operators.matmul_shapes import odd_dimensions
from llmprof.analyzers.facts.operators.op_bytes import operands_of
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.analyzers.facts.operators.saving import Saving, saving_of
from llmprof.analyzers.facts.operators.written_norm import WrittenNorm
from llmprof.timeline.environment import Device

__all__ = [
    "COPY_AVOIDABLE",
    "FIXES",
    "FP8_CAPABILITY",
    "FP8_SPEEDUP",
    "NORM_LOW",
    "copy_savings",
    "faster_kernels",
    "fp8_saving",
    "is_cast",
    "norm_savings",
    "padded_with_loss",
]

NORM_LOW = 0.75
"""TraceLens closes 75 % of a kernel's gap at the least."""
NORM_PASSES = (2.0, 6.0)
"""Forward reads and writes the input. Backward reads input and gradient for a row's sums, again (partly from the cache)
for the gradient of the input, and a third time for that of the weight: recorded on H200s, 6.2 in widths of 1536 and
2048."""
NORM_PASSES_LEAST = (2.0, 3.0)
"""Backward reads both once and writes the gradient: a compiled norm."""
NORM_LAUNCHES = (1, 2)
"""Forward one kernel, backward one for the input's gradient and one for the weight's."""
COPY_AVOIDABLE = 0.5
"""An assumption: half of the copies are needed by what follows."""
FP8_SPEEDUP = 1.6
"""Linear layers in fp8 against 16 bits, at best (Megatron-Bridge performance guide)."""
FP8_CAPABILITY = (8, 9)

_UNKNOWN_DEVICE = "the rates of this device are not known"

Savings = tuple[Saving, ...]


def faster_kernels(fix: str, operators: OperatorFacts | None, device: Device) -> Savings | str:
    """What a fix saves of the kernels of one rank, or why it saves nothing there.

    Raises KeyError for a fix that is none of FIXES.
    """
    find = FIXES[fix]
    if operators is None:
        return "the recording holds no kernels with their operators"
    found = find(operators, device)
    if not isinstance(found, str):
        found = with_times(fix, found, operators, channels_last=in_channels_last(operators))
    if isinstance(found, str) or any(one.high_ns > 0 for one in found):
        return found
    return "no kernel that it concerns is slower than it has to be"


def _aligned(operators: OperatorFacts, device: Device, *, vocabulary: bool) -> Savings | str:
    odd = odd_products(operators)
    if not odd:
        return "no matrix product is known to have odd dimensions"
    if is_vocabulary(odd_size(odd), operators) is not vocabulary:
        return f"the odd dimension of the products, {odd_size(odd)}, is {'no' if vocabulary else 'the'} vocabulary"
    return aligned_savings(operators, device) or _UNKNOWN_DEVICE


def _written_attention(operators: OperatorFacts, device: Device) -> Savings | str:
    if operators.attention is None:
        return "no attention is known to be written out"
    if operators.math_attention_ns > 0:
        return "scaled_dot_product_attention is used already, and has to choose another backend"
    found = fused_saving(operators.attention, device)
    return _UNKNOWN_DEVICE if found is None else (found,)


def _backend(operators: OperatorFacts, device: Device) -> Savings | str:
    found = []
    if operators.attention is not None and operators.math_attention_ns > 0:
        fused = fused_saving(operators.attention, device)
        found += [fused] if fused is not None else []
    if device.capability is not None and device.capability >= HOPPER:
        newer = newer_saving(operators)
        found += [newer] if newer.work else []
    unmasked = unmasked_saving(operators)
    found += [unmasked] if unmasked.work else []
    return tuple(found) or "attention runs in no kernel for which a faster one is known"


def _loss(operators: OperatorFacts, device: Device) -> Savings | str:
    line = roofline_of(device)
    if operators.loss is None:
        return "no cross-entropy over a vocabulary is known"
    if line is None:
        return _UNKNOWN_DEVICE
    return loss_saving(operators.loss, line), *before_saving(operators.loss, line), *padded_with_loss(operators, device)


def padded_with_loss(operators: OperatorFacts, device: Device) -> Savings:
    """What products with the vocabulary save when the output layer is compiled with the loss, for an odd vocabulary.

    The compiler pads them where it measures that to be faster (torch._inductor.config.shape_padding, on by default);
    fused losses of other libraries do not, so that at the least nothing is saved.
    """
    found = faster_kernels("pad-vocabulary", operators, device)
    if isinstance(found, str) or operators.loss is None:
        return ()
    size = operators.loss.vocabulary
    return tuple(replace(one, low_ns=0.0) for one in found if all(size in odd_dimensions(work) for work in one.work))


def norm_savings(norm: WrittenNorm, line: Roofline) -> Savings:
    """What norms in one kernel save, of operators that only they have and of others by the share that is theirs."""

    def left_ns(passes: tuple[float, float]) -> float:
        moved = passes[0] * norm.forward_bytes + passes[1] * norm.backward_bytes
        return moved / line.bytes_per_s * 1e9

    if norm.ns <= 0:
        return ()
    expected, most = (max(0.0, 1 - left_ns(passes) / norm.ns) for passes in (NORM_PASSES, NORM_PASSES_LEAST))
    kernels = sum(one.kernels for one in norm.work) + sum(share * one.kernels for one, share in norm.shared)
    left = norm.calls * (NORM_LAUNCHES[0] + (NORM_LAUNCHES[1] if norm.backward else 0)) / max(kernels, 1e-9)

    def saved(work: Sequence[OperatorWork], share: float) -> Saving:
        ns = sum(one.ns for one in work)
        gone = share * ns
        return saving_of(
            ns,
            low_ns=NORM_LOW * expected * gone,
            expected_ns=expected * gone,
            high_ns=most * gone,
            work=work,
            launches=1 - share * (1 - min(1.0, left)),
        )

    return (saved(norm.work, 1.0), *(saved((one,), share) for one, share in norm.shared))


def _norm(operators: OperatorFacts, device: Device) -> Savings | str:
    line = roofline_of(device)
    if operators.norm is None:
        return "no norm is known to be written out"
    return _UNKNOWN_DEVICE if line is None else norm_savings(operators.norm, line)


def copy_savings(operators: OperatorFacts) -> Savings:
    """What copies within the device would save if half of those within one format were avoided: one saving each."""
    found = []
    for one in operators.work:
        if _is_copy(one) and not _of_another_fix(one, operators):
            avoided = 0.0 if is_cast(one) else COPY_AVOIDABLE
            expected = avoided * one.ns
            found.append(
                saving_of(one.ns, low_ns=0.0, expected_ns=expected, high_ns=one.ns, work=(one,), launches=1 - avoided)
            )
    return tuple(found)


def is_cast(one: OperatorWork) -> bool:
    """Whether a copy changes the number format."""
    types = operands_of(one.shapes or "").types
    return one.operator == "aten::copy_" and len(types) > 1 and types[0] != types[1]


def _is_copy(one: OperatorWork) -> bool:
    return one.operator in ("aten::copy_", "aten::cat", "aten::stack") and not one.compiled and bool(one.shapes)


def _of_another_fix(one: OperatorWork, operators: OperatorFacts) -> bool:
    """Copies of logits and of attention scores."""
    loss, attention = operators.loss, operators.attention
    for dims in operands_of(one.shapes or "").dims:
        logits = loss is not None and math.prod(dims) == loss.tokens * loss.vocabulary
        if loss is not None and logits and (len(dims) == 1 or dims[-1] == loss.vocabulary):
            return True
        if attention is not None and dims[-2:] == (attention.queries, attention.keys) and len(dims) > 2:
            return True
    return False


def fp8_saving(operators: OperatorFacts) -> Saving:
    """What fp8 saves of 16-bit products that arithmetic limits, at most: what quantisation costs is not known."""
    linear = [
        one
        for one in operators.work
        if one.kind == "gemm" and one.number_format in ("bf16", "fp16") and one.memory_limited is False
    ]
    total = sum(one.ns for one in linear)
    return saving_of(total, low_ns=0.0, expected_ns=0.0, high_ns=total * (1 - 1 / FP8_SPEEDUP), work=linear)


def _fp8(operators: OperatorFacts, device: Device) -> Savings | str:
    if device.capability is None or device.capability < FP8_CAPABILITY:
        return "no fp8 tensor cores are known of this GPU"
    return (fp8_saving(operators),)


FIXES: Mapping[str, Callable[[OperatorFacts, Device], Savings | str]] = {
    "pad-vocabulary": lambda operators, device: _aligned(operators, device, vocabulary=True),
    "align-dimensions": lambda operators, device: _aligned(operators, device, vocabulary=False),
    "sdpa-attention": _written_attention,
    "fused-attention-backend": _backend,
    "fused-cross-entropy": _loss,
    "fused-norm": _norm,
    "channels-last": lambda operators, device: layout_savings(operators),
    "keep-layout": lambda operators, device: copy_savings(operators),
    "fp8": _fp8,
}
"""By fix: what it saves of the kernels of a rank."""
