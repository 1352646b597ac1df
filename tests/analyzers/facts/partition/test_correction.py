"""The traced step is brought back to the measured one: device work keeps its length, the host gets its own back."""

from __future__ import annotations

import numpy as np
import pytest

from llmprof.analyzers.facts.partition.correction import (
    ELASTIC,
    MAX_COST_NS,
    Correction,
    Elastic,
    elastic_of,
    host_events,
    waited_longer,
)
from llmprof.analyzers.facts.partition.correction import correct as correct_elastic
from llmprof.analyzers.facts.partition.partition import Partition, device_partition
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.timeline.events import EventTable
from tests.scenarios.builder import TraceBuilder

GEMM = "nvjet_tst_128x256_64x4_2x1_v_bz_TNT"
US = 1_000
MS = 1_000_000


def launch_bound(cost_ns: int, kernels: int = 200) -> tuple[Partition, EventTable]:
    """One step of `kernels` kernels of 10 µs, each after 30 µs of host work in which 4 operators were recorded.

    Recording made each operator `cost_ns` longer, so the truth without the profiler is `kernels` x 40 µs.
    """
    b = TraceBuilder()
    now = 0
    for _ in range(kernels):
        for _ in range(4):
            b.op("aten::add", now, 5 * US)
            now += 30 * US // 4 + cost_ns
        b.kernel(GEMM, now, 10 * US, launch_ns=now - 1, launch_dur_ns=1)
        now += 10 * US
    b.step(0, 0, now)
    rank = b.rank()
    windows = windows_of(rank)
    assert rank.events is not None and windows is not None
    return device_partition(rank.events, windows), rank.events


def elastic(traced: Partition, events: EventTable) -> Elastic:
    return elastic_of({name: spans for name, spans in traced.spans.items() if name in ELASTIC}, host_events(events))


def correct(
    traced: Partition, events: EventTable, step_ns: float, measured: dict[str, float] | None = None
) -> Correction:
    return correct_elastic(traced, elastic(traced, events), 1, step_ns, measured)


def test_the_planted_cost_of_an_event_is_found_and_taken_off_the_host() -> None:
    traced, events = launch_bound(cost_ns=3 * US)
    found = correct(traced, events, step_ns=200 * 40 * US)
    assert traced.step_ns == pytest.approx(200 * 52 * US)
    # Five host events an interval are recorded: four operators and the launch.
    assert found.event_cost_ns == pytest.approx(3 * US * 4 / 5, rel=0.02)
    assert found.partition.parts["compute"] == 200 * 10 * US
    assert found.partition.parts["host"] == pytest.approx(200 * 30 * US, rel=0.001)
    assert found.remainder_ns == pytest.approx(0, abs=1 * US)


def test_the_corrected_parts_sum_to_the_measured_step() -> None:
    traced, events = launch_bound(cost_ns=2 * US)
    for step_ns in (3 * MS, 8 * MS, 20 * MS):
        assert sum(correct(traced, events, step_ns).partition.parts.values()) == pytest.approx(step_ns)


def test_a_step_longer_than_its_trace_leaves_an_unexplained_remainder() -> None:
    traced, events = launch_bound(cost_ns=0)
    found = correct(traced, events, step_ns=traced.step_ns + 1 * MS)
    assert found.remainder_ns == pytest.approx(1 * MS)
    assert found.partition.detail["untraced"] == pytest.approx(1 * MS)
    assert found.partition.parts["other"] == pytest.approx(1 * MS)


def test_a_cost_beyond_belief_is_not_fitted_but_reported() -> None:
    traced, events = launch_bound(cost_ns=1 * US, kernels=10)
    found = correct(traced, events, step_ns=10 * 10 * US)  # as if all host time were the profiler's
    assert found.event_cost_ns <= 15_000
    assert sum(found.partition.parts.values()) == pytest.approx(10 * 10 * US)


def test_measured_classes_replace_the_traces_estimate() -> None:
    traced, events = launch_bound(cost_ns=0)
    found = correct(traced, events, traced.step_ns + 2 * MS, {"wait": 1.5 * MS, "checkpoint": 0.5 * MS})
    assert found.partition.parts["data"] == 1.5 * MS
    assert found.partition.stall_classes == {"checkpoint": 0.5 * MS}
    assert found.remainder_ns == pytest.approx(0, abs=1)


def total_left(rows: Elastic, cost_ns: float) -> float:
    return float(np.maximum(rows.length_ns - cost_ns * rows.events, 0.0).sum())


def test_joined_rows_shrink_as_the_single_ones_do() -> None:
    """Whatever the cost of an event is: exactly while the distinct limits fit, and closely when they do not."""
    rng = np.random.default_rng(3)
    length = rng.integers(1_000, 200_000, 20_000).astype(np.float64)
    owner = rng.integers(0, 2, length.size)
    many = Elastic(("launch", "sync"), length, rng.integers(0, 12, length.size).astype(np.float64), owner)
    roomy, tight = many.binned(1 << 20), many.binned(512)
    assert len(roomy.length_ns) < len(many.length_ns) and len(tight.length_ns) <= 2 * 512
    for cost in (0.0, 700.0, 4_000.0, MAX_COST_NS):
        assert total_left(roomy, cost) == pytest.approx(total_left(many, cost), rel=1e-9)
        assert total_left(tight, cost) == pytest.approx(total_left(many, cost), rel=1e-3)
    for name in range(2):
        assert tight.length_ns[tight.owner == name].sum() == pytest.approx(length[owner == name].sum())


@pytest.mark.parametrize(("longer_ms", "moved_ms"), [(4.0, 6.0), (2.0, 2.0), (9.0, 6.0)])
def test_a_host_that_was_seen_to_take_longer_is_waited_for(longer_ms: float, moved_ms: float) -> None:
    """6 ms beyond the trace: all of it is the host's where it took most of that longer, else what it took longer."""
    parts = {"compute": 3e6, "host": 1e6, "other": 6e6}
    before = Partition(step_ns=10e6, parts=parts, detail={"launch": 1e6, "untraced": 6e6})
    found = waited_longer(Correction(partition=before, remainder_ns=6e6, event_cost_ns=0.0), longer_ms * MS)
    assert found.partition.detail["launch"] == pytest.approx((1 + moved_ms) * MS)
    assert found.partition.parts["host"] == pytest.approx((1 + moved_ms) * MS)
    assert found.remainder_ns == found.partition.detail["untraced"] == pytest.approx((6 - moved_ms) * MS)
    assert sum(found.partition.parts.values()) == pytest.approx(10 * MS)
