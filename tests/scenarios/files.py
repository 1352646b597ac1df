"""Trace files with one thing changed: what the tests of the readers share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmprof.timeline.events import EventTable
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder

__all__ = ["events_of", "kernel_of", "small", "written"]


def events_of(rank: RankTimeline) -> EventTable:
    assert rank.events is not None
    return rank.events


def small() -> TraceBuilder:
    """Two steps with one linked and one unlinked kernel."""
    b = TraceBuilder()
    b.step(7, 0, 500_000)
    b.step(8, 500_000, 1_000_000)
    b.op("aten::mm", 10_000, 20_000, shapes=([[16, 1024], []], ["float", "Scalar"]))
    b.kernel("gemm", 40_000, 300_000, launch_ns=15_000)
    b.kernel("from before", 1_000, 5_000, launch_ns=None)
    return b


def written(path: Path, edit: Callable[[dict[str, Any]], object], builder: TraceBuilder | None = None) -> Path:
    """A trace file after `edit` changed its document."""
    (builder or small()).write_kineto(path)
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))
    return path


def kernel_of(document: dict[str, Any]) -> dict[str, Any]:
    return next(event for event in document["traceEvents"] if event["name"] == "gemm")
