"""Does fused attention use the fastest kernel of this GPU?

Detects:
    FlashAttention-2 or memory-efficient kernels on a GPU (Hopper and later) that has faster ones, and a mask given as a
    tensor of queries by keys that all sequences and heads share.

Why it costs time:
    Kernels written for Ampere use neither the asynchronous tensor cores nor the copy engine of later GPUs. A kernel
    that is handed a mask reads it and computes all scores; one that knows that attention is causal skips half of them.

How it is measured:
    Time of the attention kernels by the implementation in their names, in 16-bit formats. The gain is the published
    range of the speed-up of kernels written for the H100 over FlashAttention-2; nothing of it is promised, because
    for short sequences there is none. Masks are seen by their recorded shape, and half of the time is expected to go;
    their values are not recorded, so nothing is promised here either.

Does not apply when:
    There is no fused attention, or it runs in fp32 (see fp32-matmul). On GPUs older than Hopper only masks count.

Fix:
    `with torch.nn.attention.sdpa_kernel(SDPBackend.CUDNN_ATTENTION):` around the model, or the FlashAttention-3
    package. `is_causal=True` instead of a mask tensor that says the same; `flex_attention` with a block mask for other
    masks.

Verify:
    Record again: attention kernels should be called cudnn...sdpa or FlashAttnFwdSm90, and be shorter.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.faster.faster_attention import HOPPER, masked, newer_saving, unmasked_saving
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.saving import Saving, sum_of
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.operator_figures import cost_of, kernel_gain, longest_operators, operators_of
from llmprof.units import format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="slow-attention-backend",
    category="compute",
    title="Attention uses the fastest kernels of this GPU",
    failed_title="Attention could use faster kernels",
    fixes=("fused-attention-backend",),
    thresholds=(
        thresholds.ATTENTION_SHARE,
        thresholds.HOPPER_ATTENTION,
        thresholds.HOPPER_ATTENTION_HIGH,
        thresholds.HOST_LATE_SHARE,
    ),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the attention kernels of the critical rank."""
    operators = operators_of(RULE, facts, shapes=False)
    if isinstance(operators, Judgement):
        return operators
    if not any(one.kind == "attention" for one in operators.work):
        return RULE.not_applicable("The step has no fused attention.")
    capability = facts.critical.environment.device.capability
    if capability is None:
        return RULE.no_data("The GPU's generation is not recorded.")
    given = unmasked_saving(operators)
    if capability < HOPPER and not given.work:
        return RULE.not_applicable("This GPU has no faster kernels than FlashAttention-2, and no mask was seen.")
    newer = newer_saving(operators) if capability >= HOPPER else Saving(ns=0.0)
    saving = sum_of((newer, given))
    figures = [
        evidence.share(
            "attention in older kernels or with a mask", facts, saving.ns, thresholds.ATTENTION_SHARE,
            source="kernel names and shapes",
        ),
        *longest_operators([*newer.work, *given.work], facts.critical.rank),
    ]  # fmt: skip
    if saving.ns < thresholds.ATTENTION_SHARE.value * facts.step.mean_ns:
        return RULE.passed(
            f"Attention in kernels of older GPUs takes {format_ns(newer.ns)} of the step, with a mask tensor "
            f"{format_ns(given.ns)}.",
            evidence=figures,
        )
    fix = _fix(facts, newer, given)
    said = [f"in kernels written for older GPUs ({format_ns(newer.ns)})"] if newer.ns > 0 else []
    said += [f"with a mask tensor that all heads share ({format_ns(given.ns)})"] if given.ns > 0 else []
    return RULE.fired(
        facts,
        f"Attention runs {' and '.join(said)}.",
        cost_ns=cost_of(fix.gain),
        confidence=confidence_of(facts, "compute", strength=0.7),
        evidence=figures,
        recommendations=[fix],
    )


def _fix(facts: Facts, newer: Saving, given: Saving) -> Recommendation:
    saving = sum_of((newer, given))
    estimate, late = kernel_gain(facts, saving)
    causal = "is_causal=True instead of the mask tensor, where that is all it says; flex_attention for other masks"
    if newer.ns <= 0:
        action = "Say that attention is causal instead of handing it a mask"
        why = "With a mask tensor all scores are computed, also those that it hides."
        how = f"scaled_dot_product_attention(...): {causal}"
    else:
        action = "Try the cuDNN attention backend"
        why = "The kernels in use are written for Ampere."
        how = (
            "with torch.nn.attention.sdpa_kernel([SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION]): around the "
            "forward pass"
        )
        how += f"; pass {causal}" if given.work or masked(list(newer.work)) else ""
    return recommend(
        "fused-attention-backend",
        rule=RULE.id,
        facts=facts,
        action=action,
        why=f"{why} {late}".rstrip(),
        how=how,
        gain=estimate,
        watch="the attention class",
    )
