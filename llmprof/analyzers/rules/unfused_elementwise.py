"""Is elementwise work fused?

Detects:
    Runs of elementwise, norm, softmax, reduction and copy kernels, one right after the other on tensors of one size.

Why it costs time:
    Each of these kernels reads its inputs from memory and writes its result back, for a few operations on each number.
    Fused into one kernel the intermediate results stay in the processor.

How it is measured:
    Kernels are followed in the order in which they ran; a run ends where the number of elements changes or another
    kind of kernel comes. Fused, a run is taken to cost what its longest kernel costs and 15 % of the others
    (TraceLens' model). No more is expected than torch.compile was published to bring, save in chains of four and more
    pointwise kernels: those are formulas that are written out, and all of that is expected there. The model bounds what
    is possible.

Does not apply when:
    The model is compiled already, or such kernels take little.

Fix:
    `model = torch.compile(model)`, or fused versions of single operators (norms, activations, rotary embeddings).

Verify:
    Record again: kernels called triton_..._fused_... take the place of elementwise ones, and of them there are fewer.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.fusion import FusionFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import device_gain, host_late_share, part_ns
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
        thresholds.FUSED_REST,
        thresholds.FUSION_LOW,
        thresholds.COMPILE_PUBLISHED,
        thresholds.SHAPED_SHARE,
        thresholds.HOST_LATE_SHARE,
    ),
)

_CLASSES = ("elementwise", "copy", "dropout", "normalization", "softmax", "reduction")


def evaluate(facts: Facts) -> Judgement:
    """Judge the elementwise kernels of the critical rank."""
    operators = operators_of(RULE, facts)
    if isinstance(operators, Judgement):
        return operators
    fusion = operators.fusion
    if fusion is None or fusion.ns <= 0:
        return RULE.not_applicable("The step has no elementwise kernels that could be fused.")
    possible = (fusion.run_ns - fusion.largest_ns) * (1 - thresholds.FUSED_REST.value)
    figures = [
        evidence.time("elementwise, norm, softmax and copy kernels", fusion.ns, source="trace"),
        evidence.time("of it in runs that could be one kernel", fusion.run_ns, source="trace"),
        evidence.number("kernels in such runs", fusion.kernels, "per step", source="trace"),
        evidence.number("runs", fusion.runs, "per step", source="trace"),
        evidence.time("kernels that a compiler made", fusion.compiled_ns, source="kernel names"),
        *longest_operators((one for one in operators.work if one.kind in _CLASSES), facts.critical.rank),
    ]
    if not worth(facts, possible):
        return RULE.passed(
            f"Fusing what follows each other would save {format_ns(possible)} at most.", evidence=figures
        )
    if host_late_share(facts) >= thresholds.HOST_LATE_SHARE.value:
        return RULE.passed(
            "Elementwise work runs in many kernels, but the device waits for the host or the input anyway.",
            evidence=figures,
        )
    fix = _fix(facts, fusion, possible)
    return RULE.fired(
        facts,
        f"{format_count(fusion.kernels)} elementwise kernels a step could run as {format_count(fusion.runs)}; they "
        f"take {format_ns(fusion.run_ns)}.",
        cost_ns=cost_of(fix.gain),
        confidence=confidence_of(facts, "compute", strength=0.7 * operators.shaped_share),
        evidence=figures,
        recommendations=[fix],
    )


def _fix(facts: Facts, fusion: FusionFacts, possible: float) -> Recommendation:
    """A bound, not a roofline: which operators the compiler fuses is not known before."""
    published = thresholds.COMPILE_PUBLISHED.value * part_ns(facts, "compute")
    chains = fusion.chain_ns * (1 - thresholds.FUSED_REST.value)
    expected = min(possible, max(published, chains))
    estimate, late = device_gain(
        facts,
        low_ns=expected * thresholds.FUSION_LOW.value,
        expected_ns=expected,
        # Beyond runs of one size, where a compiler also fuses what changes its size or is cast.
        high_ns=max(possible, fusion.between_ns),
        at_most_ns=max(possible, fusion.between_ns),
        basis="bound",
    )
    part = "the rest of the model" if fusion.compiled_ns > 0 else "the model"
    return recommend(
        "torch-compile",
        rule=RULE.id,
        facts=facts,
        action=f"Compile {part}",
        why=f"The compiler makes one kernel of each run of elementwise operators. {late}".rstrip(),
        how="model = torch.compile(model)",
        gain=estimate,
        watch="the elementwise, normalization and copy classes",
    )
