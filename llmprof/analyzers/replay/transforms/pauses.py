"""Pauses of the host taken out: garbage collections inside the steps, and the driver's allocator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Subject, scaled, unwaited
from llmprof.analyzers.replay.unprofiled.beside import STALL_DOUBT, collections_ns_of
from llmprof.analyzers.replay.unprofiled.garbage import collecting_ns

__all__ = ["FIXES", "apply"]

FIXES = ("gc-policy", "stop-cache-flush")


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario without these pauses."""
    if fix == "gc-policy":
        return _without_collections(scenario, subject, level)
    calls = scenario.graph.on_host & subject.names_where(lambda name: "Malloc" in name or "Free" in name)
    if not calls.any():
        return "no calls of the driver's allocator were recorded in the steps"
    # The host's work before such a call is not the call's; what lies between two of them is the allocator's own, and
    # at best the search for a block that comes before a call as well.
    follows = np.isin(scenario.graph.before, np.flatnonzero(calls))
    own = calls if level is Level.HIGH else calls & follows if level is Level.EXPECTED else np.zeros_like(calls)
    return unwaited(scaled(scaled(scenario, calls, dur=0.0), own, lag=0.0), calls)


def _without_collections(scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    beside = collections_ns_of(subject.facts)
    if beside > 0:
        low = (1 - STALL_DOUBT) * beside
        return replace(scenario, spared_ns=scenario.spared_ns + level.pick(low, beside, beside))
    spent = collecting_ns(subject.graph, subject.ranks)
    if not spent.any():
        return "no garbage collection lies in the traced steps"
    lag = np.maximum(scenario.graph.before_lag - spent, 0.0)
    return replace(scenario, graph=replace(scenario.graph, before_lag=lag))
