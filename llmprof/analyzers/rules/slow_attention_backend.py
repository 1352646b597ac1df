"""Does fused attention use the fastest kernel of this GPU?

Detects:
    FlashAttention-2 or memory-efficient kernels on a GPU (Hopper and later) that has faster ones.

Why it costs time:
    Kernels written for Ampere use neither the asynchronous tensor cores nor the copy engine of later GPUs.

How it is measured:
    Time of the attention kernels by the implementation in their names, in 16-bit formats. The gain is the published
    range of the speed-up of kernels written for the H100 over FlashAttention-2; nothing of it is promised, because
    for short sequences there is none.

Does not apply when:
    There is no fused attention, it runs in fp32 (see fp32-matmul), or the GPU is older than Hopper.

Fix:
    `with torch.nn.attention.sdpa_kernel(SDPBackend.CUDNN_ATTENTION):` around the model, or the FlashAttention-3
    package. A mask tensor forces the memory-efficient kernel: `is_causal=True` instead where it says the same.

Verify:
    Record again: attention kernels should be called cudnn...sdpa or FlashAttnFwdSm90, and be shorter.
"""

from __future__ import annotations

import re

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators import OperatorWork
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
    failed_title="Attention uses kernels of an older generation",
    fixes=("fused-attention-backend",),
    thresholds=(
        thresholds.ATTENTION_SHARE,
        thresholds.HOPPER_ATTENTION,
        thresholds.HOPPER_ATTENTION_HIGH,
        thresholds.HOST_LATE_SHARE,
    ),
)

HOPPER = (9, 0)
_FLASH2 = re.compile(r"flash_(fwd|bwd)_", re.IGNORECASE)
_EFFICIENT = re.compile(r"fmha_cutlass", re.IGNORECASE)
_NEW = re.compile(r"sm(90|100)|hopper|wgmma", re.IGNORECASE)


def evaluate(facts: Facts) -> Judgement:
    """Judge the attention kernels of the critical rank."""
    operators = operators_of(RULE, facts, shapes=False)
    if isinstance(operators, Judgement):
        return operators
    attention = [one for one in operators.work if one.kind == "attention"]
    if not attention:
        return RULE.not_applicable("The step has no fused attention.")
    capability = facts.critical.environment.device.capability
    if capability is None:
        return RULE.no_data("The GPU's generation is not recorded.")
    if capability < HOPPER:
        return RULE.not_applicable("This GPU has no faster kernels than FlashAttention-2.")
    old = [one for one in attention if _is_old(one)]
    total = sum(one.ns for one in old)
    figures = [
        evidence.share("attention in older kernels", facts, total, thresholds.ATTENTION_SHARE, source="kernel names"),
        *longest_operators(old, facts.critical.rank),
    ]
    if total < thresholds.ATTENTION_SHARE.value * facts.step.mean_ns:
        return RULE.passed(
            f"Attention in kernels of older GPUs takes {format_ns(total)} of the step.", evidence=figures
        )
    estimate, late = kernel_gain(
        facts,
        low_ns=0.0,
        expected_ns=total * (1 - 1 / thresholds.HOPPER_ATTENTION.value),
        high_ns=total * (1 - 1 / thresholds.HOPPER_ATTENTION_HIGH.value),
        at_most_ns=total,
    )
    masked = any(_EFFICIENT.search(one.kernel) for one in old)
    fix = recommend(
        "fused-attention-backend",
        rule=RULE.id,
        facts=facts,
        action="Try the cuDNN attention backend",
        why=f"The kernels in use are written for Ampere. {late}".rstrip(),
        how="with torch.nn.attention.sdpa_kernel([SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION]): around the "
        "forward pass" + ("; pass is_causal=True instead of a mask tensor" if masked else ""),
        gain=estimate,
        watch="the attention class",
    )
    return RULE.fired(
        facts,
        f"{format_ns(total)} of the step are attention in kernels written for older GPUs.",
        cost_ns=cost_of(estimate),
        confidence=confidence_of(facts, "compute", strength=0.7),
        evidence=figures,
        recommendations=[fix],
    )


def _is_old(one: OperatorWork) -> bool:
    if one.number_format not in ("bf16", "fp16", None) or _NEW.search(one.kernel):
        return False
    return bool(_FLASH2.search(one.kernel) or _EFFICIENT.search(one.kernel))
