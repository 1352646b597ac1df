"""Is attention computed in one fused kernel?

Detects:
    Attention written out in separate operators: a product for the scores, a mask, a softmax, a product with the values.

Why it costs time:
    The matrix of scores has one number for every pair of tokens and head. Written out, it is written and read again by
    every operator, forward and backward; a fused kernel keeps it in the processor.

How it is measured:
    A softmax whose input a batched product made gives the size of the scores; the time of all operators that touch
    scores (products, scaling, mask, casts, softmax, copies, forward and backward) is what a fused kernel replaces, and
    with it the copies that lay out its operands. Its own time follows from the FLOPs (half of them under a causal mask)
    and from the share of the peak that fused attention reaches for that length (TraceLens' bands, at best that of
    FlashAttention-3), or from its traffic if that takes longer. On Hopper and newer GPUs the time is expected that
    fused attention was recorded to take on H200s. A bias that is added to the scores and whose gradient is summed over
    them in backward leaves only the memory-efficient kernel: its shares of the peak (xFormers' and CUTLASS's figures),
    and the bytes of a gradient for every score. Where adding the bias takes as long as reading a sector for every
    score, its last dimension is not contiguous, and no fused kernel takes it as it lies: at worst PyTorch writes
    attention out itself, in fp32, and the middle between the two is expected.

Does not apply when:
    No softmax over attention scores is in the step, or attention is fused already.

Fix:
    `torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)`, or
    `attn_implementation="sdpa"` for models of Hugging Face. Where it is used already, remove what keeps it from its
    fused kernels.

Verify:
    Record again: the softmax class should be gone, and an attention class should be there that is shorter.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.faster.faster_attention import fused_saving
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators.saving import Saving
from llmprof.analyzers.facts.operators.written_attention import WrittenAttention
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.operator_figures import cost_of, kernel_gain, operators_of, worth
from llmprof.units import format_bytes, format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="unfused-attention",
    category="compute",
    title="Attention runs in fused kernels",
    failed_title="Attention is written out in separate operators",
    fixes=("sdpa-attention", "fused-attention-backend"),
    thresholds=(thresholds.KERNEL_GAIN, thresholds.SHAPED_SHARE, thresholds.HOST_LATE_SHARE),
)

_HOW = (
    "softmax(q @ k.transpose(-2, -1) * scale + mask) @ v -> torch.nn.functional.scaled_dot_product_attention("
    'q, k, v, is_causal=True); Hugging Face: from_pretrained(..., attn_implementation="sdpa")'
)
_HOW_BIASED = (
    "softmax(q @ k.transpose(-2, -1) * scale + bias) @ v -> torch.nn.functional.scaled_dot_product_attention("
    "q, k, v, attn_mask=bias), with the bias in the number format of q, contiguous in its last dimension, and not "
    "expanded over the batch before"
)
_STRIDED = (
    " It is not contiguous in its last dimension: as it lies no fused kernel takes it, and PyTorch would write "
    "attention out in fp32, which may take longer than now."
)
_MASK_LIES = "; a mask has to be contiguous in its last dimension: mask.contiguous(), before it is expanded"
_BIASED = (
    "A bias that needs a gradient leaves only the memory-efficient kernel of scaled_dot_product_attention, which is "
    "slower than flash attention and writes that gradient for every score."
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the attention of the critical rank."""
    operators = operators_of(RULE, facts)
    if isinstance(operators, Judgement):
        return operators
    found = operators.attention
    if found is None:
        if any(one.kind == "attention" for one in operators.work):
            return RULE.passed("Attention runs in fused kernels.")
        return RULE.not_applicable("The step has no attention.")
    saving = fused_saving(found, facts.critical.environment.device)
    figures = [
        evidence.time("operators on attention scores", found.ns, source="trace", rank=facts.critical.rank),
        evidence.time("softmax among them", found.softmax_ns, source="trace", rank=facts.critical.rank),
        evidence.number("queries x keys", f"{found.queries} x {found.keys}", "", source="input shapes"),
        evidence.number("scores of one call", _score_bytes(found), "bytes", source="input shapes"),
    ]
    saved = found.ns if saving is None else saving.expected_ns
    if saving is not None:
        figures.append(evidence.time("a fused kernel would take about", found.ns - saved, source="roofline"))
    if not worth(facts, saved):
        return RULE.passed(
            f"Attention is written out, but takes only {format_ns(found.ns)} of the step.", evidence=figures
        )
    fix = _fix(facts, operators, found, saving)
    return RULE.fired(
        facts,
        f"Attention is written out: {format_ns(found.ns)} of the step go through score matrices of "
        f"{found.queries} x {found.keys} for each head.",
        cost_ns=cost_of(fix.gain),
        confidence=confidence_of(facts, "compute", strength=operators.shaped_share),
        evidence=figures,
        recommendations=[fix],
    )


def _score_bytes(found: WrittenAttention) -> int:
    return found.heads * found.queries * found.keys * (4 if found.number_format in ("fp32", "tf32") else 2)


def _fix(facts: Facts, operators: OperatorFacts, found: WrittenAttention, saving: Saving | None) -> Recommendation:
    """Without the device's rates only an upper bound can be given."""
    estimate, late = kernel_gain(facts, saving or Saving(ns=found.ns, high_ns=found.ns), at_most_ns=found.ns)
    scores = format_bytes(_score_bytes(found))
    biases = [one.bias for one in found.parts or (found,) if one.bias is not None]
    strided = _STRIDED if any(one.scattered for one in biases) else ""
    kept = (
        f"{_BIASED}{strided}"
        if biases
        else f"A fused kernel never writes the {scores} of scores of each call to memory."
    )
    why = f"{kept} {late}".rstrip()
    if operators.math_attention_ns > 0:
        allowed = facts.critical.environment.precision.sdpa_backends
        told = f" (allowed: {', '.join(allowed)})" if allowed else ""
        return recommend(
            "fused-attention-backend",
            rule=RULE.id,
            facts=facts,
            action="Let scaled_dot_product_attention use a fused kernel",
            why=f"scaled_dot_product_attention is used, but chose to write attention out{told}. {why}",
            how="pass is_causal=True instead of a mask, 16-bit queries, keys and values, and no torch.nn.attention."
            "sdpa_kernel(SDPBackend.MATH); warnings under sdpa_kernel(SDPBackend.FLASH_ATTENTION) name the reason"
            + (_MASK_LIES if biases else ""),
            gain=estimate,
            watch="the softmax class",
        )
    return recommend(
        "sdpa-attention",
        rule=RULE.id,
        facts=facts,
        action="Compute attention with scaled_dot_product_attention",
        why=why,
        how=_HOW_BIASED if biases else _HOW,
        gain=estimate,
        watch="the softmax class",
    )
