"""Does the pipeline run with too few micro-batches?

Detects:
    A pipeline whose stages wait for the first micro-batch to arrive and the last one to leave for a large part of the
    step.

Why it costs time:
    With p stages and m micro-batches each stage works m of m + p - 1 turns and waits in the others.

How it is measured:
    The bubble (p - 1) / (m + p - 1) of the recorded schedule, with v chunks a stage (p - 1) / (v m + p - 1), held
    against the time in which the device only waits in sends and receives, mean over the ranks. Then the schedule is
    played with the recorded passes of every stage, and again with 2, 4, 8, ... times as many micro-batches. A smaller
    micro-batch does not take as much less time: its weights are cast and its gradients added up whole, each kernel
    keeps its gap and its last wave, and the host launches all of them again. They are doubled as long as that saves
    3 % of the step. Where the schedule cannot be played, or misses the step by more than 5 %, the
    formula bounds the gain.

Does not apply when:
    The run has one rank, its steps hold no collectives, it is no pipeline, or its schedule fills the bubble otherwise.

Fix:
    More micro-batches per step, or an interleaved schedule.

Verify:
    Record again: a shorter step, with less waiting in sends and receives.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Evidence, Gain, Recommendation
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.pipeline.pipeline import bubble_of, waiting_for_stages
from llmprof.analyzers.facts.pipeline.pipeline_model import HIGH, LOW, PipelineModel, most_microbatches, pipeline_model
from llmprof.analyzers.facts.pipeline.pipeline_schedule import BY_HAND
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import parallelism, question
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.timeline.settings import PipelineSettings
from llmprof.units import NS_PER_MS, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="pipeline-bubble",
    category="communication",
    title="The pipeline is filled",
    failed_title="The pipeline runs with too few micro-batches",
    fixes=("more-microbatches",),
    thresholds=(thresholds.BUBBLE, thresholds.BUBBLE_SEEN, thresholds.COMMUNICATION_COST, thresholds.REPLAY_LOW),
)
_FILLED = ("ZeroBubble", "ZBV", "DualPipe")
"""Schedules whose bubble the formula does not tell (torch.distributed.pipelining)."""


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
    found = pipeline_model(facts)
    model = None if isinstance(found, str) or not found.faithful else found
    if not isinstance(found, str):
        figures += _played(found)
    most = max(most_microbatches(facts), settings.microbatches)
    more = model.best(most) if model is not None else min(2 * settings.microbatches, most)
    saved = _gain(facts, settings, more, model, waits)
    worth = saved.expected_ms * NS_PER_MS >= thresholds.COMMUNICATION_COST.value * step
    summary = (
        f"{_counted(settings.microbatches)} on {settings.stages} stages make a bubble of {format_percent(bubble)}; "
        f"stages wait {format_ns(waits)} per step."
    )
    if not worth and model is not None:
        summary += f" {_why_not(model)}"
    return RULE.fired(
        facts,
        summary,
        cost_ns=waits,
        confidence=confidence_of(facts, "communication", strength=0.9),
        evidence=figures,
        recommendations=[_split(settings, facts, more, saved)] if worth else [],
    )


def _counted(microbatches: int) -> str:
    return "1 micro-batch" if microbatches == 1 else f"{microbatches} micro-batches"


def _split(settings: PipelineSettings, facts: Facts, more: int, saved: Gain) -> Recommendation:
    before = settings.microbatches or 1
    return recommend(
        "more-microbatches",
        rule=RULE.id,
        facts=facts,
        action=f"Split the batch into {more} micro-batches instead of {before}",
        why=f"The bubble falls from {format_percent(bubble_of(settings, before))} to "
        f"{format_percent(bubble_of(settings, more))}.",
        how=_how(settings.schedule, more),
        gain=saved,
        watch="waiting in sends and receives",
        effort="few_lines" if BY_HAND in (settings.schedule or "") else None,
        risk="Smaller micro-batches make smaller kernels, and each is launched anew: too many make the step longer.",
    )


def _how(schedule: str | None, more: int) -> str:
    if BY_HAND not in (schedule or ""):
        return f"{schedule or 'Schedule1F1B'}(stage, n_microbatches={more}, loss_fn=loss_fn)"
    return (
        f"batch.chunk({more}), the loss divided by {more}, and torch.distributed.pipelining.Schedule1F1B(stage, "
        f"n_microbatches={more}, loss_fn=loss_fn), or send and receive each chunk by itself as now"
    )


def _gain(facts: Facts, settings: PipelineSettings, more: int, model: PipelineModel | None, waits: float) -> Gain:
    """What is saved: played, with twice and with nothing of what stays of each kernel; else bounded by the formula."""
    step = facts.step.mean_ns
    formula = 1 - (1 - bubble_of(settings, settings.microbatches or 1)) / (1 - bubble_of(settings, more))
    if model is None:
        high = min(formula * step, waits)
        expected = thresholds.REPLAY_LOW.value * high
        return gain(facts, expected_ns=expected, low_ns=0.0, high_ns=high, at_most_ns=waits)
    off = model.off
    return gain(
        facts,
        expected_ns=step * model.saved_share(more),
        low_ns=step * (model.saved_share(more, LOW) - off),
        high_ns=step * (model.saved_share(more, HIGH) + off),
        at_most_ns=waits,
        basis="replay",
    )


def _played(model: PipelineModel) -> list[Evidence]:
    """The model's figures: how far it is off, and what a micro-batch costs besides its data."""
    host = max(stage.host_untraced_ns(model.row_ns) for stage in model.stages) / model.microbatches
    return [
        evidence.number("schedule played with recorded passes, off by", model.error, "of the step", source="replay"),
        evidence.number("a further micro-batch costs the device", model.fixed_ns() / NS_PER_MS, "ms", source="replay"),
        evidence.number("a further micro-batch costs the host", host / NS_PER_MS, "ms", source="trace"),
    ]


def _why_not(model: PipelineModel) -> str:
    """Why smaller micro-batches are not recommended."""
    more = 2 * model.microbatches
    if model.host_bound(more):
        return f"More of them would not help: the host could not launch {more} in time."
    return (
        f"More of them would hardly help: each costs {format_ns(model.fixed_ns())} besides its data (weights cast, "
        "gradients added up, gaps between kernels)."
    )
