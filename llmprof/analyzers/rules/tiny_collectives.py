"""Do tiny collectives interrupt the step?

Detects:
    Broadcasts of buffers, reductions of metrics and barriers in every step: messages of a few kilobytes that nothing
    hides.

Why it costs time:
    A tiny collective takes its latency, and stops the device until all ranks have arrived.

How it is measured:
    Exposed time of the collectives of at most 64 KiB outside the backward pass, each at most as long as on the rank
    that came last, so that waiting for a late rank is not counted, and the hand-over to it and back of the stream that
    computes. What the host takes to issue them is the upper end of the gain: it is lost where the host is late.

Does not apply when:
    The run has one rank, its steps hold no collectives, or gradients are reduced one by one (another rule).

Fix:
    `broadcast_buffers=False` where buffers need not agree in every step; metrics reduced together, every k-th step.

Verify:
    Record again: fewer collectives per step.
"""

from __future__ import annotations

import numpy as np

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.communication.call_times import CallTimes
from llmprof.analyzers.facts.communication.collectives import CollectiveFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import explained, exposed_share, question
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import data_late_weight, gain
from llmprof.analyzers.rules.host_waits import reduced_by_hand
from llmprof.timeline.events import NONE
from llmprof.units import format_count, format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="tiny-collectives",
    category="communication",
    title="Few tiny collectives interrupt the step",
    failed_title="Tiny collectives interrupt the step",
    fixes=("skip-buffer-broadcast", "join-collectives"),
    thresholds=(thresholds.TINY_MESSAGE, thresholds.COMMUNICATION_COST, thresholds.REPLAY_LOW),
)


QUICKEST = 0.25
MOST_HAND_OVER_NS = 5_000.0
"""From the end of work on one stream to the begin of what waits for it on another some microseconds pass at most."""


def evaluate(facts: Facts) -> Judgement:
    """Judge the tiny collectives of the critical rank."""
    collectives = question(RULE, facts)
    if isinstance(collectives, Judgement):
        return collectives
    if reduced_by_hand(facts):
        return RULE.not_applicable("Gradients are reduced one by one; that is another finding.")
    calls = collectives.calls
    if calls is None or collectives.median_bytes is None:
        return RULE.no_data("The recording does not tell the size of the messages.")
    tiny = _tiny(calls)
    steps = len(np.unique(calls.window))
    waiting = np.where(calls.transfer_ns == NONE, calls.dur_ns, calls.transfer_ns)
    exposed = float(np.minimum(calls.exposed_ns, waiting)[tiny].sum()) / steps
    lost = explained(facts, exposed) + _handed_over(calls, tiny) / steps
    count = float(tiny.sum()) / steps
    figures = [evidence.number("tiny collectives", count, "per step", source="trace"), exposed_share(facts, lost)]
    if lost < thresholds.COMMUNICATION_COST.value * facts.step.mean_ns:
        return RULE.passed(f"{format_count(count)} tiny collectives per step cost {format_ns(lost)}.", evidence=figures)
    return RULE.fired(
        facts,
        f"{format_count(count)} collectives of at most 64 KiB per step cost {format_ns(lost)}.",
        cost_ns=lost,
        confidence=confidence_of(facts, "communication", strength=0.8),
        evidence=figures,
        recommendations=[_fix(facts, collectives, calls, tiny, lost)],
    )


def _tiny(calls: CallTimes) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    result: np.ndarray[tuple[int], np.dtype[np.bool_]] = (
        (calls.sizes != NONE) & (calls.sizes <= thresholds.TINY_MESSAGE.value * 1024) & (calls.backward != 1)
    )
    return result


def _handed_over(calls: CallTimes, tiny: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    """Ns in which one stream waits for another before and after tiny collectives that nothing hides.

    From the end of the work before a collective to its begin is the one; the other is as long. Where its launch was
    late that is no hand-over, so that the quickest quarter tells.
    """
    alone = tiny & (calls.exposed_ns == calls.dur_ns)
    if not alone.any():
        return 0.0
    waited = float(np.quantile((calls.start_ns - calls.ready_ns)[alone], QUICKEST))
    return 2.0 * float(alone.sum()) * min(waited, MOST_HAND_OVER_NS)


def _fix(
    facts: Facts,
    collectives: CollectiveFacts,
    calls: CallTimes,
    tiny: np.ndarray[tuple[int], np.dtype[np.bool_]],
    lost: float,
) -> Recommendation:
    issued = (collectives.issue_ns or 0.0) * float(tiny.sum()) / max(len(calls), 1)
    weight, late = data_late_weight(facts)
    estimate = gain(
        facts,
        expected_ns=weight * lost,
        low_ns=weight * thresholds.REPLAY_LOW.value * lost,
        high_ns=max(2 * lost, issued),
        at_most_ns=facts.step.mean_ns,
    )
    ddp = facts.critical.environment.ddp
    broadcast = tiny & calls.of("broadcast")
    if ddp is not None and ddp.broadcast_buffers and broadcast.sum() * 2 >= tiny.sum():
        return recommend(
            "skip-buffer-broadcast",
            rule=RULE.id,
            facts=facts,
            action="Stop broadcasting buffers in every step",
            why=f"Buffers are sent before every forward pass. {late}".rstrip(),
            how="DistributedDataParallel(model, broadcast_buffers=False); SyncBatchNorm where statistics have to agree",
            gain=estimate,
            watch="the communication part",
        )
    return recommend(
        "join-collectives",
        rule=RULE.id,
        facts=facts,
        action="Reduce metrics together, and only in steps that log them",
        why=f"Each tiny collective costs its latency and stops the device. {late}".rstrip(),
        how="values = torch.stack([loss, accuracy]); dist.all_reduce(values) every k-th step",
        gain=estimate,
        watch="the communication part",
    )
