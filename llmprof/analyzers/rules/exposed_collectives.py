"""Do collectives hide behind the computation?

Detects:
    Collectives during which the device computes nothing: gradient buckets that finish too late to be hidden, gathers
    and reductions of sharded layers. Other rules look for their causes.

Why it costs time:
    Gradients are ready layer by layer during the backward pass. Reduced then, their transfer runs beside the rest of
    the computation; reduced afterwards, the step waits for all of it.

How it is measured:
    Time per step in which only collectives ran on the critical rank, without the time spent waiting for a late peer.

Does not apply when:
    The run has one rank, or its steps hold no collectives.

Fix:
    Reduce gradients only once per several micro-steps (`no_sync`), or try another `bucket_cap_mb`; the default where a
    multiple of it was set.

Verify:
    Record again: the communication part of the step is shorter.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Evidence, Recommendation
from llmprof.analyzers.facts.communication.collectives import CollectiveFacts, CollectiveGroup
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.gradients import BUCKET_BYTES, oversized
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import exposed_of, joined_by_hand, parallelism, question, times_reduced
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import data_late_weight, gain, part_ns
from llmprof.analyzers.rules.host_waits import reduced_by_hand
from llmprof.units import format_bytes, format_count, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="exposed-collectives",
    category="communication",
    title="Collectives hide behind the computation",
    failed_title="The device waits for collectives",
    fixes=("ddp-bucket-size", "accumulate-gradients"),
    thresholds=(
        thresholds.EXPOSED_COMMUNICATION,
        thresholds.COMMUNICATION_COST,
        thresholds.BACKWARD_SHARE,
        thresholds.BUCKET_HIGH,
        thresholds.ACCUMULATION_STEPS,
        thresholds.REDUCED_OFTEN,
    ),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the exposed collectives of the critical rank."""
    critical = facts.critical
    collectives = question(RULE, facts)
    if isinstance(collectives, Judgement):
        return collectives
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
        return f"{count} collective{'' if count == '1' else 's'}"
    size = format_bytes(collectives.median_bytes)
    return f"{count} collective of {size}" if count == "1" else f"{count} collectives of {size} (median)"


def _figures(facts: Facts, collectives: CollectiveFacts) -> list[Evidence]:
    critical = facts.critical
    window = evidence.longest(critical, "communication")
    return [
        evidence.time("collectives", collectives.total_ns, source="trace", rank=critical.rank, window=window),
        evidence.time("hidden behind computation", collectives.hidden_ns, source="trace", rank=critical.rank),
        evidence.number("hidden share", collectives.overlap, "of the time in collectives", source="trace"),
        evidence.number("message size, median", collectives.median_bytes, "bytes", source="trace", rank=critical.rank),
        evidence.time("waiting for a late peer", collectives.skew_ns, source="trace", rank=critical.rank),
    ]


def _fixes(facts: Facts, collectives: CollectiveFacts, exposed: float) -> list[Recommendation]:
    parallel = parallelism(facts)
    by_hand = reduced_by_hand(facts) or joined_by_hand(facts)
    result = []
    sharded = parallel.fsdp or (parallel.tp or 1) > 1 or (parallel.pp or 1) > 1
    large = oversized(facts.critical.environment.ddp)
    # Where the reductions can be replayed, small-ddp-buckets knows what larger buckets bring.
    if not (by_hand or sharded) and (large or collectives.buckets is None) and _reduces(collectives):
        movable = _movable(facts, collectives, exposed)
        if movable >= thresholds.COMMUNICATION_COST.value * facts.step.mean_ns:
            result.append(_buckets(facts, movable, large=large))
    # What is reduced for every micro-batch need not be: sync-every-microbatch knows that, and changes no batch for it.
    often = (collectives.microbatches or 1.0) >= thresholds.REDUCED_OFTEN.value
    often = often and (times_reduced(facts) or 0.0) >= thresholds.REDUCED_OFTEN.value
    if by_hand or (_reduces(collectives) and not often):
        reductions = _reductions(collectives)
        result.append(_accumulate(facts, exposed_of(facts, reductions) if reductions else exposed, by_hand))
    return result


def _reduces(collectives: CollectiveFacts) -> bool:
    """Whether gradients can be what is exchanged: reductions, or collectives whose kind is unknown."""
    return not collectives.groups or bool(_reductions(collectives))


def _reductions(collectives: CollectiveFacts) -> list[CollectiveGroup]:
    """All-reduces that carry gradients; those of both passes are activations."""
    return [group for group in collectives.groups if group.op == "all_reduce" and not group.of_both_passes]


def _movable(facts: Facts, collectives: CollectiveFacts, exposed: float) -> float:
    """What other buckets can hide at most: with any, what takes longer than the backward pass stays exposed."""
    transfers = collectives.total_ns - (collectives.skew_ns or 0.0)
    longer = max(0.0, transfers - thresholds.BACKWARD_SHARE.value * part_ns(facts, "compute"))
    return max(0.0, exposed - longer)


def _buckets(facts: Facts, movable: float, *, large: bool) -> Recommendation:
    """Nothing is promised: what other buckets bring is not known without a replay of them.

    large    the size was set to a multiple of the default
    """
    return recommend(
        "ddp-bucket-size",
        rule=RULE.id,
        facts=facts,
        action="Leave the buckets of DistributedDataParallel at their default size"
        if large
        else "Try other bucket sizes for DistributedDataParallel",
        why="A bucket leaves when its last gradient is there: smaller ones start earlier and leave a shorter tail."
        if large
        else "Smaller buckets start earlier and leave a shorter tail; larger ones use a slow link better.",
        how=f"DistributedDataParallel(model, bucket_cap_mb={BUCKET_BYTES >> 20})"
        if large
        else "DistributedDataParallel(model, bucket_cap_mb=25) -> bucket_cap_mb=10, then 50 and 100",
        gain=gain(
            facts,
            expected_ns=0.0,
            low_ns=0.0,
            high_ns=thresholds.BUCKET_HIGH.value * movable,
            at_most_ns=movable,
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
