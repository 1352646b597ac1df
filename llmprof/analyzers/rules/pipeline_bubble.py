"""Does the pipeline run with too few micro-batches?

Detects:
    A pipeline whose stages wait for the first micro-batch to arrive and the last one to leave for a large part of the
    step.

Why it costs time:
    With p stages and m micro-batches each stage works m of m + p - 1 turns and waits in the others.

How it is measured:
    The bubble (p - 1) / (m + p - 1) of the recorded schedule, with v chunks a stage (p - 1) / (v m + p - 1), held
    against the time in which the device only waits in sends and receives, mean over the ranks. More micro-batches make
    the same work take (1 - bubble) / (1 - new bubble) of the time.

Does not apply when:
    The run has one rank, its steps hold no collectives, it is no pipeline, or its schedule fills the bubble otherwise.

Fix:
    More micro-batches per step, or an interleaved schedule.

Verify:
    Record again: less waiting in sends and receives.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.pipeline import bubble_of, waiting_for_stages
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import parallelism, question
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.units import format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="pipeline-bubble",
    category="communication",
    title="The pipeline is filled",
    failed_title="The pipeline runs with too few micro-batches",
    fixes=("more-microbatches",),
    thresholds=(thresholds.BUBBLE, thresholds.BUBBLE_SEEN, thresholds.REPLAY_LOW),
)
_FILLED = ("ZeroBubble", "ZBV", "DualPipe")
"""Schedules whose bubble the formula does not tell (torch.distributed.pipelining)."""
MOST = 64
"""Micro-batches that are recommended at most."""


def evaluate(facts: Facts) -> Judgement:
    """Judge the schedule of the critical rank against what its stages wait."""
    collectives = question(RULE, facts)
    if isinstance(collectives, Judgement):
        return collectives
    settings = facts.critical.environment.pipeline
    if settings is None and not (parallelism(facts).pp or 0) > 1:
        return RULE.not_applicable("The run is no pipeline.")
    if settings is None or settings.microbatches is None or not settings.stages:
        return RULE.no_data("Stages and micro-batches of the pipeline are not known; record with `llmprof run`.")
    if any(name in (settings.schedule or "") for name in _FILLED):
        return RULE.not_applicable(f"{settings.schedule} fills the bubble with weight gradients.")
    bubble = bubble_of(settings, settings.microbatches)
    waits = waiting_for_stages(facts.ranks)
    step = facts.step.mean_ns
    figures = [
        evidence.number("bubble of the schedule", bubble, "of the step", source="run"),
        evidence.number("micro-batches", settings.microbatches, "per step", source="run"),
        evidence.share("waiting in sends and receives, mean over ranks", facts, waits, thresholds.BUBBLE),
    ]
    seen = waits / step if step > 0 else 0.0
    if bubble < thresholds.BUBBLE.value or seen < max(
        thresholds.BUBBLE_SEEN.value * bubble, thresholds.COMMUNICATION_COST.value
    ):
        return RULE.passed(
            f"The schedule leaves {format_percent(bubble)} of the step, stages wait {format_percent(seen)}.",
            evidence=figures,
        )
    more = settings.microbatches
    while more < MOST and bubble_of(settings, more) >= thresholds.BUBBLE.value:
        more *= 2
    saved = min(waits, step * (1 - (1 - bubble) / (1 - bubble_of(settings, more))))
    return RULE.fired(
        facts,
        f"{settings.microbatches} micro-batches on {settings.stages} stages make a bubble of {format_percent(bubble)}; "
        f"stages wait {format_ns(waits)} per step.",
        cost_ns=waits,
        confidence=confidence_of(facts, "communication", strength=0.9),
        evidence=figures,
        recommendations=[
            recommend(
                "more-microbatches",
                rule=RULE.id,
                facts=facts,
                action=f"Split the batch into {more} micro-batches instead of {settings.microbatches}",
                why=f"The bubble falls from {format_percent(bubble)} to {format_percent(bubble_of(settings, more))}.",
                how=f"{settings.schedule or 'Schedule1F1B'}(stage, n_microbatches={more}, loss_fn=loss_fn)",
                gain=gain(
                    facts,
                    expected_ns=saved,
                    low_ns=thresholds.REPLAY_LOW.value * saved,
                    high_ns=saved,
                    at_most_ns=waits,
                ),
                watch="waiting in sends and receives",
            )
        ],
    )
