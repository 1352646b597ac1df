"""Are pauses, allocator counts, CPU use and numbers of tokens read as they were measured?"""

from __future__ import annotations

import numpy as np
import pytest

from llmprof.analyzers.facts.host.host_causes import host_causes
from llmprof.analyzers.facts.measure import measure
from llmprof.timeline.environment import Device, Environment
from llmprof.timeline.memory import AllocatorStats
from llmprof.timeline.steps import StepPhase, StepTimes
from llmprof.timeline.telemetry import Series
from llmprof.timeline.timeline import RankTimeline, Timeline

MS = 1_000_000


def times_of(wall_ms: list[float], gc_ms: list[float], tokens: list[int] | None = None) -> StepTimes:
    wall = (np.array(wall_ms) * MS).astype(np.int64)
    start = np.concatenate([[0], np.cumsum(wall)[:-1]]).astype(np.int64)
    return StepTimes(
        number=np.arange(wall.size),
        start_ns=start,
        wall_ns=wall,
        phase=np.full(wall.size, StepPhase.BASELINE, dtype=np.uint8),
        parts={"gc": (np.array(gc_ms) * MS).astype(np.int64)},
        tokens=None if tokens is None else np.array(tokens, dtype=np.int64),
    )


def rank_of(times: StepTimes | None, **fields: object) -> RankTimeline:
    return RankTimeline(rank=0, events=None, times=times, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("felt", [0.0, 0.25, 1.0])
def test_what_the_steps_feel_of_pauses_is_their_slope(felt: float) -> None:
    """Steps of 50 ms; every fifth has a pause of 20 ms, of which a part is hidden behind queued work."""
    pause = [20.0 if n % 5 == 0 else 0.0 for n in range(60)]
    noise = [0.01 * (n % 3 - 1) for n in range(60)]
    wall = [50.0 + felt * p + e for p, e in zip(pause, noise, strict=True)]
    found = host_causes(rank_of(times_of(wall, pause)), None, None).collections
    assert found is not None and found.felt_ns is not None and found.felt_error_ns is not None
    assert found.mean_ns == pytest.approx(4 * MS)
    assert found.felt_ns == pytest.approx(felt * 4 * MS, abs=2 * found.felt_error_ns + 1)
    assert found.felt_error_ns < 0.01 * MS


def test_pauses_that_are_alike_in_all_steps_cannot_be_compared() -> None:
    found = host_causes(rank_of(times_of([50.0] * 30, [5.0] * 30)), None, None).collections
    assert found is not None
    assert (found.felt_ns, found.steps_share) == (None, 1.0)


@pytest.mark.parametrize(
    ("pauses", "least"),
    [
        ([15.0] * 41 + [1264.0], 15.0),  # comes once in the steps seen: how often, they do not tell
        ([5.0] * 30, 5.0),
        ([0.0, 0.0, 20.0] * 30, 20 / 3 - 2 * 9.481 / 90**0.5),  # every third step
        ([0.0] * 39 + [40.0], 0.0),
    ],
)
def test_what_pauses_cost_at_least_leaves_rare_ones_out(pauses: list[float], least: float) -> None:
    found = host_causes(rank_of(times_of([50.0 + pause for pause in pauses], pauses)), None, None).collections
    assert found is not None and found.least_ns == pytest.approx(least * MS, rel=0.01, abs=1)


def test_what_the_allocator_counted_is_per_step() -> None:
    stats = AllocatorStats(device_allocations=200, device_frees=100, retries=0, measured_steps=50)
    found = host_causes(rank_of(None, memory=stats), None, None).allocator
    assert found is not None
    assert (found.allocations, found.frees, found.retries, found.steps) == (4.0, 2.0, 0.0, 50)


def test_cpu_use_is_that_of_the_counted_steps() -> None:
    times = times_of([1000.0] * 4, [0.0] * 4)
    t = np.array([-5, 1, 2, 90], dtype=np.int64) * 1_000_000_000
    used = Series("cpu_percent", "%", t, np.array([900.0, 300.0, 500.0, 900.0]))
    found = host_causes(rank_of(times, telemetry=(used,)), None, None).load
    assert found is not None and found.cores_used == pytest.approx(4.0)


def test_numbers_of_tokens_are_counted_once_each() -> None:
    times = times_of([50.0] * 4, [0.0] * 4, tokens=[128, 256, 128, -1])
    assert host_causes(rank_of(times), None, None).token_counts == 2


def test_nothing_is_made_up_without_measured_steps() -> None:
    found = host_causes(rank_of(None), None, None)
    assert (found.collections, found.allocator, found.load, found.token_counts) == (None, None, None, None)


@pytest.mark.parametrize("felt", [0.0, 1.0])
def test_a_run_on_a_device_is_charged_the_pauses_that_its_steps_feel(felt: float) -> None:
    pause = [20.0 if n % 5 == 0 else 0.0 for n in range(60)]
    wall = [50.0 + felt * p + 0.01 * (n % 3 - 1) for n, p in enumerate(pause)]
    rank = rank_of(times_of(wall, pause), environment=Environment(device=Device(name="NVIDIA H200")))
    partition = measure(Timeline(ranks=(rank,), kind="run", paths=("run",))).critical.partition
    charged = 0.0 if partition is None else partition.stall_classes.get("gc", 0.0)
    assert charged == pytest.approx(felt * 4 * MS, rel=0.01)
