"""Do steps get longer and longer?

Detects:
    A step that grows steadily over the run, by a hundredth per hundred steps and more.

Why it costs time:
    Every later step pays for it, and it goes on: lists that grow, hooks that pile up, a device that warms up, a loader
    that falls behind, a cache that fills.

How it is measured:
    The Theil-Sen slope of all step times without a profiler, with its 95 % interval; the same of the measured parts of
    the step and of the tokens per step.

Does not apply when:
    Fewer than two hundred steps were measured, or the tokens per step grow as well: then the work has grown.

Fix:
    What grows is named where a measured part of the step grows with it. Objects kept from step to step (losses with
    their graph, metrics in lists, hooks) are the most frequent cause; the rule memory-creep sees them on the device.

Verify:
    Record some hundred steps again: the slope is no longer above zero.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.pace.step_table import StepTable
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.units import NS_PER_MS, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="step-drift",
    category="host",
    title="Steps keep their length",
    failed_title="Steps get longer and longer",
    fixes=(),
    thresholds=(thresholds.DRIFT, thresholds.DRIFT_STEPS, thresholds.DRIFT_TOKENS),
)
_PARTS = {
    "data_wait": "the wait for batches",
    "forward": "the forward pass on the host",
    "backward": "the backward pass on the host",
    "optimizer": "the optimizer on the host",
}


def evaluate(facts: Facts) -> Judgement:
    """Judge the steps of the critical rank."""
    table = facts.critical.table
    if table is None or table.drift is None:
        return RULE.no_data("Single steps were not timed; `llmprof run` times all of them.")
    drift = table.drift
    if drift.steps < thresholds.DRIFT_STEPS.value:
        return RULE.not_applicable(f"{drift.steps} steps are too few to tell a drift.")
    pace = drift.per_hundred or 0.0
    figures = [
        evidence.number("growth of the step", pace, "per 100 steps", source="steps"),
        evidence.number("at least", 100 * drift.low / drift.start, "per 100 steps", source="steps"),
        evidence.number("step at first", drift.start / NS_PER_MS, "ms", source="steps"),
        evidence.number("step at last", drift.end / NS_PER_MS, "ms", source="steps"),
    ]
    if pace < thresholds.DRIFT.value or drift.low <= 0:
        return RULE.passed(f"Over {drift.steps} steps the step changes by {format_percent(pace)} per 100.")
    tokens = table.tokens_drift
    if tokens is not None and (tokens.per_hundred or 0.0) >= thresholds.DRIFT_TOKENS.value * pace:
        return RULE.passed(
            f"The step grows by {format_percent(pace)} per 100 steps, and so do the tokens in it.", evidence=figures
        )
    return RULE.fired(
        facts,
        f"From {format_ns(drift.start)} the step has grown to {format_ns(drift.end)} in {drift.steps} steps "
        f"({format_percent(pace)} per 100 steps){_what(table)}.",
        cost_ns=max(0.0, min(facts.step.mean_ns - drift.start, facts.step.mean_ns)),
        confidence=0.9,
        evidence=figures,
        severity="warning",
    )


def _what(table: StepTable) -> str:
    """The part that grows with the step."""
    if not table.drift_causes:
        return "; no measured part of it grows with it"
    name = max(table.drift_causes, key=lambda one: table.drift_causes[one])
    return f"; {_PARTS.get(name, name)} grows with it ({format_percent(min(1.0, table.drift_causes[name]))} of it)"
