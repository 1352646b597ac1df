"""What of the mean step lies beside the steps that are replayed? Stalls, starts of epochs, single long steps."""

from __future__ import annotations

from collections.abc import Mapping

from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.partition.correction import MAX_COST_NS, MAX_STRETCH
from llmprof.analyzers.replay.feeds import Feed
from llmprof.analyzers.replay.graph.graph import Graph
from llmprof.analyzers.replay.scenario import Scenario, run
from llmprof.analyzers.replay.unprofiled.distortion import Distortion, relieved

__all__ = ["STALL_DOUBT", "collections_ns_of", "epochs_ns_of", "given_back_ns", "pauses_ns_of", "stalls_ns_of"]

FEW_SHARE = 0.1
"""Of the steps: more long ones than this are no exceptions, but a run whose speed changes."""
STALL_DOUBT = 0.1
"""Of a stall's cost, which is told from the steps around it."""
UNEXPLAINED = ("unknown", "forward", "backward", "optimizer")
"""Causes of long steps that are no stalls, no starts of epochs and no waits for batches, which are measured as such."""


def stalls_ns_of(rank: RankFacts) -> float:
    """Ns per step of the stalls that were measured around the counted steps and are not in the traced ones."""
    if rank.partition is None or rank.traced is None:
        return 0.0
    between = ("checkpoint", "evaluation", "gc")
    stalls = sum(rank.partition.stall_classes.get(n, 0.0) - rank.traced.stall_classes.get(n, 0.0) for n in between)
    return stalls + pauses_ns_of(rank)


def collections_ns_of(facts: Facts) -> float:
    """Ns per step that collections of garbage make the critical rank's step longer; 0 where its steps do not tell.

    What they do tell is of the mean step, with as many collections as it has. The traced steps may have more of them
    or longer ones, so that those are taken out of the graph.
    """
    critical = facts.critical
    found = critical.causes.collections if critical.causes is not None else None
    if facts.step.basis != "unprofiled" or critical.partition is None or found is None or not found.told_from_nothing:
        return 0.0
    return critical.partition.stall_classes.get("gc", 0.0)


def pauses_ns_of(rank: RankFacts) -> float:
    """Ns per step of a few steps that were long for a reason of their own, which is not known: no slower host."""
    table = rank.table
    if rank.partition is None or rank.traced is None or table is None:
        return 0.0
    if table.outliers.count > FEW_SHARE * table.steps:
        return 0.0
    return float(sum(ns for name, ns in table.outliers.by_cause.items() if name in UNEXPLAINED))


def epochs_ns_of(rank: RankFacts) -> float:
    """Ns per step of starts of epochs of a loader with workers, none of which is in a traced step."""
    loader = rank.loader
    return loader.epochs.counted_ns if loader is not None and loader.epochs and loader.in_process is False else 0.0


def given_back_ns(fed: Graph, feeds: Mapping[int, Feed], step_ns: float, stalls_ns: float) -> float:
    """What the device had queued when it stalled, ns per step, as far as it shows: no step is shorter than its device.

    After a stall steps are as short as the host makes them until the queue is full again, and what they are shorter
    than the device needs has been counted as part of the stall.
    """
    if stalls_ns <= 0:
        return 0.0
    least = Distortion(cost_ns=MAX_COST_NS, stretch=MAX_STRETCH)
    fastest = run(Scenario(graph=relieved(fed, least), feeds=feeds)).step_ns
    return min(max(fastest - step_ns, 0.0), STALL_DOUBT * stalls_ns)
