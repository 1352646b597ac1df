"""Do the stages of the pipeline have unequal work?

Detects:
    A pipeline stage whose kernels take longer than those of the others.

Why it costs time:
    Micro-batches pass through the pipeline at the pace of its slowest stage; all others wait for it.

How it is measured:
    Kernel time per step of each stage, mean over its ranks. With m micro-batches on p stages the step takes
    (m + p - 1) / m times the longest one, and would take as many times the mean.

Does not apply when:
    The run has one rank, its steps hold no collectives, or it is no pipeline.

Fix:
    Move layers from the slowest stage to the others; the last stage also has the output layer and the loss.

Verify:
    Record again: the stages take the same time.
"""

from __future__ import annotations

import statistics

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.pipeline import busy_by_stage, waiting_for_stages
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import parallelism, question
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.units import format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="stage-imbalance",
    category="imbalance",
    title="The stages of the pipeline have equal work",
    failed_title="One stage of the pipeline has more work than the others",
    fixes=("balance-stages",),
    thresholds=(thresholds.STAGE_SPREAD, thresholds.COMMUNICATION_COST, thresholds.REPLAY_LOW),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the kernel time of the stages against each other."""
    collectives = question(RULE, facts)
    if isinstance(collectives, Judgement):
        return collectives
    settings = facts.critical.environment.pipeline
    if settings is None:
        if (parallelism(facts).pp or 0) > 1:
            return RULE.no_data("Which rank has which stage is not known; record with `llmprof run`.")
        return RULE.not_applicable("The run is no pipeline.")
    busy = busy_by_stage(facts.ranks)
    if len(busy) < 2:
        return RULE.no_data("Only one stage of the pipeline was recorded; record all ranks.")
    mean, most = statistics.fmean(busy.values()), max(busy.values())
    slowest = _name(max(sorted(busy), key=lambda stages: busy[stages]))
    batches = settings.microbatches or 1
    turns = (batches + len(busy) - 1) / batches
    waits = waiting_for_stages(facts.ranks)
    saved = min((most - mean) * turns, waits * len(busy) / (len(busy) - 1))
    figures = [
        evidence.number("longest over mean stage", most / mean if mean > 0 else None, "times", source="trace"),
        *(
            evidence.time(f"kernels of stage {_name(stages)}", ns, source="partition")
            for stages, ns in sorted(busy.items())
        ),
        evidence.share("lost to the slowest stage", facts, saved, thresholds.COMMUNICATION_COST),
    ]
    spread = most / mean - 1 if mean > 0 else 0.0
    if spread < thresholds.STAGE_SPREAD.value or saved < thresholds.COMMUNICATION_COST.value * facts.step.mean_ns:
        return RULE.passed(f"The longest stage takes {format_percent(spread)} more than the mean.", evidence=figures)
    return RULE.fired(
        facts,
        f"Stage {slowest} computes {format_percent(spread)} longer than the mean stage; the others wait for it, "
        f"{format_ns(saved)} per step.",
        cost_ns=saved,
        confidence=confidence_of(facts, "compute", strength=0.9),
        evidence=figures,
        recommendations=[
            recommend(
                "balance-stages",
                rule=RULE.id,
                facts=facts,
                action=f"Move layers away from stage {slowest}",
                why="The pipeline runs at the pace of its slowest stage.",
                how="split the model so that each stage takes the same time; count the embedding, the output layer and "
                "the loss as layers",
                gain=gain(
                    facts,
                    expected_ns=saved,
                    low_ns=thresholds.REPLAY_LOW.value * saved,
                    high_ns=saved,
                    at_most_ns=saved,
                ),
                watch="waiting in sends and receives",
            )
        ],
    )


def _name(stages: tuple[int, ...]) -> str:
    return " and ".join(map(str, stages))
