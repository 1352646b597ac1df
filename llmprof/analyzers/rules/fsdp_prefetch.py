"""Does FSDP gather parameters too late?

Detects:
    All-gathers that begin only when the layer before has ended its computation, although the link was free earlier.

Why it costs time:
    The parameters of a layer do not depend on the layer before. Gathered while it computes they cost nothing; gathered
    after it the device waits for them.

How it is measured:
    For each exposed all-gather, the computation that ran since the all-gather before it had ended, beside no other
    collective: at most so much of it an earlier begin would have hidden. Reductions that stand in line behind late
    all-gathers may be hidden too; that is the upper end of the gain.

Does not apply when:
    The run has one rank, its steps hold no collectives, or the model is not sharded by FSDP.

Fix:
    `set_modules_to_forward_prefetch` and `set_modules_to_backward_prefetch`; in the wrapper class
    `forward_prefetch=True` and `BackwardPrefetch.BACKWARD_PRE`.

Verify:
    Record again: all-gathers run beside the computation of the layer before.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import communication_gain, explained, exposed_share, parallelism, question
from llmprof.analyzers.rules.fixes import recommend
from llmprof.timeline.settings import FsdpSettings
from llmprof.units import format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="fsdp-prefetch",
    category="communication",
    title="FSDP gathers parameters ahead of their use",
    failed_title="FSDP gathers parameters too late",
    fixes=("fsdp-prefetch",),
    thresholds=(thresholds.COMMUNICATION_COST, thresholds.REPLAY_LOW),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge when the all-gathers of the critical rank begin."""
    collectives = question(RULE, facts)
    if isinstance(collectives, Judgement):
        return collectives
    if not parallelism(facts).fsdp:
        return RULE.not_applicable("The model is not sharded by FSDP.")
    gathers = [group for group in collectives.groups if group.op == "all_gather"]
    if not gathers:
        return RULE.not_applicable("The traced steps hold no all-gathers.")
    saved = explained(facts, sum(group.late_issue_ns or 0.0 for group in gathers))
    figures = [
        evidence.time("exposed all-gathers", sum(group.exposed_ns for group in gathers), source="trace"),
        exposed_share(facts, saved),
    ]
    if saved < thresholds.COMMUNICATION_COST.value * facts.step.mean_ns:
        return RULE.passed(f"An earlier begin of all-gathers would hide {format_ns(saved)}.", evidence=figures)
    behind = sum(group.exposed_ns for group in collectives.groups if group.op == "reduce_scatter")
    gain, late = communication_gain(
        facts,
        expected_ns=saved,
        low_ns=thresholds.REPLAY_LOW.value * saved,
        high_ns=saved + explained(facts, behind),
    )
    return RULE.fired(
        facts,
        f"All-gathers begin after the computation that could have hidden {format_ns(saved)} of them.",
        cost_ns=saved,
        confidence=confidence_of(facts, "communication", strength=0.8),
        evidence=figures,
        recommendations=[
            recommend(
                "fsdp-prefetch",
                rule=RULE.id,
                facts=facts,
                action="Gather the parameters of the next layer while this one computes",
                why=f"An all-gather needs nothing from the layer before. {late}".rstrip(),
                how=_how(facts.critical.environment.fsdp),
                gain=gain,
                watch="the communication part",
            )
        ],
    )


def _how(settings: FsdpSettings | None) -> str:
    if settings is not None and settings.version == 1:
        return (
            "FullyShardedDataParallel(..., forward_prefetch=True, backward_prefetch=BackwardPrefetch.BACKWARD_PRE, "
            "limit_all_gathers=True)"
        )
    return (
        "for this, after in zip(layers, layers[1:]): this.set_modules_to_forward_prefetch([after]); "
        "after.set_modules_to_backward_prefetch([this])"
    )
