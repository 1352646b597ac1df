"""Pauses of the host taken out: garbage collections inside the steps, and the driver's allocator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.replay.graph import Float64
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Subject, scaled, unwaited
from llmprof.timeline.events import Kind
from llmprof.timeline.intervals import lengths_inside

__all__ = ["FIXES", "apply"]

FIXES = ("gc-policy", "stop-cache-flush")


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario without these pauses."""
    if fix == "gc-policy":
        return _without_collections(scenario, subject)
    calls = scenario.graph.on_host & subject.names_where(lambda name: "Malloc" in name or "Free" in name)
    if not calls.any():
        return "no calls of the driver's allocator were recorded in the steps"
    # The host's work before such a call is not the call's; what lies between two of them is the allocator's own, and
    # at best the search for a block that comes before a call as well.
    follows = np.isin(scenario.graph.before, np.flatnonzero(calls))
    own = calls if level is Level.HIGH else calls & follows if level is Level.EXPECTED else np.zeros_like(calls)
    return unwaited(scaled(scaled(scenario, calls, dur=0.0), own, lag=0.0), calls)


def _without_collections(scenario: Scenario, subject: Subject) -> Scenario | str:
    graph = scenario.graph
    spent: Float64 = np.zeros(len(graph))
    for place, rank in enumerate(subject.ranks):
        events = rank.events
        assert events is not None
        names = np.fromiter((name.startswith("llmprof.gc") for name in events.strings.names), bool)
        spans = events.spans(events.rows_named((Kind.ANNOTATION,), names))
        mine = graph.on_host & (graph.rank == place)
        lead = lengths_inside(
            spans,
            graph.recorded_start[mine] - subject.graph.before_lag[mine].astype(np.int64),
            graph.recorded_start[mine],
        )
        spent[mine] = lead
    if not spent.any():
        return "no garbage collection lies in the traced steps"
    lag = np.maximum(graph.before_lag - spent, 0.0)
    return replace(scenario, graph=replace(graph, before_lag=lag))
