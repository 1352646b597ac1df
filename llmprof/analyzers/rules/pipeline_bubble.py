"""Does the pipeline run with too few micro-batches?

Detects:
    A pipeline whose stages wait for the first micro-batch to arrive and the last one to leave for a large part of the
    step.

Why it costs time:
    With p stages and m micro-batches each stage works m of m + p - 1 turns and waits in the others.

How it is measured:
    The bubble (p - 1) / (m + p - 1) of the recorded schedule, with v chunks a stage (p - 1) / (v m + p - 1), held
    against the time in which the device only waits in sends and receives, mean over the ranks. More micro-batches make
    the same work take (1 - bubble) / (1 - new bubble) of the time. But each micro-batch is launched anew and adds its
    gradients to those before: the host's time per micro-batch, without what the profiler costs, and three passes over
    the gradients are counted, and of the numbers of micro-batches the one with the shortest step is taken.

Does not apply when:
    The run has one rank, its steps hold no collectives, it is no pipeline, or its schedule fills the bubble otherwise.

Fix:
    More micro-batches per step, or an interleaved schedule.

Verify:
    Record again: less waiting in sends and receives.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.devices import DevicePeaks, find_device
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.pipeline import bubble_of, waiting_for_stages
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import gradient_bytes, parallelism, question
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.timeline.settings import PipelineSettings
from llmprof.units import NS_PER_S, NS_PER_US, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="pipeline-bubble",
    category="communication",
    title="The pipeline is filled",
    failed_title="The pipeline runs with too few micro-batches",
    fixes=("more-microbatches",),
    thresholds=(thresholds.BUBBLE, thresholds.BUBBLE_SEEN, thresholds.EVENT_COST, thresholds.REPLAY_LOW),
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
    more, after = _best(facts, settings, settings.microbatches)
    saved = min(waits, step - after)
    host = _host_ns(facts)
    if host is not None:
        figures.append(evidence.time("host, without waiting and without the profiler", host, source="trace"))
    worth = saved >= thresholds.COMMUNICATION_COST.value * step
    return RULE.fired(
        facts,
        f"{settings.microbatches} micro-batches on {settings.stages} stages make a bubble of {format_percent(bubble)}; "
        f"stages wait {format_ns(waits)} per step.",
        cost_ns=waits,
        confidence=confidence_of(facts, "communication", strength=0.9),
        evidence=figures,
        recommendations=[_split(facts, settings, more, saved, waits)] if worth else [],
    )


def _split(facts: Facts, settings: PipelineSettings, more: int, saved: float, waits: float) -> Recommendation:
    before = settings.microbatches or 1
    bubble, left = bubble_of(settings, before), bubble_of(settings, more)
    known = _host_ns(facts) is not None
    return recommend(
        "more-microbatches",
        rule=RULE.id,
        facts=facts,
        action=f"Split the batch into {more} micro-batches instead of {before}",
        why=f"The bubble falls from {format_percent(bubble)} to {format_percent(left)}.",
        how=f"{settings.schedule or 'Schedule1F1B'}(stage, n_microbatches={more}, loss_fn=loss_fn)",
        gain=gain(
            facts,
            expected_ns=saved,
            low_ns=thresholds.REPLAY_LOW.value * saved if known else 0.0,
            high_ns=facts.step.mean_ns * (1 - (1 - bubble) / (1 - left)),
            at_most_ns=waits,
        ),
        watch="waiting in sends and receives",
        risk="Every micro-batch is launched anew: with too many of them the host sets the pace.",
    )


def _best(facts: Facts, settings: PipelineSettings, now: int) -> tuple[int, float]:
    """The number of micro-batches with the shortest step, and that step in ns; no more than fill the bubble."""
    best, shortest, more = now, facts.step.mean_ns, now
    while more < MOST and bubble_of(settings, more) >= thresholds.BUBBLE.value:
        more *= 2
        after = _step_ns(facts, settings, now, more)
        if after < shortest:
            best, shortest = more, after
    return best, shortest


def _step_ns(facts: Facts, settings: PipelineSettings, now: int, more: int) -> float:
    """The step with `more` micro-batches instead of `now`: the device's, or the host's where that is longer."""
    device = facts.step.mean_ns * (1 - bubble_of(settings, now)) / (1 - bubble_of(settings, more))
    size, model = gradient_bytes(facts), _peaks(facts)
    if size and model is not None:
        # The sum so far is read, the new gradients are read, the sum is written.
        device += (more - now) * 3 * size / model.achievable_bytes_per_s * NS_PER_S
    host = _host_ns(facts)
    if host is None:
        return device
    updating = _updating_ns(facts)
    return max(device, updating + (host - updating) * more / now)


def _peaks(facts: Facts) -> DevicePeaks | None:
    device = facts.critical.environment.device
    return None if device is None else find_device(device.name, device.sm_count)


def _host_ns(facts: Facts) -> float | None:
    """What the busiest rank's host takes per step without waiting, and without the profiler; None where unknown."""
    found = []
    for rank in facts.ranks.values():
        host = rank.host
        if host is not None and host.busy_ns is not None and host.recorded_events is not None:
            rows = host.recorded_events + 3 * (host.launches or 0.0)
            found.append(max(host.busy_ns - NS_PER_US * thresholds.EVENT_COST.value * rows, 0.5 * host.busy_ns))
    return max(found, default=None)


def _updating_ns(facts: Facts) -> float:
    """Of that, the optimizer's, which does not come once per micro-batch."""
    kernels = facts.critical.kernels
    return (kernels.optimizer_host_ns or 0.0) if kernels is not None else 0.0
