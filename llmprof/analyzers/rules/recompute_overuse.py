"""Does backward compute activations again although they would fit in memory?

Detects:
    Activation checkpointing: forward operators that run a second time inside backward, with device memory to spare.

Why it costs time:
    Checkpointing saves memory by computing every checkpointed block twice; where the memory is not needed that is up
    to a third more compute for nothing.

How it is measured:
    Time of the forward operators inside nodes of the backward graph. What they return bounds the memory that keeping
    it would take; it is held against the device memory beyond the peak.

Does not apply when:
    Nothing is recomputed, or its results would not fit.

Fix:
    Do not checkpoint, or checkpoint only some blocks (or only what is cheap), as far as memory allows.

Verify:
    Record again: the forward operators inside backward should be gone, and the peak of memory stay below the device's.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.faster.kept_activations import Kept, free_bytes, kept
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.operator_facts import RecomputeFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import data_late_weight, gain
from llmprof.analyzers.rules.operator_figures import cost_of, longest_operators, operators_of
from llmprof.units import format_bytes, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="recompute-overuse",
    category="compute",
    title="Activations are kept where they fit",
    failed_title="Activations are computed again although they would fit",
    fixes=("drop-recompute", "selective-recompute"),
    thresholds=(
        thresholds.RECOMPUTE_SEEN,
        thresholds.RECOMPUTE_REST,
        thresholds.RECOMPUTE_MORE,
        thresholds.RECOMPUTE_PIECE,
        thresholds.FIT_SHARE,
        thresholds.HOST_LATE_SHARE,
    ),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the recomputation of the critical rank."""
    operators = operators_of(RULE, facts, shapes=False)
    if isinstance(operators, Judgement):
        return operators
    found = operators.recompute
    if found is None:
        return RULE.not_applicable("Nothing is computed again in backward.")
    free, needed = free_bytes(facts.critical.memory), found.result_bytes
    figures = [
        evidence.share("computed again in backward", facts, found.ns, thresholds.RECOMPUTE_SEEN, source="trace"),
        evidence.number("operators computed again", found.calls, "per step", source="trace"),
        evidence.number("results of these, at most", needed, "bytes", source="input shapes"),
        evidence.number("device memory to spare", free, "bytes", source="caching allocator"),
        *longest_operators((one for one in operators.work if one.recomputed), facts.critical.rank),
    ]
    if found.ns < thresholds.RECOMPUTE_SEEN.value * facts.step.mean_ns:
        return RULE.passed(f"Recomputation takes {format_ns(found.ns)} of the step.", evidence=figures)
    fits = kept(found, facts.critical.memory)
    if fits is not None and fits.blocks < thresholds.RECOMPUTE_PIECE.value:
        return RULE.passed("Recomputation is what makes the step fit in memory.", evidence=figures)
    fix = _fix(facts, found, fits)
    return RULE.fired(
        facts,
        f"{format_ns(found.ns)} of the step ({format_percent(found.ns / facts.step.mean_ns)}) compute activations "
        "again in backward.",
        cost_ns=cost_of(fix.gain),
        confidence=confidence_of(facts, "compute", strength=1.0 if fits is not None else 0.8),
        evidence=figures,
        recommendations=[fix],
    )


def _fix(facts: Facts, found: RecomputeFacts, fits: Kept | None) -> Recommendation:
    """The host launches these operators too, so the gain is not lost in a step that waits for its host."""
    share = 1.0 if fits is None else fits.blocks
    saved = found.ns if fits is None else max(fits.blocks * found.ns, fits.products * found.product_ns)
    weight, late = data_late_weight(facts)
    estimate = gain(
        facts,
        low_ns=0.0 if fits is None else saved * weight * thresholds.RECOMPUTE_REST.value,
        expected_ns=saved * weight,
        high_ns=saved * thresholds.RECOMPUTE_MORE.value,
        at_most_ns=found.ns * thresholds.RECOMPUTE_MORE.value,
    )
    room = "" if found.result_bytes is None else f"At most {format_bytes(found.result_bytes)} would have to be kept. "
    if fits is None:
        room += "How much memory is free was not recorded. "
    if fits is None or fits.blocks == 1:
        return recommend(
            "drop-recompute",
            rule=RULE.id,
            facts=facts,
            action="Stop checkpointing activations",
            why=f"{room}{late}".strip() or "Blocks are then computed once.",
            how="checkpoint(block, x) -> block(x); Hugging Face: model.gradient_checkpointing_disable()",
            gain=estimate,
            watch="the time inside backward",
        )
    return recommend(
        "selective-recompute",
        rule=RULE.id,
        facts=facts,
        action=f"Checkpoint only part of the blocks: there is room for {format_percent(share)} of the activations"
        if fits is None or fits.by_blocks
        else f"Keep the results of matrix products: there is room for {format_percent(fits.products)} of them",
        why=f"{room}{late}".strip(),
        how="checkpoint every k-th block, or torch.utils.checkpoint.create_selective_checkpoint_contexts to keep the "
        "results of matrix products and recompute only what is cheap",
        gain=estimate,
        watch="the time inside backward",
    )
