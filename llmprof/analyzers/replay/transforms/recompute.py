"""Activation checkpointing taken off, or for a part: less of forward is computed again inside backward.

Without checkpoints the host enters each block at once. A step that reads a result after every block waits for that.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.facts.faster.kept_activations import EVERY_SECOND, kept
from llmprof.analyzers.facts.operators.operator_tree import OperatorTree
from llmprof.analyzers.facts.operators.recompute import entry_spans, recompute_spans
from llmprof.analyzers.replay.graph.graph import Float64, Graph, Mask, NodeKind, Region
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Subject, removed, scaled
from llmprof.timeline.events import EventTable
from llmprof.timeline.intervals import Intervals, lengths_inside

__all__ = ["FIXES", "apply"]

FIXES = ("drop-recompute", "selective-recompute")
PRODUCTS = ("gemm", "attention", "convolution")


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario without the recomputed part of backward, or with what of it does not fit in memory."""
    again = np.zeros(len(scenario.graph), dtype=bool)
    entering = np.zeros(len(scenario.graph))
    for place in range(len(subject.ranks)):
        events = subject.events(place)
        tree = OperatorTree.of(events)
        again |= subject.launched_in(place, recompute_spans(events, tree))
        for lane, spans in entry_spans(events, tree).items():
            entering += _share_before(subject.graph, place, events, lane, spans)
    if not again.any():
        return "no operators of forward run inside backward"
    if fix != "drop-recompute":
        return _selective(scenario, subject, level, again)
    found = removed(scenario, again)
    left = 1 - level.pick(0.0, 1.0, 1.0) * entering
    return replace(found, graph=replace(found.graph, before_lag=found.graph.before_lag * left))


def _share_before(graph: Graph, place: int, events: EventTable, lane: int, spans: Intervals) -> Float64:
    """Of the host's work before each call of a lane, the share that lies in spans; shape (nodes,)."""
    launches = (graph.kind == NodeKind.CALL) | (graph.kind == NodeKind.WAIT)
    calls = np.flatnonzero((graph.rank == place) & launches & ~graph.within(Region.OPTIMIZER))
    calls = calls[events.lane[graph.row[calls]] == lane]
    calls = calls[np.argsort(events.ts[graph.row[calls]], kind="stable")]
    found = np.zeros(len(graph))
    if calls.size < 2:
        return found
    row = graph.row[calls]
    begin, end = events.end[row[:-1]], events.ts[row[1:]]
    inside = lengths_inside(spans, begin, np.maximum(begin, end))
    found[calls[1:]] = inside / np.maximum(end - begin, 1)
    return np.clip(found, 0.0, 1.0)


def _selective(scenario: Scenario, subject: Subject, level: Level, again: Mask) -> Scenario:
    """The better of two ways: not every block is checkpointed, or results of products are kept; at worst the other.

    Keeping results of products leaves their launches: the host looks up each of them instead.
    """
    products = again & subject.kind(*PRODUCTS)
    critical = subject.facts.critical
    found = critical.operators.recompute if critical.operators is not None else None
    room = None if found is None else kept(found, critical.memory)
    if room is None:
        if level is Level.HIGH:
            return removed(scenario, again)
        return scaled(scenario, products, dur=level.pick(1 - EVERY_SECOND, 0.0, 0.0))
    if room.by_blocks is (level is not Level.LOW):
        return scaled(scenario, again, dur=1 - room.blocks, lag=1 - room.blocks)
    return scaled(scenario, products, dur=1 - room.products)
