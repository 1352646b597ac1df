"""Does it take long until the steps are steady?

Detects:
    First steps that together take a minute more than steady ones would.

Why it costs time:
    Every start and every restart pays for it: compilation, autotuning, the first epoch's workers, caches of kernels.

How it is measured:
    The times of the steps before the steady ones, beyond as many median steps. What the process does before its first
    step is not part of it.

Does not apply when:
    No warm-up step was recorded.

Fix:
    Keep what was compiled: a TORCHINDUCTOR_CACHE_DIR that survives the job; compile repeated blocks instead of the
    whole model (torch.compile on each block); keep shapes the same in the first steps.

Verify:
    Start the run a second time and compare the first steps.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.units import NS_PER_MS, NS_PER_S, format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="long-warm-up",
    category="host",
    title="The first steps are soon steady",
    failed_title="It takes long until steps are steady",
    fixes=(),
    thresholds=(thresholds.WARM_UP_NOTED, thresholds.WARM_UP_LONG),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the warm-up of the critical rank."""
    table = facts.critical.table
    if table is None:
        return RULE.no_data("The first steps were not timed; `llmprof run` times all of them.")
    warm_up = table.warm_up
    if warm_up is None:
        return RULE.not_applicable("No warm-up step was recorded.")
    figures = [
        evidence.number("warm-up beyond steady steps", warm_up.excess_ns / NS_PER_MS, "ms", source="steps"),
        evidence.number("first step", warm_up.first_ns / NS_PER_MS, "ms", source="steps"),
        evidence.number("warm-up steps", warm_up.steps, "steps", source="steps"),
    ]
    text = f"The first {warm_up.steps} steps take {format_ns(warm_up.total_ns)}, the very first one "
    text += f"{format_ns(warm_up.first_ns)}."
    if warm_up.excess_ns < thresholds.WARM_UP_NOTED.value * NS_PER_S:
        return RULE.passed(text, evidence=figures)
    compilation = facts.critical.environment.compilation
    if compilation is not None and compilation.frames:
        text += f" torch.compile compiled {compilation.frames} frames."
    return RULE.fired(
        facts,
        text,
        cost_ns=None,
        confidence=0.9,
        evidence=figures,
        severity="warning" if warm_up.excess_ns >= thresholds.WARM_UP_LONG.value * NS_PER_S else "info",
    )
