"""Are the messages of sharded or tensor-parallel training too small for their number?

Detects:
    Collectives whose time is mostly latency: many small messages where fewer large ones would do.

Why it costs time:
    Each message costs a latency beside its bytes; joined messages cost it once.

How it is measured:
    Latency and bandwidth are fitted to the transfers of the traced steps. The latency of all messages but one in ten is
    what joining ten of them saves, as far as it is exposed.

Does not apply when:
    The run has one rank, its steps hold no collectives, or the model is not sharded.

Fix:
    Larger FSDP units: `fully_shard` on whole blocks and not on their linear layers.

Verify:
    Record again: fewer collectives per step with the same bytes.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import communication_gain, explained, exposed_share, parallelism, question
from llmprof.analyzers.rules.fixes import recommend
from llmprof.units import format_bytes, format_count, format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="small-messages",
    category="communication",
    title="Collectives are large enough for their number",
    failed_title="Collectives are too small for their number",
    fixes=("fsdp-larger-units",),
    thresholds=(thresholds.COMMUNICATION_COST, thresholds.LATENCY_SHARE, thresholds.REPLAY_LOW),
)
JOINED = 10
"""Messages that are made one: as many linear layers as a block of a transformer has, about."""


def evaluate(facts: Facts) -> Judgement:
    """Judge the latency of the critical rank's collectives."""
    collectives = question(RULE, facts)
    if isinstance(collectives, Judgement):
        return collectives
    if not parallelism(facts).fsdp:
        return RULE.not_applicable("The model is not sharded: other rules look at gradient buckets.")
    fit, calls = collectives.fit, collectives.calls
    if fit is None or calls is None:
        return RULE.no_data(
            "Latency and bandwidth cannot be told apart: record a burst on every rank, with messages of several sizes."
        )
    latency = fit.latency_ns * collectives.count_per_step
    share = latency / collectives.total_ns if collectives.total_ns > 0 else 0.0
    saved = explained(facts, min(latency, collectives.exposed_ns) * (1 - 1 / JOINED))
    count = format_count(collectives.count_per_step)
    figures = [
        evidence.number("collectives", collectives.count_per_step, "per step", source="trace"),
        evidence.time("latency of all collectives", latency, source="trace"),
        exposed_share(facts, saved),
    ]
    if share < thresholds.LATENCY_SHARE.value or saved < thresholds.COMMUNICATION_COST.value * facts.step.mean_ns:
        return RULE.passed(f"{count} collectives per step: their latency costs {format_ns(saved)}.", evidence=figures)
    gain, late = communication_gain(
        facts,
        expected_ns=saved,
        low_ns=thresholds.REPLAY_LOW.value * saved,
        # Fewer messages also begin earlier, so that more of their bytes may be hidden.
        high_ns=explained(facts, collectives.exposed_ns),
    )
    size = collectives.median_bytes
    of = "" if size is None else f" of {format_bytes(size)} (median)"
    return RULE.fired(
        facts,
        f"{count} collectives per step{of} cost {format_ns(fit.latency_ns)} of latency each, {format_ns(saved)} of it "
        "exposed.",
        cost_ns=saved,
        confidence=confidence_of(facts, "communication", strength=0.8),
        evidence=figures,
        recommendations=[
            recommend(
                "fsdp-larger-units",
                rule=RULE.id,
                facts=facts,
                action="Shard whole blocks instead of single layers",
                why=f"Fewer, larger messages cost the latency less often. {late}".rstrip(),
                how="for block in model.blocks: fully_shard(block); fully_shard(model)",
                gain=gain,
                watch="the number of collectives",
            )
        ],
    )
