"""What do unprofiled steps tell of host and device beside their length?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.facts.partition.correction import MAX_COST_NS
from llmprof.analyzers.replay.graph.build import build
from llmprof.analyzers.replay.graph.graph import Graph
from llmprof.analyzers.replay.unprofiled.distortion import Distortion, relieved
from llmprof.analyzers.replay.unprofiled.seen import Seen, seen_of
from llmprof.timeline.steps import StepPhase, StepTimes
from llmprof.timeline.timeline import RankTimeline
from tests.analyzers.replay.programs import Call, record

PROGRAM = [Call(40_000, "launch", 10_000)] * 20


def times(plain: dict[str, int], traced: dict[str, int] | None = None) -> StepTimes:
    """Four unprofiled and four traced steps with these parts."""
    traced = traced or plain
    return StepTimes(
        number=np.arange(8),
        start_ns=np.arange(8) * 1_000_000,
        wall_ns=np.full(8, 1_000_000),
        phase=np.array([StepPhase.BASELINE] * 4 + [StepPhase.TRACED] * 4, np.uint8),
        parts={name: np.array([plain[name]] * 4 + [traced[name]] * 4) for name in plain},
    )


def seen(rank: RankTimeline) -> Seen:
    graph = build(rank)
    assert graph is not None
    return seen_of([rank], graph, lambda cost: relieved(graph, Distortion(cost_ns=cost)), MAX_COST_NS)


def hosts(graph: Graph) -> list[float]:
    work = (graph.before_lag + graph.dur)[graph.on_host]
    return [float(value) for value in np.bincount(graph.rank[graph.on_host], work)]


def test_a_device_that_idles_while_a_batch_is_fetched_waits_for_its_host() -> None:
    found = seen(record(PROGRAM, times=times({"data_wait": 100_000, "data_wait_exposed": 95_000})))
    assert found.host_late and not found.device_busy


def test_a_device_that_is_busy_while_a_batch_is_fetched_has_work_left() -> None:
    found = seen(record(PROGRAM, times=times({"data_wait": 100_000, "data_wait_exposed": 1_000})))
    assert found.device_busy and not found.host_late


def test_without_measured_fetches_nothing_is_seen() -> None:
    assert seen(record(PROGRAM)) == Seen()


def test_the_phases_tell_what_the_profiler_cost_at_least() -> None:
    rank = record(PROGRAM)
    graph = build(rank)
    assert graph is not None
    share = hosts(relieved(graph, Distortion(cost_ns=1_500)))[0] / hosts(graph)[0]
    traced = {"forward": 300_000, "backward": 500_000, "optimizer": 100_000}
    plain = {name: int(value * share) for name, value in traced.items()}
    found = seen(replace(rank, times=times(plain, traced)))
    assert found.least_cost_ns == pytest.approx(1_500, rel=0.02)


def test_steps_that_wait_for_the_device_do_not_hide_how_quick_the_host_is() -> None:
    """Two unprofiled steps of four run ahead; in the others the host is stopped by a full queue."""
    rank = record(PROGRAM)
    graph = build(rank)
    assert graph is not None
    share = hosts(relieved(graph, Distortion(cost_ns=1_500)))[0] / hosts(graph)[0]
    traced = {"forward": 300_000, "backward": 500_000, "optimizer": 100_000}
    waiting = times(traced)
    for name, value in traced.items():
        waiting.parts[name][:2] = int(value * share)
    found = seen(replace(rank, times=waiting))
    assert found.quick_cost_ns == pytest.approx(1_500, rel=0.02)
    assert found.least_cost_ns < 1_000
