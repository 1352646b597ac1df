"""Are the dimensions of matrix products multiples of what tensor cores load?

Detects:
    Matrix products in which a row of an operand is no multiple of 16 bytes: 8 elements of bf16, 4 of TF32, 16 of fp8.
    A vocabulary of 50257 is the usual one.

Why it costs time:
    Tensor-core kernels load 16 bytes at once. When a row does not begin at such an address, the library falls back on
    kernels that load element by element; on an H200 such a product takes about twice as long.

How it is measured:
    From recorded shapes, and from the `alignN` in the names of CUTLASS kernels. The gain is the difference to the time
    at the efficiency that aligned products of this step reach (else at what is achievable), or to the traffic if that
    takes longer; at most that to the peak rates of the device.

Does not apply when:
    There are no matrix products in 16-bit formats, TF32 or fp8.

Fix:
    Pad the vocabulary, or make the odd dimension a multiple of 64.

Verify:
    Record again: the kernels of the product should have names like the other products', and take less time.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.faster.misaligned_products import aligned_savings, is_vocabulary, odd_products, odd_size
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.matmul_shapes import product_of
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.analyzers.facts.operators.saving import Saving, sum_of
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.operator_figures import cost_of, kernel_gain, longest_operators, operators_of, worth
from llmprof.units import format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="misaligned-matmul",
    category="compute",
    title="Matrix products have aligned dimensions",
    failed_title="Matrix products have odd dimensions",
    fixes=("pad-vocabulary", "align-dimensions"),
    thresholds=(
        thresholds.KERNEL_GAIN,
        thresholds.MISALIGNED_LOW,
        thresholds.SHAPED_SHARE,
        thresholds.HOST_LATE_SHARE,
    ),
)

MULTIPLE = 64


def evaluate(facts: Facts) -> Judgement:
    """Judge the dimensions of the matrix products of the critical rank."""
    operators = operators_of(RULE, facts)
    if isinstance(operators, Judgement):
        return operators
    if not any(product_of(one) is not None for one in operators.work):
        return RULE.not_applicable("The step has no matrix products whose shapes are known.")
    odd = odd_products(operators)
    if not odd:
        return RULE.passed("All matrix products have aligned dimensions.")
    savings = aligned_savings(operators, facts.critical.environment.device)
    total = sum(one.ns for one in odd)
    figures = [
        evidence.time("products with odd dimensions", total, source="trace", rank=facts.critical.rank),
        *longest_operators(odd, facts.critical.rank),
    ]
    if savings is None:
        return RULE.no_data("The rates of this device are not known, so what odd dimensions cost is not known either.")
    saving = sum_of(savings)
    figures.append(evidence.time("saved by aligned ones", saving.expected_ns, source="roofline"))
    if not worth(facts, saving.expected_ns):
        return RULE.passed(f"Products with odd dimensions take {format_ns(total)} of the step.", evidence=figures)
    fix, size = _fix(facts, operators, odd, saving)
    return RULE.fired(
        facts,
        f"A dimension of {size} keeps {format_ns(total)} of matrix products off the fast kernels.",
        cost_ns=cost_of(fix.gain),
        confidence=confidence_of(facts, "compute", strength=operators.shaped_share),
        evidence=figures,
        recommendations=[fix],
    )


def _fix(facts: Facts, operators: OperatorFacts, odd: list[OperatorWork], saving: Saving) -> tuple[Recommendation, int]:
    estimate, late = kernel_gain(facts, saving)
    size = odd_size(odd)
    padded = -(-size // MULTIPLE) * MULTIPLE
    why = f"{size} is no multiple of 8, so that tensor cores cannot load whole rows; {padded} is. {late}".rstrip()
    if is_vocabulary(size, operators):
        fix = recommend(
            "pad-vocabulary",
            rule=RULE.id,
            facts=facts,
            action=f"Pad the vocabulary from {size} to {padded}",
            why=why,
            how=f"vocab_size={size} -> vocab_size={padded} (the extra tokens never occur); Hugging Face: "
            f"model.resize_token_embeddings(pad_to_multiple_of={MULTIPLE})",
            gain=estimate,
            watch="the gemm class",
        )
        return fix, size
    fix = recommend(
        "align-dimensions",
        rule=RULE.id,
        facts=facts,
        action=f"Make the dimension of {size} a multiple of {MULTIPLE}: {padded}",
        why=why,
        how=f"the layer with {size} features (or the padding of the batch to {size} tokens) -> {padded}",
        gain=estimate,
        watch="the gemm class",
    )
    return fix, size
