"""Did recording the run change it?

Detects:
    A traced step that is more than a tenth longer than the step without a profiler, or steps after the traced ones that
    did not get back to what they were before.

Why it costs time:
    It does not, once recording is over; but figures from a step that runs differently are worth less.

How it is measured:
    The mean of the traced steps against the mean of the steps before them, and the medians before and after. The cost
    of what is always recorded is measured by itself.

Does not apply when:
    Nothing was traced.

Fix:
    Nothing in the training. The diagnosis refers to the step without a profiler, and its confidence is medium at most;
    a trace without stacks, shapes and memory perturbs least.

Verify:
    Trace fewer things, or fewer steps, and compare the two step times in the report.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Evidence
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.units import NS_PER_MS, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="profiler-perturbation",
    category="host",
    title="Recording hardly changed the run",
    failed_title="The profiler slowed the traced steps down",
    fixes=(),
    thresholds=(thresholds.PERTURBED_SHARE, thresholds.LEFT_BEHIND),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the traced steps of the critical rank."""
    step = facts.step
    if step.traced_mean_ns is None:
        return RULE.not_applicable("Nothing was traced.")
    if step.basis == "profiled" or step.mean_ns <= 0:
        return RULE.no_data("The step without a profiler is not known; `llmprof run` measures it, or give --step-ms.")
    slower = step.traced_mean_ns / step.mean_ns - 1
    figures = [
        evidence.number("traced step", step.traced_mean_ns / NS_PER_MS, "ms", source="trace"),
        evidence.number("step without a profiler", step.mean_ns / NS_PER_MS, "ms", source="steps"),
        *_always_on(facts),
    ]
    left = _left_behind(facts)
    if left is None and slower <= thresholds.PERTURBED_SHARE.value:
        return RULE.passed(f"Traced steps differ from the others by {format_percent(slower)}.", evidence=figures)
    text = (
        f"A traced step takes {format_ns(step.traced_mean_ns)}, one without a profiler {format_ns(step.mean_ns)}; "
        "the figures are corrected to the latter."
    )
    return RULE.fired(
        facts,
        text if left is None else f"{text} {left}",
        cost_ns=None,
        confidence=0.95,
        evidence=figures,
        severity="info",
    )


def _left_behind(facts: Facts) -> str | None:
    """What says that steps stayed longer after the burst; noise and a drift of the step are none of it."""
    table = facts.critical.table
    if table is None or table.before_ns is None or table.after_ns is None:
        return None
    longer = table.after_ns / table.before_ns - 1
    drift = table.drift
    drifts = drift is not None and drift.low > 0 and drift.steps >= thresholds.DRIFT_STEPS.value
    if drifts or not table.moved or longer <= thresholds.LEFT_BEHIND.value:
        return None
    return f"Steps after the burst take {format_percent(longer)} longer than those before it."


def _always_on(facts: Facts) -> list[Evidence]:
    overhead = facts.critical.overhead_ns
    return [] if overhead is None else [evidence.time("what is always recorded", overhead, source="recorder")]
