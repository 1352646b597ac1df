"""What is a transform? It takes a scenario and gives the one in which a fix is applied, or says why it cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.device.devices import DevicePeaks, find_device
from llmprof.analyzers.facts.device.kernel_names import CLASSES, NameTable, classify_table
from llmprof.analyzers.facts.device.kernels import row_classes
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.operators.operators import OperatorKey, Rows, kernel_calls, rows_by_operator
from llmprof.analyzers.replay.graph.graph import NO_REF, Float64, Graph, Mask, NodeKind, Region
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.timeline.events import NONE, EventTable
from llmprof.timeline.intervals import Intervals
from llmprof.timeline.timeline import RankTimeline

__all__ = [
    "Apply",
    "Level",
    "Subject",
    "host_of",
    "in_optimizer",
    "removed",
    "scaled",
    "unwaited",
]


class Level(IntEnum):
    """Which end of an uncertain effect is assumed."""

    LOW = -1
    EXPECTED = 0
    HIGH = 1

    def pick(self, low: float, expected: float, high: float) -> float:
        """The one of three values that belongs to this level."""
        return (expected, high, low)[self]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What transforms may look at besides the graph: the recordings of its ranks, and the facts."""

    ranks: tuple[RankTimeline, ...]
    facts: Facts
    graph: Graph
    """The graph before any fix; all scenarios have the same nodes."""
    _masks: dict[Callable[[Subject], Mask], Mask] = field(default_factory=dict, repr=False)

    def once(self, which: Callable[[Subject], Mask]) -> Mask:
        """The nodes that `which` tells, whatever fixes change: found once, and not to be written to."""
        if which not in self._masks:
            self._masks[which] = which(self)
            self._masks[which].flags.writeable = False
        return self._masks[which]

    def of(self, place: int) -> RankFacts:
        """The facts of the rank at this place of the graph."""
        return self.facts.ranks[self.ranks[place].rank]

    def events(self, place: int) -> EventTable:
        """What was recorded of the rank at this place."""
        events = self.ranks[place].events
        assert events is not None
        return events

    @property
    def chief(self) -> int:
        """The place of the critical rank."""
        return next(place for place, rank in enumerate(self.ranks) if rank.rank == self.facts.critical.rank)

    @cached_property
    def peaks(self) -> DevicePeaks | None:
        """What the device of the critical rank can do at most; None for one that is not known."""
        device = self.facts.critical.environment.device
        return find_device(device.name, device.sm_count)

    @cached_property
    def classes(self) -> npt.NDArray[np.int8]:
        """The kernel class of each node, an index into CLASSES; NONE for the host."""
        found = np.full(len(self.graph), NONE, dtype=np.int8)
        for place in range(len(self.ranks)):
            mine = self.device & (self.graph.rank == place)
            found[mine] = row_classes(self.events(place))[self.graph.row[mine]]
        return found

    @cached_property
    def device(self) -> Mask:
        """Nodes of the device."""
        return self.graph.on_device

    @cached_property
    def names(self) -> tuple[NameTable, ...]:
        """What the kernel names tell, by rank."""
        every = map(self.events, range(len(self.ranks)))
        return tuple(classify_table(events.strings, events.name) for events in every)

    @cached_property
    def operator_rows(self) -> tuple[dict[OperatorKey, Rows], ...]:
        """By rank the kernels and copies of each operator, rows of its events, by the key that OperatorWork has."""
        found: list[dict[OperatorKey, Rows]] = []
        for place, rank in enumerate(self.ranks):
            windows = self.of(place).windows
            rows: dict[OperatorKey, Rows] = {}
            for copies in (False, True):
                calls = None if windows is None else kernel_calls(rank, windows, copies=copies)
                rows |= {} if calls is None else rows_by_operator(rank, calls)
            found.append(rows)
        return tuple(found)

    def kind(self, *names: str) -> Mask:
        """The nodes of these kernel classes."""
        return np.isin(self.classes, [CLASSES.index(name) for name in names])

    def names_where(self, test: Callable[[str], bool]) -> Mask:
        """The nodes (calls of the host and work of the device) whose recorded name passes."""
        found = np.zeros(len(self.graph), dtype=bool)
        for place in range(len(self.ranks)):
            events = self.events(place)
            passes = np.fromiter((test(name) for name in events.strings.names), bool, len(events.strings))
            mine = (self.graph.rank == place) & (self.graph.row != NONE)
            found[mine] = passes[events.name[self.graph.row[mine]]]
        return found

    def launched_in(self, place: int, spans: Mapping[int, Intervals]) -> Mask:
        """The nodes of one rank whose call lies in spans of its host lane; device work counts with its launch."""
        graph, events = self.graph, self.events(place)
        mine = (graph.rank == place) & (graph.row != NONE)
        row = np.where(mine, graph.row, 0)
        call = np.where(graph.on_device, events.launch[row], row)
        found = np.zeros(len(graph), dtype=bool)
        for lane, some in spans.items():
            found |= mine & (call >= 0) & (events.lane[call] == lane) & some.contains(events.ts[call])
        return found


Apply = Callable[[str, Scenario, Subject, Level], "Scenario | str"]
"""A transform module's `apply(fix, scenario, subject, level)`: the changed scenario, or why nothing would change."""


def scaled(scenario: Scenario, nodes: Mask, *, dur: float | Float64 = 1.0, lag: float = 1.0) -> Scenario:
    """Durations, and host work or stream gaps before, of `nodes` multiplied."""
    graph = scenario.graph
    factor = np.where(nodes, dur, 1.0)
    changed = replace(graph, dur=graph.dur * factor, before_lag=graph.before_lag * np.where(nodes, lag, 1.0))
    return replace(scenario, graph=changed)


def removed(scenario: Scenario, nodes: Mask) -> Scenario:
    """The scenario in which `nodes` take no time and wait for nothing but their order."""
    graph = scenario.graph
    launch_lag = np.where(nodes & (graph.kind == NodeKind.DEVICE), 0.0, graph.cause_lag)
    changed = replace(graph, cause_lag=launch_lag)
    return unwaited(scaled(replace(scenario, graph=changed), nodes, dur=0.0, lag=0.0), nodes)


def unwaited(scenario: Scenario, nodes: Mask) -> Scenario:
    """The scenario in which the blocking calls among `nodes` return at once."""
    graph = scenario.graph
    waits = nodes & (graph.kind == NodeKind.WAIT)
    changed = replace(
        graph.only_edges(~waits[graph.extra_to]),
        cause=np.where(waits, NO_REF, graph.cause),
        cause_lag=np.where(waits, 0.0, graph.cause_lag),
        before_lag=np.where(waits, 0.0, graph.before_lag),
    )
    return replace(scenario, graph=changed)


def host_of(graph: Graph, device: Mask) -> Mask:
    """The calls that launched the work in `device`."""
    calls = np.zeros(len(graph), dtype=bool)
    causes = graph.cause[device & (graph.kind == NodeKind.DEVICE)]
    calls[causes[(causes >= 0)]] = True
    return calls & graph.on_host


def in_optimizer(subject: Subject) -> Mask:
    """The host's calls inside Optimizer.step; where nothing is annotated, those that launch optimizer kernels."""
    found = subject.graph.within(Region.OPTIMIZER)
    return found if found.any() else host_of(subject.graph, subject.kind("optimizer"))
