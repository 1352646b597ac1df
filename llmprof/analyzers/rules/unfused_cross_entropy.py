"""Is the loss over the vocabulary computed in few passes?

Detects:
    A cross-entropy in separate operators (casts, log-softmax, its backward) on logits of tokens x vocabulary.

Why it costs time:
    The logits of a language model are its largest tensor. Every operator reads and writes them whole, often in fp32.

How it is measured:
    Time of all operators, matrix products left out, that touch a tensor of the size of the logits. A compiled loss
    takes as long as five and a half passes over them at the achievable bandwidth; one that reads the logits twice and
    writes their gradient in place (Liger-Kernel) needs three at the least. Where the vocabulary is odd, a compiler that
    is given the output layer with the loss also pads its products (torch._inductor.config.shape_padding, on by
    default): that is expected as well, but not sure. The same holds for what is made for the output layer alone, such
    as the sum of every frame and word of a transducer: compiled with it, five passes over it are left.

Does not apply when:
    The step has no such loss, or it is compiled or fused already.

Fix:
    A fused cross-entropy (the output layer and the loss compiled together, or Liger-Kernel's
    `LigerFusedLinearCrossEntropyLoss`), which also frees the memory of the fp32 logits.

Verify:
    Record again: the cross_entropy class and the copies of logits should shrink to a few kernels.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.device.roofline import roofline_of
from llmprof.analyzers.facts.faster.faster_kernels import padded_with_loss
from llmprof.analyzers.facts.faster.fused_loss import before_saving, loss_saving
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.saving import Saving, sum_of
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.operator_figures import cost_of, kernel_gain, operators_of, worth
from llmprof.units import format_bytes, format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="unfused-cross-entropy",
    category="compute",
    title="The loss takes few passes over the logits",
    failed_title="The loss passes over the logits many times",
    fixes=("fused-cross-entropy",),
    thresholds=(
        thresholds.KERNEL_GAIN,
        thresholds.LOSS_PASSES,
        thresholds.LOSS_PASSES_LEAST,
        thresholds.LOSS_LOW,
        thresholds.SHAPED_SHARE,
        thresholds.HOST_LATE_SHARE,
    ),
)


_WHY = "One kernel reads the logits and writes their gradient; no fp32 copy is made."
_BEFORE = "What the output layer reads is made for it alone: compile that with it, then it is never read in fp32."
_PADS = "Compiled with the output layer, the products with the odd vocabulary are padded as well."


def evaluate(facts: Facts) -> Judgement:
    """Judge the loss of the critical rank."""
    operators = operators_of(RULE, facts)
    if isinstance(operators, Judgement):
        return operators
    loss = operators.loss
    if loss is None:
        return RULE.not_applicable("The step has no cross-entropy over a vocabulary whose shapes are known.")
    line = roofline_of(facts.critical.environment.device)
    if line is None:
        return RULE.no_data(
            "The memory bandwidth of this device is not known, so what a fused loss takes is not known."
        )
    saving = loss_saving(loss, line)
    figures = [
        evidence.time("operators on the logits", loss.ns, source="trace", rank=facts.critical.rank),
        evidence.number("tokens x vocabulary", f"{loss.tokens} x {loss.vocabulary}", "", source="input shapes"),
        evidence.number("passes over the logits", loss.passes, "", source="input shapes"),
        evidence.time("a fused loss would take about", loss.ns - saving.expected_ns, source="roofline"),
    ]
    if not worth(facts, saving.expected_ns):
        return RULE.passed(f"The loss takes {format_ns(loss.ns)} beside its matrix products.", evidence=figures)
    padded, before = padded_with_loss(operators, facts.critical.environment.device), before_saving(loss, line)
    if before:
        figures.append(evidence.time("made for the output layer alone", before[0].ns, source="input shapes"))
    fix = _fix(facts, sum_of((saving, *before, *padded)), pads=bool(padded), before=bool(before))
    return RULE.fired(
        facts,
        f"The loss over {loss.vocabulary} classes takes {format_ns(loss.ns)} in separate operators on "
        f"{format_bytes(loss.logits_bytes)} of logits.",
        cost_ns=cost_of(fix.gain),
        confidence=confidence_of(facts, "compute", strength=operators.shaped_share),
        evidence=figures,
        recommendations=[fix],
    )


def _fix(facts: Facts, saving: Saving, *, pads: bool, before: bool) -> Recommendation:
    estimate, late = kernel_gain(facts, saving)
    return recommend(
        "fused-cross-entropy",
        rule=RULE.id,
        facts=facts,
        action="Fuse the loss over the vocabulary",
        why=" ".join(one for one in (_WHY, _BEFORE if before else "", _PADS if pads else "", late) if one),
        how="loss = torch.compile(lambda hidden, weight, targets: F.cross_entropy(F.linear(hidden, weight).float(), "
        "targets))(hidden, lm_head.weight, targets); or Liger-Kernel: "
        "LigerFusedLinearCrossEntropyLoss()(lm_head.weight, hidden, targets), which never makes the logits whole",
        gain=estimate,
        watch="the cross_entropy and copy classes",
    )
