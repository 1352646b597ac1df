"""How long does the analysis take, and does it grow in step with the events? Real ranks, repeated, in memory.

    python benchmarks/analysis.py TRACE_OF_A_RANK TRACE_OF_ANOTHER          # 8 ranks x 5 steps, about 1 M events
    python benchmarks/analysis.py TRACES... --events 125000,250000,500000 --ranks 8 --repeats 3 --profile

Each rank is one of the recorded ones, repeated with shifted times, correlations and operator ids until it has as many
events as asked for, and cut into five steps; ranks of the process groups are rewritten. Everything is made before the
clock starts: reading files is measured by benchmarks/ingest.py. Printed per size: events of all ranks, the best and the
median wall time of the whole diagnosis (facts, rules, verdict, ranking), processor time, time per million events, and
the slowest functions with --profile.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from llmprof.analyzers.diagnose import diagnose
from llmprof.collectors.files import load
from llmprof.timeline.events import NONE, CollectiveCall, EventTable, StringTable, link_launches
from llmprof.timeline.steps import StepMarks
from llmprof.timeline.timeline import RankTimeline, Timeline

STEPS = 5
DEVICE_OFFSET_NS = 3_000_000
"""The clocks of two ranks differ by as much."""


def repeated(rank: RankTimeline, events: int, steps: int = STEPS) -> RankTimeline:
    """The same rank, one recording after the other, until it has about so many events."""
    table = rank.events
    assert table is not None
    copies = max(1, round(events / len(table)))
    begin, end = int(table.ts.min()), int(table.end.max())
    period = end - begin + 1_000

    def shifted(column: np.ndarray, by: int) -> np.ndarray:
        """Times always, ids where there is one."""
        ids = column is not table.ts
        return np.concatenate(
            [np.where(column == NONE, NONE, column + k * by) if ids else column + k * by for k in range(copies)]
        )

    def rows(mapping: object) -> dict[int, object]:
        known = dict(mapping.items())  # type: ignore[attr-defined]
        return {row + k * len(table): value for k in range(copies) for row, value in known.items()}

    kind = np.tile(table.kind, copies)
    correlation = shifted(table.correlation, int(table.correlation.max()) + 1)
    tiled = EventTable(
        ts=shifted(table.ts, period),
        dur=np.tile(table.dur, copies),
        kind=kind,
        lane=np.tile(table.lane, copies),
        name=np.tile(table.name, copies),
        correlation=correlation,
        launch=link_launches(kind, correlation),
        external=shifted(table.external, int(table.external.max()) + 1),
        strings=StringTable(table.strings.names),
        collectives=rows(table.collectives),  # type: ignore[arg-type]
        copied_bytes=rows(table.copied_bytes),  # type: ignore[arg-type]
        shapes=rows(table.shapes),  # type: ignore[arg-type]
    )
    return replace(rank, events=tiled, marks=_marks(rank.marks, copies, period, steps))


def _marks(marks: StepMarks, copies: int, period: int, steps: int) -> StepMarks:
    """So many steps of equal numbers of recorded ones."""
    start = np.concatenate([marks.start_ns + k * period for k in range(copies)])
    end = np.concatenate([marks.end_ns + k * period for k in range(copies)])
    parts = np.array_split(np.arange(start.size), min(steps, start.size))
    return StepMarks(
        np.arange(len(parts)),
        np.array([start[part[0]] for part in parts]),
        np.array([end[part[-1]] for part in parts]),
    )


def timeline_of(sources: Sequence[RankTimeline], ranks: int, events: int) -> Timeline:
    """`ranks` ranks of `events` events each."""
    everyone = tuple(range(ranks))

    def renamed(call: CollectiveCall) -> CollectiveCall:
        return replace(call, ranks=everyone, group_size=ranks)

    long = [repeated(source, events) for source in sources]
    made = []
    for number in range(ranks):
        source = long[number % len(long)]
        table = source.events
        assert table is not None
        calls = {row: renamed(call) for row, call in table.collectives.items()}
        made.append(
            replace(
                source,
                rank=number,
                events=replace(table, collectives=calls),
                origin_ns=source.origin_ns + number * DEVICE_OFFSET_NS,
            )
        )
    return Timeline(ranks=tuple(made), kind="kineto", paths=("benchmark",), world_size=ranks)


def measured(timeline: Timeline, repeats: int) -> tuple[float, float, float]:
    """Best and median wall time, and processor time of the best, in s."""
    runs = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        diagnose(timeline)
        runs.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(runs)[0], statistics.median(wall for wall, _ in runs), min(runs)[1]


def profiled(timeline: Timeline) -> None:
    profile = cProfile.Profile()
    profile.runcall(diagnose, timeline)
    pstats.Stats(profile).sort_stats("tottime").print_stats(30)
    pstats.Stats(profile).sort_stats("cumtime").print_stats("llmprof", 40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", nargs="+", type=Path)
    parser.add_argument("--events", default="31250,62500,125000", help="events a rank, by commas")
    parser.add_argument("--ranks", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="of the largest size")
    chosen = parser.parse_args()
    sources = list(load(chosen.traces).ranks)
    sizes = [int(size) for size in chosen.events.split(",")]
    print(f"{'events':>10} {'best s':>8} {'median s':>9} {'cpu s':>7} {'s per M':>8}")
    timeline = None
    for size in sizes:
        timeline = timeline_of(sources, chosen.ranks, size)
        count = sum(len(rank.events) for rank in timeline.ranks if rank.events is not None)
        best, median, cpu = measured(timeline, chosen.repeats)
        print(f"{count:>10,} {best:>8.2f} {median:>9.2f} {cpu:>7.2f} {1e6 * best / count:>8.2f}", flush=True)
    if chosen.profile and timeline is not None:
        profiled(timeline)


if __name__ == "__main__":
    main()
