"""What does a kind of stall cost, and how is it told? What the rules about checkpoints and evaluation share."""

from __future__ import annotations

from collections.abc import Callable

from llmprof.analyzers.diagnosis import Evidence, Recommendation
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.pace.step_table import Stall
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.units import NS_PER_MS, format_ns

__all__ = ["judge"]


def judge(
    rule: Rule, facts: Facts, name: str, *, absent: str, fix: Callable[[Facts, Stall], Recommendation]
) -> Judgement:
    """Judge the stalls called `name` of the critical rank; `absent` says that there were none."""
    table = facts.critical.table
    if table is None:
        return rule.no_data(f"Single steps were not timed; `llmprof run` times all of them, and each {name}.")
    stall = table.stalls.get(name)
    if stall is None:
        return rule.not_applicable(absent)
    shown, text = _figures(facts, stall, name), _told(stall, name)
    if not _costs(facts, stall):
        return rule.passed(text, evidence=shown)
    return rule.fired(
        facts,
        text,
        cost_ns=stall.counted_ns or stall.per_step_ns,
        confidence=0.95,
        evidence=shown,
        recommendations=[fix(facts, stall)],
    )


def _costs(facts: Facts, stall: Stall) -> bool:
    """Whether it takes enough of the mean step, or of the run where no such stall fell into the counted steps."""
    limit = thresholds.STALL_COST.value * facts.step.mean_ns
    return stall.counted_ns >= limit or (stall.counted_ns <= 0 and stall.per_step_ns >= limit)


def _told(stall: Stall, name: str) -> str:
    """In a sentence: `4 checkpoints, one every 25 steps, of up to 812 ms: 32.5 ms per step.`."""
    times = f"1 {name}" if stall.count == 1 else f"{stall.count} {name}s"
    every = f", one every {stall.period_steps} steps," if stall.period_steps is not None else ""
    size = f"of {'' if stall.count == 1 else 'up to '}{format_ns(stall.longest_ns)}"
    return f"{times}{every} {size}: {format_ns(stall.counted_ns or stall.per_step_ns)} per step."


def _figures(facts: Facts, stall: Stall, name: str) -> list[Evidence]:
    """The share of the mean step, the same over the run, how many and the longest."""
    return [
        evidence.share(f"{name}, of the mean step", facts, stall.counted_ns, thresholds.STALL_COST, source="steps"),
        evidence.time(f"{name}, over all steps of the run", stall.per_step_ns, source="steps"),
        evidence.number(f"longest {name}", stall.longest_ns / NS_PER_MS, "ms", source="steps"),
        evidence.number(f"{name}s", stall.count, "in the measured steps", source="steps"),
    ]
