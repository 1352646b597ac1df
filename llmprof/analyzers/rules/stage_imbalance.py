"""Do the stages of the pipeline have unequal work?

Detects:
    A pipeline stage whose kernels take longer than those of the others.

Why it costs time:
    Micro-batches pass through the pipeline at the pace of its slowest stage; all others wait for it.

How it is measured:
    Kernel time per step of each stage, mean over its ranks. The schedule is played with the recorded passes of every
    stage, and again with the layers divided so that the longest stage is the shortest; what a stage has besides layers
    (an output layer, a loss) stays where it is. Where the schedule cannot be played, or misses the step by more than
    5 %, it takes (m + p - 1) / m times the longest stage with m micro-batches on p stages, and would take as many
    times the mean: a bound that no division of whole layers reaches, of which half is expected.

Does not apply when:
    The run has one rank, its steps hold no collectives, or it is no pipeline.

Fix:
    Move layers from the slowest stage to the others; the last stage also has the output layer and the loss.

Verify:
    Record again: the stages take the same time.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from llmprof.analyzers.diagnosis import Gain
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.pipeline.pipeline import busy_by_stage, waiting_for_stages
from llmprof.analyzers.facts.pipeline.pipeline_model import PipelineModel, pipeline_model
from llmprof.analyzers.facts.pipeline.stage_layers import Division, best_division, division_for
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import parallelism, question
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.units import NS_PER_MS, format_ns, format_percent

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
    found = pipeline_model(facts)
    model = None if isinstance(found, str) or not found.faithful else found
    division = None if model is None else division_for(facts, model)
    saved = _gain(facts, settings.microbatches or 1, busy, model, division)
    saved_ns = saved.expected_ms * NS_PER_MS
    figures = [
        evidence.number("longest over mean stage", most / mean if mean > 0 else None, "times", source="trace"),
        *(
            evidence.time(f"kernels of stage {_name(stages)}", ns, source="partition")
            for stages, ns in sorted(busy.items())
        ),
        evidence.share("lost to the slowest stage", facts, saved_ns, thresholds.COMMUNICATION_COST),
    ]
    spread = most / mean - 1 if mean > 0 else 0.0
    if spread < thresholds.STAGE_SPREAD.value or saved_ns < thresholds.COMMUNICATION_COST.value * facts.step.mean_ns:
        return RULE.passed(f"The longest stage takes {format_percent(spread)} more than the mean.", evidence=figures)
    return RULE.fired(
        facts,
        f"Stage {slowest} computes {format_percent(spread)} longer than the mean stage; the others wait for it, "
        f"{format_ns(saved_ns)} per step.",
        cost_ns=saved_ns,
        confidence=confidence_of(facts, "compute", strength=0.9),
        evidence=figures,
        recommendations=[
            recommend(
                "balance-stages",
                rule=RULE.id,
                facts=facts,
                action=f"Move layers away from stage {slowest}",
                why="The pipeline runs at the pace of its slowest stage.",
                how=_how(division),
                gain=saved,
                watch="waiting in sends and receives",
                effort="few_lines" if division is not None and division.layers else None,
            )
        ],
    )


def _gain(
    facts: Facts,
    microbatches: int,
    busy: Mapping[tuple[int, ...], float],
    model: PipelineModel | None,
    division: Division | None,
) -> Gain:
    """What is saved: played with the layers divided anew, half of that, and played with equal stages.

    Without a model at most what equal stages save where all of them work all the time.
    """
    step, low = facts.step.mean_ns, thresholds.REPLAY_LOW.value
    if model is None or division is None:
        turns = (microbatches + len(busy) - 1) / microbatches
        waits = waiting_for_stages(facts.ranks) * len(busy) / (len(busy) - 1)
        most_ns = min((max(busy.values()) - statistics.fmean(busy.values())) * turns, waits)
        return gain(facts, expected_ns=low * most_ns, low_ns=0.0, high_ns=most_ns, at_most_ns=most_ns)
    off = model.off
    expected = model.moved_share(division.factors)
    equal = best_division([stage.work_ns for stage in model.stages], None)
    most = max(expected, model.moved_share(equal.factors))
    return gain(
        facts,
        expected_ns=expected * step,
        low_ns=(low * expected - off) * step,
        high_ns=(most + off) * step,
        at_most_ns=step,
        basis="replay",
    )


def _how(division: Division | None) -> str:
    if division is None or not division.layers:
        return (
            "split the model so that each stage takes the same time; count the embedding, the output layer and the "
            "loss as layers"
        )
    counts = ", ".join(map(str, division.layers))
    return f"split the model into stages of {counts} layers; the output layer and the loss stay on the last one"


def _name(stages: tuple[int, ...]) -> str:
    return " and ".join(map(str, stages))
