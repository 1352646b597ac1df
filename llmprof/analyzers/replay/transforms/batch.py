"""A larger batch: twice the work on the device for one pass of the host; the gain is per sample."""

from __future__ import annotations

from dataclasses import replace

from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Subject, scaled

__all__ = ["FIXES", "apply"]

FIXES = ("larger-batch",)

FACTOR = 2.0
LONGER = (2.0, 1.9, 1.5)
"""Kernels with twice the work: twice as long, or less where they did not fill the device (an assumption)."""


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario with twice the samples in a step; its step counts for one with as many samples as now."""
    model = subject.device & ~subject.kind("communication", "optimizer")
    feeds = {
        place: replace(
            feed,
            loads_ns=tuple(FACTOR * value for value in feed.loads_ns),
            limit_ns=None if feed.limit_ns is None else FACTOR * feed.limit_ns,
        )
        for place, feed in scenario.feeds.items()
    }
    grown = scaled(scenario, model, dur=level.pick(*LONGER))
    return replace(grown, feeds=feeds, samples=FACTOR * scenario.samples)
