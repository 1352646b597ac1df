"""How long does a replay take, for a graph of how many nodes?

    python benchmarks/replay_speed.py sample_traces/host-small-model            # a million nodes
    python benchmarks/replay_speed.py RUN --nodes 100000 1000000 4000000

The traced steps of a recorded run stand one after the other as often as it takes. Printed are the first replay of such
a graph, which finds the order of its nodes as well, and the median of those after it, as what-if makes some thirty for
a diagnosis. The goal is a million nodes in about a second. The step is told too: it does not depend on the size.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.replay.graph.graph import NO_REF, Graph, Int64
from llmprof.analyzers.replay.graph.replay import replay
from llmprof.analyzers.replay.model import model_of
from llmprof.collectors.files import load
from llmprof.units import NS_PER_MS, NS_PER_S

REPEATS = 5
PER_NODE = (
    *("kind", "rank", "row", "lane", "region", "before_lag", "cause_lag", "dur", "recorded_start", "recorded_end"),
    *("lead_events", "own_events", "launched"),
)


def tiled(graph: Graph, times: int) -> Graph:
    """The steps of this graph `times` times in a row; the round before the first stays the one before."""
    size = len(graph)
    shift = np.repeat(np.arange(times, dtype=np.int64) * size, size)

    def references(column: Int64, moved: Int64) -> Int64:
        found = np.tile(column, times)
        inside = (found != NO_REF) & ((found >= 0) | (moved > 0))  # -k in a later copy is a node of the copy before
        return np.where(inside, found + moved, found)

    def every(column: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        return np.tile(column, times)

    edges = np.repeat(np.arange(times, dtype=np.int64) * size, graph.extra_to.size)
    meeting = np.tile(graph.meeting, times)
    return replace(
        graph,
        steps=graph.steps * times,
        step=np.tile(graph.step, times) + np.repeat(np.arange(times, dtype=np.int32) * graph.steps, size),
        before=references(graph.before, shift),
        cause=references(graph.cause, shift),
        extra_to=np.tile(graph.extra_to, times) + edges,
        extra_from=references(graph.extra_from, edges),
        extra_lag=np.tile(graph.extra_lag, times),
        meeting=np.where(meeting >= 0, meeting + shift[: meeting.size], meeting),
        orders=[],
        **{name: every(getattr(graph, name)) for name in PER_NODE},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run directory or a trace")
    parser.add_argument("--nodes", type=int, nargs="+", default=[1_000_000], help="how large the graphs are made")
    asked = parser.parse_args()
    timeline = load([str(asked.run)])
    model = model_of(timeline, measure(timeline))
    if isinstance(model, str):
        raise SystemExit(f"{asked.run} cannot be replayed: {model}")
    print(f"{'nodes':>10} {'first, s':>9} {'then, s':>9} {'step, ms':>9}")
    for nodes in asked.nodes:
        graph = tiled(model.traced, max(1, round(nodes / len(model.traced))))
        took = []
        for _ in range(1 + REPEATS):
            begin = time.perf_counter_ns()
            step_ns = replay(graph).step_ns
            took.append((time.perf_counter_ns() - begin) / NS_PER_S)
        print(f"{len(graph):>10,} {took[0]:>9.2f} {statistics.median(took[1:]):>9.2f} {step_ns / NS_PER_MS:>9.2f}")


if __name__ == "__main__":
    main()
