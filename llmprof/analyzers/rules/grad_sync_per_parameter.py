"""Are gradients reduced one parameter at a time?

Detects:
    One collective per parameter tensor after the backward pass, as a hand-written loop over `parameters()` makes them.

Why it costs time:
    Gradients are ready layer by layer during the backward pass. Reduced then, in buckets, their transfer runs beside
    the rest of the computation; reduced afterwards, the step waits for all of it, and for a launch and a latency each.

How it is measured:
    All-reduces per step against the parameter tensors, next to none of their time hidden behind computation, and
    launched by the training thread and not by the backward pass. The gain is what the backward pass can hide.

Does not apply when:
    The run has one rank, or its steps hold no collectives.

Fix:
    Wrap the model in DistributedDataParallel, which reduces buckets during the backward pass.

Verify:
    Record again: collectives per step fall to tens, and the communication part of the step with them.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.collectives import CollectiveFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import question
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import data_late_weight, gain, part_ns
from llmprof.analyzers.rules.host_waits import host_waits, reduced_by_hand
from llmprof.units import format_count, format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="grad-sync-per-parameter",
    category="communication",
    title="Gradients are reduced in buckets",
    failed_title="Gradients are reduced one by one",
    fixes=("wrap-ddp",),
    thresholds=(
        thresholds.COMMUNICATION_COST,
        thresholds.UNOVERLAPPED,
        thresholds.MANY_COLLECTIVES,
        thresholds.PARAMETER_MATCH,
        thresholds.OVERLAP_EXPECTED,
    ),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge how the gradients of the critical rank are reduced."""
    collectives = question(RULE, facts)
    if isinstance(collectives, Judgement):
        return collectives
    count = format_count(collectives.count_per_step)
    if not reduced_by_hand(facts):
        return RULE.passed(f"{count} collectives per step are not one per parameter after the backward pass.")
    cost = part_ns(facts, "communication") + host_waits(facts).reduction_ns
    if cost < thresholds.COMMUNICATION_COST.value * facts.step.mean_ns:
        return RULE.passed(f"{count} collectives per step are one per parameter, and cost {format_ns(cost)}.")
    return RULE.fired(
        facts,
        f"{count} collectives per step, one per parameter, cost {format_ns(cost)} after the backward pass.",
        cost_ns=cost,
        confidence=confidence_of(
            facts, "communication", "host", strength=1.0 if collectives.skew_ns is not None else 0.7
        ),
        evidence=[
            evidence.number("collectives", collectives.count_per_step, "per step", source="trace"),
            evidence.share("exposed collectives and their launches", facts, cost, thresholds.COMMUNICATION_COST),
            evidence.time("hidden behind computation", collectives.hidden_ns, source="trace", rank=facts.critical.rank),
        ],
        recommendations=[_ddp(facts, collectives)],
    )


def _ddp(facts: Facts, collectives: CollectiveFacts) -> Recommendation:
    exposed, launches = part_ns(facts, "communication"), host_waits(facts).reduction_ns
    hideable = min(exposed, part_ns(facts, "compute") * thresholds.BACKWARD_SHARE.value) + launches
    weight, late = data_late_weight(facts)
    count = format_count(collectives.count_per_step)
    why = f"{count} collectives per step run after the backward pass; DDP reduces a few buckets during it."
    return recommend(
        "wrap-ddp",
        rule=RULE.id,
        facts=facts,
        action="Wrap the model in DistributedDataParallel instead of reducing gradients one by one",
        why=f"{why} {late}".rstrip(),
        how="model = torch.nn.parallel.DistributedDataParallel(model, device_ids=[local_rank]); "
        "drop the loop that calls all_reduce",
        gain=gain(
            facts,
            expected_ns=weight * thresholds.OVERLAP_EXPECTED.value * hideable,
            low_ns=weight * thresholds.OVERLAP_LOW.value * hideable,
            # Fewer, larger messages are faster even where nothing hides them, so all of it may go.
            high_ns=exposed + launches,
            at_most_ns=exposed + launches,
        ),
        watch="the communication part",
    )
