"""Are gradients reduced by hand after the backward pass?

Detects:
    One collective per parameter tensor after the backward pass, as a hand-written loop over `parameters()` makes them,
    or all gradients joined by hand and reduced at once.

Why it costs time:
    Gradients are ready layer by layer during the backward pass. Reduced then, in buckets, their transfer runs beside
    the rest of the computation; reduced afterwards, the step waits for all of it, and one by one for a launch and a
    latency each.

How it is measured:
    All-reduces per step against the parameter tensors, next to none of their time hidden behind computation, and
    launched by the training thread and not by the backward pass; or fewer of them that move as much as the gradients of
    a model that nothing wraps. The gain is what the backward pass can hide. Where the host exchanges (gloo), it is also
    what each call takes however small its message, for the calls that buckets save.

Does not apply when:
    The run has one rank, or its steps hold no collectives.

Fix:
    Wrap the model in DistributedDataParallel, which reduces buckets during the backward pass.

Verify:
    Record again: collectives per step fall to tens, and the communication part of the step with them.
"""

from __future__ import annotations

from math import ceil

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.communication.collectives import CollectiveFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.gradients import BUCKET_BYTES, FIRST_BUCKET_BYTES
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import explained, gradient_bytes, joined_by_hand, question
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import data_late_weight, gain, part_ns
from llmprof.analyzers.rules.host_waits import host_waits, reduced_by_hand
from llmprof.units import NS_PER_S, format_count, format_ns

__all__ = ["RULE", "evaluate"]

SLOW_LINK_BYTES_PER_S = 125e6
"""Gigabit Ethernet (IEEE 802.3ab): hosts exchange over nothing slower, and a ring moves a gradient twice at most."""

RULE = Rule(
    id="grad-sync-per-parameter",
    category="communication",
    title="Gradients are reduced in buckets",
    failed_title="Gradients are reduced after the backward pass",
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
    each = reduced_by_hand(facts)
    if not each and not joined_by_hand(facts):
        return RULE.passed(f"{count} collectives per step are not the gradients after the backward pass.")
    what = f"{count} collectives per step, {'one per parameter' if each else 'the joined gradients among them'},"
    cost = part_ns(facts, "communication") + host_waits(facts).reduction_ns
    if cost < thresholds.COMMUNICATION_COST.value * facts.step.mean_ns:
        return RULE.passed(f"{what} cost {format_ns(cost)}.")
    return RULE.fired(
        facts,
        f"{what} cost {format_ns(cost)} after the backward pass.",
        cost_ns=cost,
        confidence=confidence_of(
            facts, "communication", "host", strength=1.0 if collectives.skew_ns is not None else 0.7
        ),
        evidence=[
            evidence.number("collectives", collectives.count_per_step, "per step", source="trace"),
            evidence.share("exposed collectives and their launches", facts, cost, thresholds.COMMUNICATION_COST),
            evidence.time("hidden behind computation", collectives.hidden_ns, source="trace", rank=facts.critical.rank),
        ],
        recommendations=[_ddp(facts, collectives, each=each)],
    )


def _ddp(facts: Facts, collectives: CollectiveFacts, *, each: bool) -> Recommendation:
    exposed, launches = part_ns(facts, "communication"), host_waits(facts).reduction_ns
    least, fewer = _fewer_calls(facts, collectives)
    behind = part_ns(facts, "compute") * thresholds.BACKWARD_SHARE.value
    hideable, hideable_least = (min(exposed - gone, behind) + launches for gone in (fewer, least))
    weight, late = data_late_weight(facts)
    count = f"{format_count(collectives.count_per_step)} collectives per step" if each else "The reductions"
    why = f"{count} run after the backward pass; DDP reduces a few buckets during it."
    return recommend(
        "wrap-ddp",
        rule=RULE.id,
        facts=facts,
        action="Wrap the model in DistributedDataParallel instead of reducing gradients "
        + ("one by one" if each else "after the backward pass"),
        why=f"{why} {late}".rstrip(),
        how="model = torch.nn.parallel.DistributedDataParallel(model, device_ids=[local_rank]); "
        + ("drop the loop that calls all_reduce" if each else "drop the all_reduce of the gradients"),
        gain=gain(
            facts,
            expected_ns=weight * (fewer + thresholds.OVERLAP_EXPECTED.value * hideable),
            low_ns=weight * (least + thresholds.OVERLAP_LOW.value * hideable_least),
            # Fewer, larger messages are faster even where nothing hides them, so all of it may go.
            high_ns=exposed + launches,
            at_most_ns=exposed + launches,
        ),
        watch="the communication part",
    )


def _fewer_calls(facts: Facts, collectives: CollectiveFacts) -> tuple[float, float]:
    """Exposed ns per step of the calls that buckets save, at least and as expected.

    At least each takes as long as the shortest. Expected is what a call takes beyond the bytes that it moves, even over
    the slowest link: being woken and waiting for the others' turn is paid for each, and not for a longer message.
    """
    size = gradient_bytes(facts)
    if collectives.call_ns is None or size is None:
        return 0.0, 0.0
    shortest, median, mean = collectives.call_ns
    buckets = 1 + ceil(max(0.0, size - FIRST_BUCKET_BYTES) / BUCKET_BYTES)
    saved = max(0.0, collectives.count_per_step - buckets)
    moving = 2 * size / SLOW_LINK_BYTES_PER_S * NS_PER_S / collectives.count_per_step
    least, usual = (explained(facts, saved * each) for each in (shortest, max(median, mean - moving)))
    return least, min(usual, part_ns(facts, "communication"))
