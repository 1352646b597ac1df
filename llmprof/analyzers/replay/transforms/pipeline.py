"""A pipeline with more micro-batches, or with its layers divided anew: the step that its played schedule comes to.

Passes that are split or moved change all streams of all ranks and the order of their messages, while a graph holds one
order. So the schedule is played with the recorded passes (`facts.pipeline.pipeline_model`), and the graph loses what
that saves: first waiting in sends and receives, then work.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.facts.communication.collective_calls import describe
from llmprof.analyzers.facts.pipeline.pipeline_model import (
    HIGH,
    LOW,
    Doubt,
    PipelineModel,
    most_microbatches,
    pipeline_model,
)
from llmprof.analyzers.facts.pipeline.stage_layers import best_division, division_for
from llmprof.analyzers.replay.graph.graph import Mask
from llmprof.analyzers.replay.scenario import Scenario, run
from llmprof.analyzers.replay.transforms.base import Level, Subject, host_of, scaled

__all__ = ["FIXES", "apply"]

FIXES = ("more-microbatches", "balance-stages")

_HALF = 0.5
"""Of the layers that are to be moved, half are moved at least."""


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario in which every rank waits and works so much less."""
    model = pipeline_model(subject.facts)
    if isinstance(model, str):
        return f"the schedule of the pipeline cannot be played: {model}"
    if not model.faithful:
        return "the schedule of the pipeline, played with the recorded passes, misses the step"
    share = _more(model, subject, level) if fix == "more-microbatches" else _balanced(model, subject, level)
    if share <= 0:
        return "the step would not get shorter"
    before, changed = run(scenario).step_ns, scenario
    for place in range(len(subject.ranks)):
        changed = _shortened(changed, subject, place, share * before * scenario.graph.steps)
    # What the graph does not lose with them (its waits may not be recorded), all of the step loses alike.
    rest = run(changed).step_ns / ((1 - share) * before)
    return replace(changed, samples=changed.samples * rest)


def _more(model: PipelineModel, subject: Subject, level: Level) -> float:
    """What the best number of micro-batches saves, a share of the step."""
    more = model.best(most_microbatches(subject.facts))
    doubt = {Level.LOW: LOW, Level.EXPECTED: Doubt(), Level.HIGH: HIGH}[level]
    return model.saved_share(more, doubt) if more > model.microbatches else 0.0


def _balanced(model: PipelineModel, subject: Subject, level: Level) -> float:
    expected = model.moved_share(division_for(subject.facts, model).factors)
    equal = model.moved_share(best_division([stage.work_ns for stage in model.stages], None).factors)
    return level.pick(_HALF * expected, expected, max(expected, equal))


def _shortened(scenario: Scenario, subject: Subject, place: int, saved_ns: float) -> Scenario:
    """Without so much of one rank's waiting in sends and receives; what is more is taken from its kernels."""
    graph = scenario.graph
    moved = _messages(subject, place)
    rest = subject.device & (graph.rank == place) & ~subject.kind("communication", "optimizer", "memcpy")
    waited, worked = float(graph.dur[moved].sum()), float((graph.dur + graph.before_lag)[rest].sum())
    from_waiting = min(saved_ns, waited)
    if waited > 0:
        scenario = scaled(scenario, moved, dur=1 - from_waiting / waited)
    left = min(saved_ns - from_waiting, worked)
    if left > 0:
        kept = 1 - left / worked
        scenario = scaled(scaled(scenario, rest, dur=kept, lag=kept), host_of(graph, rest), dur=kept, lag=kept)
    return scenario


def _messages(subject: Subject, place: int) -> Mask:
    """The nodes of one rank that are exchanges between stages."""
    graph, events = subject.graph, subject.events(place)
    found = subject.kind("communication") & (graph.rank == place)
    kinds, index = describe(events, graph.row[found].astype(np.intp))
    between = np.array([kind.op == "send_recv" for kind in kinds], bool)
    result: Mask = found.copy()
    result[found] = between[index] if index.size else False
    return result
