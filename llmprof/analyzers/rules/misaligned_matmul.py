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

from dataclasses import dataclass

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.devices import DevicePeaks, find_device
from llmprof.analyzers.facts.matmul_shapes import misaligned, odd_dimensions, product_of
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.op_bytes import operands_of
from llmprof.analyzers.facts.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators import OperatorWork
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Saving:
    low_ns: float
    expected_ns: float
    high_ns: float


def evaluate(facts: Facts) -> Judgement:
    """Judge the dimensions of the matrix products of the critical rank."""
    operators = operators_of(RULE, facts)
    if isinstance(operators, Judgement):
        return operators
    if not any(product_of(one) is not None for one in operators.work):
        return RULE.not_applicable("The step has no matrix products whose shapes are known.")
    odd = [one for one in misaligned(operators.work) if not _of_scores(one, operators)]
    if not odd:
        return RULE.passed("All matrix products have aligned dimensions.")
    saving = _saving(facts, operators, odd)
    total = sum(one.ns for one in odd)
    figures = [
        evidence.time("products with odd dimensions", total, source="trace", rank=facts.critical.rank),
        *longest_operators(odd, facts.critical.rank),
    ]
    if saving is None:
        return RULE.no_data("The rates of this device are not known, so what odd dimensions cost is not known either.")
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


def _of_scores(one: OperatorWork, operators: OperatorFacts) -> bool:
    """Products of attention that is written out: a fused kernel is their fix."""
    found, product = operators.attention, product_of(one)
    if found is None or product is None or product.batch <= 1:
        return False
    return found.keys in (product.m, product.n, product.k) and found.queries in (product.m, product.n, product.k)


def _saving(facts: Facts, operators: OperatorFacts, odd: list[OperatorWork]) -> _Saving | None:
    device = facts.critical.environment.device
    peaks = find_device(device.name, device.sm_count)
    if peaks is None:
        return None
    expected = high = 0.0
    for one in odd:
        at_best = one.best_ns or one.ns
        usual = _usual_ns(one, operators, peaks) or at_best
        expected += max(0.0, one.ns - max(usual, at_best))
        high += max(0.0, one.ns - (one.least_ns or at_best))
    return _Saving(low_ns=expected * thresholds.MISALIGNED_LOW.value, expected_ns=expected, high_ns=high)


def _usual_ns(one: OperatorWork, operators: OperatorFacts, peaks: DevicePeaks) -> float | None:
    """The time at the efficiency of the aligned products in the same format, weighted by their arithmetic."""
    peak = peaks.flops.get(one.number_format or "")
    bad = {id(other) for other in misaligned(operators.work)}
    good = [
        other
        for other in operators.work
        if other.kind == "gemm"
        and other.number_format == one.number_format
        and other.flops
        and other.memory_limited is False
        and other.efficiency is not None
        and id(other) not in bad
    ]
    if peak is None or not good or not one.flops:
        return None
    reached = sum(other.flops or 0.0 for other in good) / sum(other.ns for other in good) * 1e9
    return one.flops / min(reached, peak) * 1e9


def _fix(
    facts: Facts, operators: OperatorFacts, odd: list[OperatorWork], saving: _Saving
) -> tuple[Recommendation, int]:
    estimate, late = kernel_gain(
        facts,
        low_ns=saving.low_ns,
        expected_ns=saving.expected_ns,
        high_ns=saving.high_ns,
        at_most_ns=sum(one.ns for one in odd),
    )
    size = _odd_size(odd)
    padded = -(-size // MULTIPLE) * MULTIPLE
    why = f"{size} is no multiple of 8, so that tensor cores cannot load whole rows; {padded} is. {late}".rstrip()
    if size in _vocabularies(operators):
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


def _odd_size(odd: list[OperatorWork]) -> int:
    """The odd dimension on which most time is spent."""
    ns: dict[int, float] = {}
    for one in odd:
        product = product_of(one)
        sizes = odd_dimensions(one) or (() if product is None else (product.n,))
        for size in sizes:
            ns[size] = ns.get(size, 0.0) + one.ns
    return max(ns, key=lambda size: ns[size])


def _vocabularies(operators: OperatorFacts) -> set[int]:
    """Rows of embedding tables, and classes of the loss."""
    tables = {
        operands_of(one.shapes).dims[0][0]
        for one in operators.work
        if one.operator == "aten::embedding" and one.shapes and operands_of(one.shapes).dims[0]
    }
    return tables | ({operators.loss.vocabulary} if operators.loss is not None else set())
