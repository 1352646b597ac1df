"""Faster kernels: those that the facts name, each by what its fix saves at the rates of the device.

The kernels of a saving are known exactly: its operators were found in the steps that are replayed, with the shapes of
the same calls in the steps that were traced for shapes. Every rank has its own facts; one whose shapes are not known
takes the factors of the critical rank by the names of its kernels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from llmprof.analyzers.facts.faster.faster_kernels import FIXES as SAVINGS
from llmprof.analyzers.facts.faster.faster_kernels import faster_kernels
from llmprof.analyzers.facts.operators.operator_tree import names_matching
from llmprof.analyzers.facts.operators.operators import Rows
from llmprof.analyzers.facts.operators.saving import Saving
from llmprof.analyzers.replay.graph.graph import Float64
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Subject
from llmprof.timeline.events import NONE, EventTable, Kind

__all__ = ["FIXES", "SHAPED_SHARE", "apply", "by_name"]

FIXES = tuple(SAVINGS)
SHAPED_SHARE = 0.5
"""With the shapes of less of its kernel time than this a rank is taken to run the kernels of the critical one."""

_ALIGNED = ("pad-vocabulary", "align-dimensions")
_PADS = ("fused-cross-entropy",)
"""Pads products beside what it fuses."""
_SHORTER = 0.999

Factors = tuple[Float64, Float64]
"""What is left of the time and of the launch of each row of a rank's events, shares."""


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario in which these kernels are faster.

    Where one kernel takes the place of several, the launches of the others go as well, but not at worst.
    """
    critical = subject.facts.critical
    savings = faster_kernels(fix, critical.operators, critical.environment.device)
    if isinstance(savings, str):
        return savings
    graph = scenario.graph
    chief = subject.chief
    model = _factors(subject, chief, savings, level)
    dur, lag = np.ones(len(graph)), np.ones(len(graph))
    for place in range(len(subject.ranks)):
        kernel, launch = _of_rank(fix, subject, place, level, chief, model)
        mine = np.flatnonzero(graph.on_device & (graph.rank == place) & (graph.row != NONE))
        dur[mine], lag[mine] = kernel[graph.row[mine]], launch[graph.row[mine]]
        # A call that launches many kernels, a graph's, stays whatever becomes of them.
        calls = graph.cause[mine]
        single = (calls >= 0) & (subject.graph.launched[np.maximum(calls, 0)] <= 1)
        lag[calls[single]] = dur[calls[single]] = launch[graph.row[mine[single]]]
    if fix in _ALIGNED or fix in _PADS:  # what is padded already, by hand or by a compiler, is not padded again
        padded = graph.on_device & (graph.dur > 0) & (graph.dur < _SHORTER * subject.graph.dur)
        padded &= (fix in _ALIGNED) | subject.kind("gemm")
        dur[padded] = np.minimum(1.0, dur[padded] * subject.graph.dur[padded] / graph.dur[padded])
    return replace(scenario, graph=replace(graph, dur=graph.dur * dur, before_lag=graph.before_lag * lag))


def _of_rank(fix: str, subject: Subject, place: int, level: Level, chief: int, model: Factors) -> Factors:
    """The factors of one rank, from its own facts or from those of the critical rank."""
    facts = subject.of(place)
    if place == chief:
        return model
    if facts.operators is None or facts.operators.shaped_share < SHAPED_SHARE:
        kernel, launch = by_name(subject, place, chief, model)
        return kernel, launch
    found = faster_kernels(fix, facts.operators, facts.environment.device)
    return _factors(subject, place, () if isinstance(found, str) else found, level)


def _factors(subject: Subject, place: int, savings: tuple[Saving, ...], level: Level) -> Factors:
    events = subject.events(place)
    kernel, launch = np.ones(len(events)), np.ones(len(events))
    for one in savings:
        rows = _rows(subject, place, events, one)
        saved = level.pick(one.low_ns, one.expected_ns, one.high_ns)
        kernel[rows] = max(0.0, 1 - saved / one.ns) if one.ns > 0 else 1.0
        launch[rows] = level.pick(1.0, one.launches, one.launches)
    return kernel, launch


def _rows(subject: Subject, place: int, events: EventTable, one: Saving) -> Rows:
    """The kernels and copies of a saving."""
    if one.named:
        kernels = events.rows(Kind.KERNEL)
        return kernels[names_matching(events, re.compile(one.named, re.IGNORECASE).search)[events.name[kernels]]]
    known = subject.operator_rows[place]
    found = [known[work.key] for work in (*one.work, *one.copies) if work.key in known]
    return np.concatenate(found) if found else np.empty(0, dtype=np.intp)


def by_name(subject: Subject, place: int, chief: int, model: Sequence[Float64]) -> tuple[Float64, ...]:
    """For each kernel the mean factors, weighted by time, of those with its name on the critical rank.

    model    any number of columns of factors, by row of the critical rank's events
    """
    given, own = subject.events(chief), subject.events(place)
    rows, mine = given.rows(Kind.KERNEL), own.rows(Kind.KERNEL)
    names, which = np.unique(given.name[rows], return_inverse=True)
    weight = np.bincount(which, weights=given.dur[rows])
    there = np.array([own.strings.find(given.strings[int(name)]) for name in names], dtype=np.int64)
    result = []
    for column in model:
        mean = np.ones(len(own.strings) + 1)
        mean[there] = np.bincount(which, weights=given.dur[rows] * column[rows]) / np.maximum(weight, 1.0)
        factor = np.ones(len(own))
        factor[mine] = mean[own.name[mine]]
        result.append(factor)
    return tuple(result)
