"""Do a few steps in which the host waited for nothing tell how early it is in the others?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.facts.partition.correction import MAX_COST_NS
from llmprof.analyzers.replay.graph.build import build
from llmprof.analyzers.replay.graph.graph import Graph
from llmprof.analyzers.replay.unprofiled.distortion import Distortion, relieved
from llmprof.analyzers.replay.unprofiled.early import early_costs
from llmprof.analyzers.replay.unprofiled.seen import seen_of
from llmprof.timeline.steps import StepPhase, StepTimes
from llmprof.timeline.timeline import RankTimeline
from tests.analyzers.replay.programs import Call, record

PROGRAM = [Call(40_000, "launch", 10_000)] * 20
WAITING = {"forward": 600_000, "backward": 1_200_000, "optimizer": 100_000}
FREE = {"forward": 150_000, "backward": 350_000, "optimizer": 50_000}
BETWEEN, FETCH = 20_000, 30_000
HELD = [Call(20_000, "launch", 2_000_000), Call(10_000, "sync"), *PROGRAM]


def times(free: int, *, phase: StepPhase = StepPhase.BASELINE, device_idle: float = 0.0) -> StepTimes:
    """Twenty unprofiled steps whose phases wait for the device, and `free` after them in which they do not."""
    kinds = [WAITING] * 20 + [FREE] * free
    parts = {name: np.array([kind[name] for kind in kinds]) for name in WAITING}
    count = len(kinds)
    return StepTimes(
        number=np.arange(count),
        start_ns=np.arange(count) * 2_000_000,
        wall_ns=sum(parts.values()) + BETWEEN + FETCH,
        phase=np.array([StepPhase.BASELINE] * 20 + [phase] * free, np.uint8),
        parts=parts
        | {
            "data_wait": np.full(count, FETCH),
            "data_wait_exposed": np.full(count, round(FETCH * device_idle)),
        },
    )


def asked(rank: RankTimeline) -> tuple[tuple[float, float, float] | None, Graph]:
    graph = build(rank)
    assert graph is not None
    return early_costs(rank, graph, 0, lambda cost: relieved(graph, Distortion(cost_ns=cost)), MAX_COST_NS), graph


def work(graph: Graph, cost_ns: float) -> float:
    """Host work of a step that the profiler's cost leaves."""
    left = relieved(graph, Distortion(cost_ns=cost_ns))
    return float((left.before_lag + left.dur)[left.on_host].sum()) / left.steps


@pytest.mark.parametrize("phase", [StepPhase.BASELINE, StepPhase.UNSTEADY, StepPhase.AFTER])
def test_the_cost_leaves_the_host_about_the_work_of_the_steps_that_waited_for_nothing(phase: StepPhase) -> None:
    costs, graph = asked(record(PROGRAM, times=times(2, phase=phase)))
    assert costs is not None
    own = sum(FREE.values()) + BETWEEN
    assert work(graph, costs[1]) == pytest.approx(1.15 * own, rel=0.01)
    assert work(graph, costs[0]) == pytest.approx(1.4 * own, rel=0.01)
    assert work(graph, costs[2]) == pytest.approx(0.95 * own, rel=0.01)


def test_a_lock_that_another_thread_holds_once_a_step_is_in_no_quickest_phase() -> None:
    """Of 100 us a batch, the lock is taken in the backward pass (350 of 570 us) and held beyond it, or costs it all."""
    graph = build(rank := record(PROGRAM, times=times(2)))
    assert graph is not None
    costs = early_costs(
        rank, graph, 0, lambda cost: relieved(graph, Distortion(cost_ns=cost)), MAX_COST_NS, locked_ns=100_000
    )
    assert costs is not None
    own, beside = sum(FREE.values()) + BETWEEN, (220 * 100_000 + 100 * 50_000) / 570
    assert work(graph, costs[1]) == pytest.approx(1.15 * own + beside, rel=0.01)
    assert work(graph, costs[2]) == pytest.approx(0.95 * own, rel=0.01)
    assert work(graph, costs[0]) == pytest.approx(1.4 * own + 100_000, rel=0.01)


def test_the_first_steps_show_how_quick_a_phase_is_that_leaves_nothing_out() -> None:
    """Two of them wait for nothing in forward and backward; the very first has no full phases, and a scaler may have
    skipped their updates."""
    found = times(2)
    found.phase[:3] = StepPhase.WARMUP
    for name, quick in {"forward": 100_000, "backward": 250_000, "optimizer": 1_000}.items():
        found.parts[name][0] = 500
        found.parts[name][1:3] = quick
    wall = np.sum(list(found.parts.values()), axis=0) + BETWEEN
    costs, graph = asked(record(PROGRAM, times=replace(found, wall_ns=wall)))
    assert costs is not None
    assert work(graph, costs[2]) == pytest.approx(0.95 * (100_000 + 250_000 + 50_000 + BETWEEN), rel=0.01)


def test_a_host_that_always_waited_shows_nothing() -> None:
    assert asked(record(PROGRAM, times=times(0)))[0] is None


def test_a_host_that_is_held_up_in_every_step_is_so_in_the_quickest() -> None:
    assert asked(record(HELD, times=times(2)))[0] is None


def test_a_step_with_fewer_micro_batches_is_not_a_quick_one() -> None:
    found = replace(times(2), microbatches=np.array([4] * 20 + [1] * 2))
    assert asked(record(PROGRAM, times=found))[0] is None


def test_steps_without_all_phases_show_nothing() -> None:
    found = times(2)
    parts = {name: column for name, column in found.parts.items() if name != "backward"}
    assert asked(record(PROGRAM, times=replace(found, parts=parts)))[0] is None


@pytest.mark.parametrize(("device_idle", "told"), [(0.0, True), (0.9, False)])
def test_only_where_the_device_is_busy_is_a_quick_step_one_without_waiting(device_idle: float, told: bool) -> None:
    """Phases of a late host differ by chance, and their mean is the host's."""
    rank = record(PROGRAM, times=times(2, device_idle=device_idle))
    graph = build(rank)
    assert graph is not None
    seen = seen_of([rank], graph, lambda cost: relieved(graph, Distortion(cost_ns=cost)), MAX_COST_NS)
    assert (seen.early_cost_ns is not None) is told
