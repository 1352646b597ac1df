"""Debugging switched off: gradients are not looked at for NaN, operators keep no stack, the allocator has its cache.

After each function of the backward pass `torch.autograd.detect_anomaly` asks of every gradient `isnan(...).item()`, for
which host and device wait for each other; and for each function of the forward pass Python formats its stack, inside
of the operator (PyTorch source, torch/csrc/autograd/engine.cpp and anomaly_mode.cpp). The former are calls of their own
in the recording; the latter makes stretches within operators longer than any launch.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.operators.operator_tree import names_matching
from llmprof.analyzers.facts.operators.recompute import BACKWARD
from llmprof.analyzers.replay.graph.graph import Region
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms import pauses
from llmprof.analyzers.replay.transforms.base import Level, Subject, scaled, unwaited
from llmprof.analyzers.replay.transforms.host_work import inside, shorter
from llmprof.timeline.events import EventTable, Kind
from llmprof.timeline.intervals import Int64, Intervals

__all__ = ["FIXES", "apply"]

FIXES = ("debug-off",)
UNCACHED = "PYTORCH_NO_CUDA_MEMORY_CACHING"

STACK_NS = 30_000
"""Formatting a stack took 54 µs with seven frames and 145 µs with 25 (own measurement, PyTorch 2.13, a CPU at 3 GHz);
between two calls of an operator some microseconds pass otherwise."""
USUAL_NS = 5_000
"""What is left of such a stretch."""
HALF = 0.5
"""At worst half of the long stretches have another reason."""


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario without the checks of the backward pass and the stacks of the forward pass."""
    settings = [subject.of(place).environment for place in range(len(subject.ranks))]
    if any(one.variables.get("CUDA_LAUNCH_BLOCKING", "0") not in ("", "0") for one in settings):
        return "host and device take turns in the recording, and no launch shows how early it could be"
    if any(one.variables.get(UNCACHED, "0") not in ("", "0") for one in settings):
        scenario = _or(pauses.apply("stop-cache-flush", scenario, subject, level), scenario)
    elif not any(one.precision.detect_anomaly for one in settings):
        return "only what anomaly detection and an allocator without its cache cost can be replayed"
    if any(one.precision.detect_anomaly for one in settings):
        scenario = _unwatched(scenario, subject, level)
    return scenario


def _or(changed: Scenario | str, otherwise: Scenario) -> Scenario:
    return otherwise if isinstance(changed, str) else changed


def _unwatched(scenario: Scenario, subject: Subject, level: Level) -> Scenario:
    graph = scenario.graph
    spent, gone = np.zeros(len(graph)), np.zeros(len(graph), bool)
    for place in range(len(subject.ranks)):
        events = subject.events(place)
        backward = names_matching(events, BACKWARD.match)[events.name] & (events.kind == Kind.CPU_OP)
        for lane in np.unique(events.lane[events.rows(Kind.CPU_OP)]).tolist():
            if (backward & (events.lane == lane)).any():
                checks = _checks(events, lane)
                spent += inside(subject, place, checks)
                gone |= subject.launched_in(place, {lane: checks})
            else:
                kept = inside(subject, place, _stacks(events, lane)) * level.pick(HALF, 1.0, 1.0)
                spent += np.where(graph.region == Region.OTHER, kept, 0.0)  # an optimizer records no gradients
    idle = gone & graph.on_device
    without = shorter(unwaited(scaled(scenario, gone, dur=0.0), gone), subject, spent)
    lag = np.where(idle, 0.0, without.graph.before_lag)
    launch = np.where(idle, 0.0, without.graph.cause_lag)
    return replace(without, graph=replace(without.graph, before_lag=lag, cause_lag=launch))


def _named(events: EventTable, lane: int, name: str) -> npt.NDArray[np.intp]:
    rows = events.rows_named((Kind.CPU_OP,), names_matching(events, name.__eq__))
    result: npt.NDArray[np.intp] = rows[events.lane[rows] == lane]
    return result


def _checks(events: EventTable, lane: int) -> Intervals:
    """From each `isnan` on this lane to the end of the next `item`: what asks of one gradient."""
    begins, items = events.ts[_named(events, lane, "aten::isnan")], _named(events, lane, "aten::item")
    place = np.searchsorted(events.ts[items], begins)
    known = place < items.size
    return Intervals.of(begins[known], events.end[items[place[known]]])


def _stacks(events: EventTable, lane: int) -> Intervals:
    """Of the stretches inside of operators without a call, those long enough for a stack, but for what is usual."""
    operators, calls = events.rows(Kind.CPU_OP), events.rows(Kind.RUNTIME)
    operators, calls = operators[events.lane[operators] == lane], calls[events.lane[calls] == lane]
    rows = np.concatenate([operators, calls])
    edges: Int64 = np.unique(np.concatenate([events.ts[rows], events.end[rows]]))
    long = np.flatnonzero(np.diff(edges) >= STACK_NS)
    stretches = Intervals.of(edges[long], edges[long + 1] - USUAL_NS)
    return (stretches & events.spans(operators)) - events.spans(calls)
