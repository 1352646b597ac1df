"""Is code still being compiled while training?

Detects:
    `torch.compile` compiling during the traced steps, long after warm-up: shapes or Python values that change make
    it compile the same code again.

Why it costs time:
    A compilation takes seconds, and the device has nothing to do meanwhile. After eight versions of a function
    Dynamo gives up and runs it uncompiled.

How it is measured:
    Idle time of the device while Dynamo compiled a frame, from its marks in the trace; corrected to the unprofiled
    step.

Does not apply when:
    Nothing is compiled.

Fix:
    Keep shapes the same, or mark what changes (`torch._dynamo.mark_dynamic`, `torch.compile(dynamic=True)`); pass
    numbers that change as tensors. `TORCH_LOGS=recompiles` tells which guard failed.

Verify:
    Record again: the compile part of the stalls is gone.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.units import format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="recompilation",
    category="host",
    title="Nothing is compiled after warm-up",
    failed_title="Code is compiled again during training",
    fixes=("static-shapes",),
    thresholds=(thresholds.COMPILE_STALL,),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge compile stalls of the critical rank."""
    critical = facts.critical
    partition, settings = critical.partition, critical.environment.compilation
    compiled = critical.environment.compiled
    cost = partition.stall_classes.get("compile", 0.0) if partition is not None else 0.0
    if partition is None or critical.traced is None:
        return RULE.no_data("No step of this recording could be taken apart, so compilation is not seen.")
    if cost <= 0 and compiled is False:
        return RULE.not_applicable("The model is not compiled.")
    frames = settings.frames if settings is not None else None
    graphs = settings.graphs if settings is not None else None
    window = evidence.longest(critical, "compile")
    figures = [
        evidence.share("device idle while code was compiled", facts, cost, thresholds.COMPILE_STALL),
        evidence.number("frames compiled in all", frames, "frames", source="Dynamo", rank=critical.rank),
        evidence.number("different graphs", graphs, "graphs", source="Dynamo", rank=critical.rank),
        evidence.time(
            "compiling",
            cost,
            source="trace",
            rank=critical.rank,
            window=window,
        ),
    ]
    share = cost / facts.step.mean_ns
    if share < thresholds.COMPILE_STALL.value:
        return RULE.passed(f"Compilation takes {format_percent(share)} of the traced steps.", evidence=figures)
    dynamic = "" if settings is None or settings.dynamic is not True else " (dynamic=True is set already)"
    return RULE.fired(
        facts,
        f"Code is compiled again during training: {format_ns(cost)} per step{dynamic}.",
        cost_ns=cost,
        confidence=confidence_of(facts, "stalls"),
        evidence=figures,
        recommendations=[
            recommend(
                "static-shapes",
                rule=RULE.id,
                facts=facts,
                action="Keep what the compiled code depends on the same in every step",
                why="Code whose guards hold is not compiled again.",
                how="pad or bucket lengths, or torch._dynamo.mark_dynamic(x, 1); TORCH_LOGS=recompiles names the guard",
                gain=gain(facts, expected_ns=cost, low_ns=0.5 * cost, high_ns=cost, at_most_ns=cost),
                watch="the stalls",
            )
        ],
    )
