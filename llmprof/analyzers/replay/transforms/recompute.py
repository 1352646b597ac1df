"""Activation checkpointing taken off, or for a part: less of forward is computed again inside backward."""

from __future__ import annotations

import numpy as np

from llmprof.analyzers.facts.kept_activations import EVERY_SECOND, kept
from llmprof.analyzers.facts.operator_tree import OperatorTree
from llmprof.analyzers.facts.recompute import recompute_spans
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Mask, Subject, removed, scaled

__all__ = ["FIXES", "apply"]

FIXES = ("drop-recompute", "selective-recompute")
PRODUCTS = ("gemm", "attention", "convolution")


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario without the recomputed part of backward, or with what of it does not fit in memory."""
    again = np.zeros(len(scenario.graph), dtype=bool)
    for place, rank in enumerate(subject.ranks):
        assert rank.events is not None
        again |= subject.launched_in(place, recompute_spans(rank.events, OperatorTree.of(rank.events)))
    if not again.any():
        return "no operators of forward run inside backward"
    return removed(scenario, again) if fix == "drop-recompute" else _selective(scenario, subject, level, again)


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
