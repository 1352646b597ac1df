"""Do a few steps take much longer than all the others?

Detects:
    Single steps far above the median, and what grew in them: a checkpoint, an evaluation, garbage collection, the start
    of an epoch, the wait for a batch, or a phase of the step. Says when they come back regularly.

Why it costs time:
    The mean step, which decides when the run ends, pays for them; with several ranks every rank waits for the one that
    has such a step.

How it is measured:
    Step times without a profiler: a step is an outlier above the median by five robust standard deviations (1.4826
    times the median absolute deviation). What the next steps give back does not count: a host that waits for its queue
    to drain, to read a loss, is ahead again after a step or two. The cause is the measured part of the step that grew
    by half of the excess.

Does not apply when:
    So many steps are that long that a tenth of all steps does not hold most of it: then it is a kind of step.

Fix:
    By the part that grew; checkpoints, evaluation, garbage collection, epochs and late batches have rules of their own,
    which promise the gain. For the others look at what the script does in these steps.

Verify:
    Record again: the mean step comes down to the median.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Evidence
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.pace.long_steps import Outliers
from llmprof.analyzers.facts.pace.step_table import StepTable
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.units import NS_PER_MS, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="step-outliers",
    category="host",
    title="Steps take about the same time",
    failed_title="A few steps take much longer",
    fixes=(),
    thresholds=(thresholds.OUTLIER_COST, thresholds.OUTLIERS_FEW),
)
SHOWN = 5
_CAUSES = {
    "checkpoint": "a checkpoint",
    "evaluation": "an evaluation",
    "gc": "garbage collection",
    "epoch_start": "the start of an epoch",
    "data_wait": "the wait for a batch",
    "forward": "the forward pass on the host",
    "backward": "the backward pass on the host",
    "optimizer": "the optimizer on the host",
    "unknown": "something that is not measured",
}


def evaluate(facts: Facts) -> Judgement:
    """Judge the steps of the critical rank."""
    table = facts.critical.table
    if table is None:
        return RULE.no_data("Single steps were not timed; `llmprof run` times all of them.")
    long = table.outliers
    if long.count == 0:
        return RULE.passed(f"None of {table.steps} steps is unlike the others.")
    if long.few_share < thresholds.OUTLIERS_FEW.value:
        return RULE.not_applicable(f"{long.count} of {table.steps} steps are long: that is a kind of step.")
    cost = long.counted_excess_ns
    figures = _figures(facts, table)
    if cost < thresholds.OUTLIER_COST.value * facts.step.mean_ns:
        return RULE.passed(f"{_count(table)} much longer and cost {format_ns(cost)} per mean step.", evidence=figures)
    return RULE.fired(
        facts,
        f"{_count(table)} much longer{_when(long)} and cost {format_ns(cost)} of every mean step; {_why(long)}.",
        cost_ns=cost,
        confidence=0.9,
        evidence=figures,
    )


def _count(table: StepTable) -> str:
    count = table.outliers.count
    return f"{count} of {table.steps} steps {'is' if count == 1 else 'are'}"


def _when(long: Outliers) -> str:
    return f", every {long.period_steps} steps," if long.period_steps is not None else ""


def _why(long: Outliers) -> str:
    """What grew, the largest first."""
    if not long.by_cause:
        return "what grew in them is not measured"
    ordered = sorted(long.by_cause.items(), key=lambda item: -item[1])
    total = sum(long.by_cause.values())
    named = [f"{_CAUSES.get(name, name)} ({format_percent(value / total)} of it)" for name, value in ordered[:2]]
    return f"what grew is {' and '.join(named)}"


def _figures(facts: Facts, table: StepTable) -> list[Evidence]:
    long, rank = table.outliers, facts.critical.rank
    found = [
        evidence.share("excess of long steps", facts, long.counted_excess_ns, thresholds.OUTLIER_COST, source="steps"),
        evidence.number("median step", table.median_ns / NS_PER_MS, "ms", source="steps"),
        evidence.number("robust standard deviation", table.sigma_ns / NS_PER_MS, "ms", source="steps"),
    ]
    longest = sorted(long.longest, key=lambda one: -one.excess_ns)[:SHOWN]
    return found + [
        Evidence(
            label=f"step {one.step}: {_CAUSES.get(one.cause or 'unknown', one.cause or '')}",
            value=one.wall_ns / NS_PER_MS,
            unit="ms",
            source="steps",
            rank=rank,
            window_ns=one.window_ns,
        )
        for one in longest
    ]
