"""Does Python's garbage collector hold up the step?

Detects:
    Collections of Python's cyclic garbage collector that make steps longer.

Why it costs time:
    A collection of the oldest generation walks over every container object that lives, and no Python runs
    meanwhile: with millions of objects that takes tens of milliseconds. Among many ranks some rank collects in
    almost every step, and the others wait for it.

How it is measured:
    The recorder notes every pause (gc.callbacks). What of it the step feels is the slope of step time over pause
    among the counted steps (ordinary least squares): behind a full launch queue a pause costs nothing. Without
    enough steps of either kind the pause is bounded by the time in which the device waited for the host. On the CPU
    every pause is felt; how often a rare one comes again is not known.

Does not apply when:
    No step was measured while it ran, as in a trace alone.

Fix:
    `gc.freeze()` after setting up, `gc.disable()`, and one `gc.collect()` every so many steps, on all ranks in the
    same.

Verify:
    Record again: the gc pauses are gone, and steps with and without them are as long as each other.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Gain, Recommendation
from llmprof.analyzers.facts.host.host_causes import Collections
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain, part_ns
from llmprof.units import NS_PER_MS, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="python-gc",
    category="host",
    title="Garbage collection costs nothing",
    failed_title="Python's garbage collector holds up the step",
    fixes=("gc-policy",),
    thresholds=(thresholds.GC_COST, thresholds.GC_PAUSE),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the pauses of the critical rank."""
    critical = facts.critical
    found = critical.causes.collections if critical.causes is not None else None
    if found is None:
        return RULE.no_data("Pauses of the garbage collector were not recorded; `llmprof run` notes them.")
    if found.mean_ns <= 0:
        return RULE.passed("The garbage collector did not run during the counted steps.")
    low, cost, high = _felt(facts, found)
    figures = [
        evidence.share("steps longer because of collections", facts, cost, thresholds.GC_COST, source="step times"),
        evidence.time("in the garbage collector", found.mean_ns, source="gc callbacks", rank=critical.rank),
        evidence.number("longest pause in a step", found.longest_ns / NS_PER_MS, "ms", source="gc callbacks"),
        evidence.number("steps with a pause", found.steps_share, "of 1", source="gc callbacks", rank=critical.rank),
    ]
    short = found.longest_ns < thresholds.GC_PAUSE.value * NS_PER_MS
    share = cost / facts.step.mean_ns
    if short or share < thresholds.GC_COST.value:
        return RULE.passed(
            f"Collections take {format_ns(found.mean_ns)} per step; the step feels {format_percent(share)} of it.",
            evidence=figures,
        )
    estimate = gain(facts, expected_ns=cost, low_ns=low, high_ns=high, at_most_ns=high)
    return RULE.fired(
        facts,
        f"Python's garbage collector takes {format_ns(found.mean_ns)} per step, {format_ns(found.longest_ns)} at the "
        f"most; the step is {format_ns(cost)} longer because of it.",
        cost_ns=cost,
        confidence=confidence_of(facts, strength=1.0 if found.felt_ns is not None else 0.6),
        evidence=figures,
        recommendations=[_policy(facts, estimate)],
    )


def _felt(facts: Facts, found: Collections) -> tuple[float, float, float]:
    """Low, middle and high of what the step feels of the pauses."""
    partition = facts.critical.partition
    if partition is not None and partition.cpu_only:
        return found.mean_ns if found.least_ns is None else found.least_ns, found.mean_ns, found.mean_ns
    if found.felt_ns is not None and found.felt_error_ns is not None:
        margin = thresholds.NOISE_ERRORS.value * found.felt_error_ns
        high = min(found.mean_ns, found.felt_ns + margin)
        return max(0.0, found.felt_ns - margin), found.felt_ns, high
    waiting = min(found.mean_ns, part_ns(facts, "host", "stalls", "sync")) if partition is not None else found.mean_ns
    return 0.0, waiting, waiting


def _policy(facts: Facts, estimate: Gain) -> Recommendation:
    several = (facts.world_size or 1) > 1
    return recommend(
        "gc-policy",
        rule=RULE.id,
        facts=facts,
        action="Collect garbage at chosen steps only" + (", on all ranks in the same ones" if several else ""),
        why="What was set up before training is frozen and never walked over again; the rest waits for a chosen step.",
        how="before the loop: gc.collect(); gc.freeze(); gc.disable() - in it: if step % 1000 == 0: gc.collect(1)",
        gain=estimate,
        watch="the gc pauses",
    )
