"""Is elementwise work fused?

Detects:
    Runs of elementwise, norm, softmax, loss, reduction and copy kernels, one after the other on tensors of one size.

Why it costs time:
    Each of these kernels reads its inputs from memory and writes its result back, for a few operations on each number.
    Fused into one kernel the intermediate results stay in the processor.

How it is measured:
    Kernels are followed in the order in which they ran; a run ends where the number of elements changes or another
    kind of kernel comes. Fused, kernels are taken to cost what the longest of them costs. Which are fused lies between
    two bounds: those on tensors of one size between two matrix products (or other kernels of a library), and all
    between these. The middle is expected; at most, what stays takes no longer than its traffic. Kernels that gather,
    roll or flip count as pointwise; those that add to other places (index_add) stay, but compute what they add. Sure is
    only that chains of four and more pointwise kernels go, which are formulas that are written out: half of these, as a
    model may be compiled in parts. The compiler also pads matrix products with odd dimensions where that is faster
    (torch._inductor.config.shape_padding, on by default), so that their saving is part of its gain, but not sure where
    the odd dimension is the vocabulary: the output layer may stand outside with the loss. It also adds up
    the gradient of an embedding with atomic additions, which wait for each other where a small table gets very many
    (learned distances of all pairs of tokens): what these are expected to take beyond PyTorch's kernels is taken off.

Does not apply when:
    The model is compiled already, or such kernels take little.

Fix:
    `model = torch.compile(model)`, or fused versions of single operators (norms, activations, rotary embeddings).

Verify:
    Record again: kernels called triton_..._fused_... take the place of elementwise ones, and of them there are fewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.faster.misaligned_products import aligned_savings, is_vocabulary, odd_products, odd_size
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.contended_tables import ContendedTable, contended_tables
from llmprof.analyzers.facts.operators.fusion import FusionFacts
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators.saving import Saving, sum_of
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import device_gain, host_late_share
from llmprof.analyzers.rules.operator_figures import cost_of, longest_operators, operators_of, worth
from llmprof.units import format_count, format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="unfused-elementwise",
    category="compute",
    title="Elementwise work is fused",
    failed_title="Elementwise work runs in many kernels",
    fixes=("torch-compile",),
    thresholds=(
        thresholds.KERNEL_GAIN,
        thresholds.FUSION_LOW,
        thresholds.SHAPED_SHARE,
        thresholds.HOST_LATE_SHARE,
    ),
)

_CLASSES = ("elementwise", "copy", "dropout", "normalization", "softmax", "cross_entropy", "reduction")

_LOSS = "; a loss that is computed outside of the model has to be compiled as well: torch.compile(loss_function)"


def evaluate(facts: Facts) -> Judgement:
    """Judge the elementwise kernels of the critical rank."""
    operators = operators_of(RULE, facts)
    if isinstance(operators, Judgement):
        return operators
    fusion = operators.fusion
    if fusion is None or fusion.ns <= 0:
        return RULE.not_applicable("The step has no elementwise kernels that could be fused.")
    tables = () if fusion.compiled_ns > 0 else contended_tables(operators.work)
    expected = fusion.middle_ns - sum(one.expected_ns - one.work.ns for one in tables)
    figures = [
        evidence.time("elementwise, norm, softmax and copy kernels", fusion.ns, source="trace"),
        evidence.time("of it in runs that could be one kernel", fusion.run_ns, source="trace"),
        evidence.number("kernels in such runs", fusion.kernels, "per step", source="trace"),
        evidence.number("runs", fusion.runs, "per step", source="trace"),
        evidence.time("kernels that a compiler made", fusion.compiled_ns, source="kernel names"),
        *longest_operators((one for one in operators.work if one.kind in _CLASSES), facts.critical.rank),
    ]
    figures += [
        evidence.number(f"look-ups of a table of {one.rows} rows", one.lookups, "per call", source="input shapes")
        for one in tables
    ]
    if tables and not worth(facts, expected):
        return RULE.passed(
            f"Fusing what follows each other would save {format_ns(fusion.middle_ns)}, but compiled the step may get "
            f"longer: {_told(tables)}",
            evidence=figures,
        )
    if not worth(facts, expected):
        return RULE.passed(f"Fusing what follows each other would save {format_ns(expected)}.", evidence=figures)
    if host_late_share(facts) >= thresholds.HOST_LATE_SHARE.value:
        return RULE.passed(
            "Elementwise work runs in many kernels, but the device waits for the host or the input anyway.",
            evidence=figures,
        )
    padded = _padded(facts, operators, fusion)
    if padded.expected_ns > 0:
        figures.append(
            evidence.time("of products with odd dimensions, which the compiler pads", padded.ns, source="input shapes")
        )
    fix = _fix(facts, fusion, expected, padded, tables)
    return RULE.fired(
        facts,
        f"{format_count(fusion.kernels)} elementwise kernels a step could run as {format_count(fusion.runs)}; they "
        f"take {format_ns(fusion.run_ns)}.",
        cost_ns=cost_of(fix.gain),
        confidence=confidence_of(facts, "compute", strength=0.7 * operators.shaped_share),
        evidence=figures,
        recommendations=[fix],
    )


def _padded(facts: Facts, operators: OperatorFacts, fusion: FusionFacts) -> Saving:
    """What products with odd dimensions save once they are padded; nothing where a compiler was at work already.

    Those with the vocabulary may stand outside of the model, with the loss: of them nothing is sure.
    """
    found = None if fusion.compiled_ns > 0 else aligned_savings(operators, facts.critical.environment.device)
    saving = sum_of(found or ())
    odd = odd_products(operators)
    outside = bool(odd) and is_vocabulary(odd_size(odd), operators)
    return replace(saving, low_ns=0.0) if outside else saving


def _told(tables: Sequence[ContendedTable]) -> str:
    most = max(tables, key=lambda one: one.worst_ns)
    return (
        f"{format_count(most.lookups)} gradients of a table of {most.rows} rows become atomic additions, which wait "
        "for each other where most are of one row. Keep this look-up out of what is compiled "
        "(torch.compiler.disable on the function that does it)."
    )


def _fix(
    facts: Facts, fusion: FusionFacts, expected: float, padded: Saving, tables: Sequence[ContendedTable]
) -> Recommendation:
    """A bound, not a roofline: which operators the compiler fuses is not known before."""
    high = fusion.most_ns + padded.high_ns - sum(one.best_ns - one.work.ns for one in tables)
    estimate, late = device_gain(
        facts,
        low_ns=(fusion.chain_ns + padded.low_ns) * thresholds.FUSION_LOW.value
        - sum(one.worst_ns - one.work.ns for one in tables),
        expected_ns=expected + padded.expected_ns,
        high_ns=high,
        at_most_ns=high,
        basis="bound",
    )
    pads = "It also pads matrix products with odd dimensions." if padded.expected_ns > 0 else ""
    warned = f"It may also make the step longer: {_told(tables)}" if tables else ""
    part = "the rest of the model" if fusion.compiled_ns > 0 else "the model"
    return recommend(
        "torch-compile",
        rule=RULE.id,
        facts=facts,
        action=f"Compile {part}",
        why=" ".join(
            one
            for one in ("The compiler makes one kernel of each run of elementwise operators.", pads, warned, late)
            if one
        ),
        how="model = torch.compile(model)"
        + (_LOSS if facts.critical.operators and facts.critical.operators.loss else ""),
        gain=estimate,
        watch="the elementwise, normalization and copy classes",
    )
