"""Do collectives hide behind the computation?

Detects:
    Collectives during which the device computes nothing: gradients reduced one by one after the backward pass, or
    buckets that finish too late to be hidden.

Why it costs time:
    Gradients are ready layer by layer during the backward pass. Reduced then, their transfer runs beside the rest of
    the computation; reduced afterwards, the step waits for all of it.

How it is measured:
    Time per step in which only collectives ran on the critical rank, without the time spent waiting for a late peer.
    Hundreds of small all-reduces with next to nothing hidden are gradients that are reduced by hand.

Does not apply when:
    The run has one rank, or its steps hold no collectives.

Fix:
    Wrap the model in DistributedDataParallel, which reduces buckets during the backward pass. Where it is in use, try
    another `bucket_cap_mb`, or reduce only once per several micro-steps (`no_sync`).

Verify:
    Record again: collectives per step fall to tens, and the communication part of the step with them.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Evidence, Recommendation
from llmprof.analyzers.facts.collectives import CollectiveFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import data_late_weight, gain, part_ns
from llmprof.analyzers.rules.host_waits import host_waits, reduced_by_hand
from llmprof.units import format_bytes, format_count, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="exposed-collectives",
    category="communication",
    title="Collectives hide behind the computation",
    failed_title="The device waits for collectives",
    fixes=("wrap-ddp", "ddp-bucket-size", "accumulate-gradients"),
    thresholds=(
        thresholds.EXPOSED_COMMUNICATION,
        thresholds.UNOVERLAPPED,
        thresholds.MANY_COLLECTIVES,
        thresholds.PARAMETER_MATCH,
        thresholds.OVERLAP_EXPECTED,
        thresholds.BUCKET_EXPECTED,
    ),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the exposed collectives of the critical rank."""
    critical = facts.critical
    collectives = critical.collectives
    world = facts.world_size or critical.environment.world_size
    if world == 1:
        return RULE.not_applicable("The run has one rank: there is nobody to talk to.")
    if critical.partition is None or (collectives is None and critical.kernels is None):
        return RULE.no_data("The recording holds no traced steps with device activities; record a burst on every rank.")
    if collectives is None or collectives.count_per_step <= 0:
        return RULE.not_applicable("The traced steps hold no collectives.")
    exposed = part_ns(facts, "communication")
    share = exposed / facts.step.mean_ns
    figures = [
        evidence.share("exposed collectives without skew", facts, exposed, thresholds.EXPOSED_COMMUNICATION),
        evidence.number("collectives", collectives.count_per_step, "per step", source="trace", rank=critical.rank),
    ]
    if share < thresholds.EXPOSED_COMMUNICATION.value:
        return RULE.passed(f"Exposed collectives take {format_percent(share)} of the step.", evidence=figures)
    return RULE.fired(
        facts,
        f"The device waits {format_ns(exposed)} per step ({format_percent(share)}) for {_what(collectives)}.",
        cost_ns=exposed,
        confidence=confidence_of(facts, "communication", strength=1.0 if collectives.skew_ns is not None else 0.7),
        evidence=[*figures, *_figures(facts, collectives)],
        recommendations=_fixes(facts, collectives, exposed),
    )


def _what(collectives: CollectiveFacts) -> str:
    count = format_count(collectives.count_per_step)
    if collectives.median_bytes is None:
        return f"{count} collectives"
    return f"{count} collectives of {format_bytes(collectives.median_bytes)} (median)"


def _figures(facts: Facts, collectives: CollectiveFacts) -> list[Evidence]:
    critical = facts.critical
    window = evidence.longest(critical, "communication")
    return [
        evidence.time("collectives", collectives.total_ns, source="trace", rank=critical.rank, window=window),
        evidence.time("hidden behind computation", collectives.hidden_ns, source="trace", rank=critical.rank),
        evidence.number("message size, median", collectives.median_bytes, "bytes", source="trace", rank=critical.rank),
        evidence.time("waiting for a late peer", collectives.skew_ns, source="trace", rank=critical.rank),
    ]


def _fixes(facts: Facts, collectives: CollectiveFacts, exposed: float) -> list[Recommendation]:
    parallel = facts.critical.environment.parallelism
    by_hand = reduced_by_hand(facts)
    result = []
    if by_hand:
        result.append(_ddp(facts, collectives, exposed))
    elif not (parallel.fsdp or (parallel.tp or 1) > 1 or (parallel.pp or 1) > 1) and _reduces(collectives):
        result.append(_buckets(facts, exposed))
    if by_hand or _reduces(collectives):
        result.append(_accumulate(facts, exposed, by_hand))
    return result


def _reduces(collectives: CollectiveFacts) -> bool:
    """Whether gradients can be what is exchanged: all-reduce, or collectives whose kind is unknown."""
    return not collectives.groups or any("all" in group.op and "reduce" in group.op for group in collectives.groups)


def _ddp(facts: Facts, collectives: CollectiveFacts, exposed: float) -> Recommendation:
    count = format_count(collectives.count_per_step)
    launches = host_waits(facts).reduction_ns
    hideable = min(exposed, part_ns(facts, "compute") * thresholds.BACKWARD_SHARE.value) + launches
    weight, late = data_late_weight(facts)
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


def _buckets(facts: Facts, exposed: float) -> Recommendation:
    weight, late = data_late_weight(facts)
    why = "Smaller buckets start earlier and leave a shorter tail; larger ones use a slow link better."
    return recommend(
        "ddp-bucket-size",
        rule=RULE.id,
        facts=facts,
        action="Try other bucket sizes for DistributedDataParallel",
        why=f"{why} {late}".rstrip(),
        how="DistributedDataParallel(model, bucket_cap_mb=25) -> bucket_cap_mb=10, then 50 and 100",
        gain=gain(
            facts,
            expected_ns=weight * thresholds.BUCKET_EXPECTED.value * exposed,
            low_ns=0.0,
            high_ns=thresholds.BUCKET_HIGH.value * exposed,
            at_most_ns=exposed,
        ),
        watch="the communication part",
    )


def _accumulate(facts: Facts, exposed: float, by_hand: bool) -> Recommendation:
    steps = int(thresholds.ACCUMULATION_STEPS.value)
    saved = exposed * (1 - 1 / steps)
    weight, late = data_late_weight(facts)
    why = "The same transfer then serves more work; the gain is the mean over micro-steps."
    how = (
        f"reduce the gradients and call optimizer.step() only in every {steps}nd micro-step"
        if by_hand
        else f"with model.no_sync(): in all but every {steps}nd micro-step"
    )
    return recommend(
        "accumulate-gradients",
        rule=RULE.id,
        facts=facts,
        action=f"Accumulate gradients over {steps} micro-steps and synchronise once",
        why=f"{why} {late}".rstrip(),
        how=how,
        # The transfers are unchanged where they stay, so half is the most; a changed batch may take some of it back.
        gain=gain(facts, expected_ns=weight * saved / 2, low_ns=0.0, high_ns=saved, at_most_ns=saved),
        watch="the communication part",
    )
