"""What is each kind of edge of the replay worth? The gains that it predicts from kept recordings without one of them.

Gains are those of the replay alone, also where a report would give a rule's bound; fixes that the whole replay leaves
to their rule are not counted, and one that only a replay with a kind left out cannot tell counts as "no change". The
step after a fix is taken off the plain step that was measured beside it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from replay_runs import SIGN, Measured, Score, measured, percent, table

import llmprof.analyzers.replay.model as replaying
from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.replay.graph.build import ALL_EDGES, Edges, build
from llmprof.analyzers.replay.graph.graph import NO_REF, Graph, NodeKind
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.collectors.files import load
from llmprof.errors import LlmprofError
from llmprof.timeline.timeline import RankTimeline

__all__ = ["KINDS", "ablated", "without"]

EDGES = {
    "event-waits": "events",
    "communicators": "communicators",
    "syncs": "syncs",
    "queue": "queue",
    "sharing": "sharing",
}
KINDS = ("launches", *EDGES, "collectives", "loader", "de-distortion")
"""launches: the device waits for its launch; event-waits: a stream for an event of another one; communicators: the
collectives of one communicator for each other; syncs: the host for the device; queue: the host for room in the launch
queue; sharing: work beside other work is slower; collectives: ranks for each other; loader: the training for its
loader's workers (without it as recorded); de-distortion: what the profiler cost is taken out."""
WHOLE = "nothing"


@dataclass(frozen=True)
class Replayed:
    """A run replayed with something left out: errors as shares of the step, and what is promised for each fix."""

    identity: float
    unprofiled: float
    promised: dict[str, tuple[float, float, float] | None]
    """Expected gain and its interval, as shares of the step; None: the replay cannot tell."""


@contextlib.contextmanager
def without(kinds: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Within, models are built without these kinds of edges; what is given has to be handed to `model_of`."""
    edges: Edges = ALL_EDGES - {EDGES[kind] for kind in kinds if kind in EDGES}

    def unlaunched(rank: RankTimeline, *, edges: Edges = ALL_EDGES) -> Graph | None:
        graph = build(rank, edges=edges)
        if graph is None:
            return None
        return replace(graph, cause=np.where(graph.kind == NodeKind.DEVICE, NO_REF, graph.cause))

    with contextlib.ExitStack() as stack:
        if "launches" in kinds:
            stack.enter_context(mock.patch.object(replaying, "build", unlaunched))
        if "collectives" in kinds:
            stack.enter_context(mock.patch.object(replaying, "meetings_of", lambda ranks, graphs: None))
        if "loader" in kinds:
            stack.enter_context(mock.patch.object(replaying, "feed_of", lambda *found: None))
        yield {"edges": edges, "undistort": "de-distortion" not in kinds}


def ablated(lines: list[dict[str, Any]], runs: Sequence[Path | None], kinds: Sequence[str]) -> str:
    """The table: a row for the whole replay, one with each kind left out, and one without all of them.

    runs    the run directory of each line; a line without one is not counted
    """
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise SystemExit(f"no such kind: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    variants = {WHOLE: (), **{kind: (kind,) for kind in kinds}, **({"all of them": kinds} if len(kinds) > 1 else {})}
    jobs = [(run, line.get("sides") or {}, variants) for line, run in zip(lines, runs, strict=True) if run is not None]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.starmap(_replays, jobs, chunksize=1)
    rows = [[name, *_cells([(one[WHOLE], one[name], fixes) for one, fixes in found if name in one])]
            for name in variants]  # fmt: skip
    head = ["left out", "runs", "identity, median / worst", "unprofiled step, median / worst", "fixes",
            "step after the fix, median / worst", "gain, median", "skill", "covered", "wrong sign"]  # fmt: skip
    return "## With a kind of edge left out\n\n" + table(head, rows) + "\n"


def _replays(
    run: Path, sides: dict[str, Any], variants: dict[str, Sequence[str]]
) -> tuple[dict[str, Replayed], list[Measured]]:
    """A run replayed in every way, and the fixes that were measured; nothing when it cannot be replayed."""
    fixes = measured(sides)
    try:
        timeline = load([str(run)])
        facts = measure(timeline)
    except LlmprofError:
        return {}, fixes
    found: dict[str, Replayed] = {}
    for name, kinds in variants.items():
        with without(kinds) as how:
            model = replaying.model_of(timeline, facts, **how)
            if isinstance(model, str):
                continue
            what_if, step = WhatIf.of(model, facts), model.step_ns
            promised: dict[str, tuple[float, float, float] | None] = {}
            for one in fixes:
                told = what_if.predict(one.fix.split("+"))
                gains = 1 - told.step_ns / step, 1 - told.most_ns / step, 1 - told.least_ns / step
                promised[one.fix] = gains if told.fixes else None
        found[name] = Replayed(abs(model.identity_error), abs(model.distortion.error or 0.0), promised)
    return found, fixes


def _cells(found: list[tuple[Replayed, Replayed, list[Measured]]]) -> list[str]:
    """The figures of one variant over all runs."""
    scores = []
    for whole, one, fixes in found:
        counted = [fix for fix in fixes if whole.promised.get(fix.fix) is not None]
        scores += [Score(*(one.promised.get(fix.fix) or (0.0, 0.0, 0.0)), fix) for fix in counted]
    misses = [abs(score.expected - score.measured.gain) for score in scores]
    errors = [score.step_error for score in scores]
    total = sum(abs(score.measured.gain) for score in scores)
    wrong = sum(score.expected > SIGN and score.measured.gain < 0 for score in scores)
    return [
        str(len(found)),
        _spread([one.identity for _, one, _ in found]), _spread([one.unprofiled for _, one, _ in found]),
        str(len(scores)), _spread(errors), percent(statistics.median(misses)) if misses else "",
        f"{1 - sum(misses) / total:.2f}" if total else "",
        f"{sum(score.covered for score in scores)} of {len(scores)}", str(wrong),
    ]  # fmt: skip


def _spread(values: list[float]) -> str:
    return f"{percent(statistics.median(values))} / {percent(max(values))}" if values else ""
