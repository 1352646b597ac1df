"""Activation checkpointing taken off: forward is not computed again inside backward."""

from __future__ import annotations

import numpy as np

from llmprof.analyzers.facts.operator_tree import OperatorTree
from llmprof.analyzers.facts.recompute import recompute_spans
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Subject, removed, scaled

__all__ = ["FIXES", "apply"]

FIXES = ("drop-recompute", "selective-recompute")

SELECTIVE = (0.3, 0.6, 0.9)
"""The share of the recomputed time that selective checkpointing saves: most of it is in the products whose results it
keeps (Korthikanti et al., Reducing Activation Recomputation, 2022)."""


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario without the recomputed part of backward, or with a share of it."""
    again = np.zeros(len(scenario.graph), dtype=bool)
    for place, rank in enumerate(subject.ranks):
        assert rank.events is not None
        again |= subject.launched_in(place, recompute_spans(rank.events, OperatorTree.of(rank.events)))
    if not again.any():
        return "no operators of forward run inside backward"
    if fix == "drop-recompute":
        return removed(scenario, again)
    rest = 1 - level.pick(*SELECTIVE)
    return scaled(scenario, again, dur=rest, lag=rest)
