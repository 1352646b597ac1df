"""The GPU during the counted steps: samples outside of them do not count, what was not sampled is unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from llmprof.analyzers.facts.device.hardware import HardwareFacts, hardware_facts
from llmprof.timeline.environment import Environment
from llmprof.timeline.steps import StepPhase, StepTimes
from llmprof.timeline.telemetry import Series
from llmprof.timeline.timeline import RankTimeline
from llmprof.timeline.topology import Gpu, Node

T0 = 1_790_000_000_000_000_000
STEP = 100_000_000
"""Thirty baseline steps of 100 ms follow on ten of warm-up; a sample lies in the middle of every step."""
STEPS = 40


def times() -> StepTimes:
    number = np.arange(STEPS)
    return StepTimes(
        number=number,
        start_ns=T0 + number * STEP,
        wall_ns=np.full(STEPS, STEP),
        phase=np.where(number < 10, StepPhase.WARMUP, StepPhase.BASELINE).astype(np.uint8),
    )


def series(name: str, value: Any, *, warmup: float = 0.0, device: int = 0) -> Series:
    """`value` (one, or thirty) in the baseline steps."""
    values = np.concatenate([np.full(10, warmup), np.broadcast_to(np.asarray(value, np.float64), 30)])
    return Series(name, "", T0 + np.arange(STEPS) * STEP + STEP // 2, values, device)


def measure(*telemetry: Series, **environment: Any) -> HardwareFacts:
    timeline = RankTimeline(
        rank=0, events=None, times=times(), telemetry=telemetry, environment=Environment(**environment)
    )
    found = hardware_facts(timeline)
    assert found is not None
    return found


def test_nothing_was_sampled_and_nothing_is_known():
    assert hardware_facts(RankTimeline(rank=0, events=None, times=times())) is None


def test_means_are_of_the_counted_steps():
    found = measure(series("gpu_util", 90, warmup=10), series("sm_active", 50, warmup=1), series("power_w", 600))
    assert (found.utilization, found.power_w, found.samples) == (0.9, 600, 30)
    assert found.activity == {"sm_active": 0.5}


def test_a_refused_field_is_unknown_not_zero():
    found = measure(series("gpu_util", np.nan, warmup=np.nan), series("power_w", 600))
    assert (found.utilization, found.temperature_c, found.slowed_share) == (None, None, None)
    assert found.activity == {}


def test_reasons_by_name_as_shares_of_the_samples():
    """Power cap in all, hardware slowdown in 3 and thermal in 6 of 30 samples, 2 of them together."""
    bits = np.full(30, 0x4)
    bits[:3] |= 0x8
    bits[1:7] |= 0x40
    found = measure(series("throttle_reasons", bits, warmup=0x80))
    assert found.reasons == {
        "software-power-cap": pytest.approx(1.0),
        "hardware-slowdown": pytest.approx(0.1),
        "hardware-thermal": pytest.approx(0.2),
    }
    assert found.slowed_share == pytest.approx(7 / 30)


def test_clocks_without_a_reason_are_not_slowed():
    found = measure(series("throttle_reasons", 0))
    assert (found.reasons, found.slowed_share) == ({}, 0.0)


def test_time_that_the_driver_counted_as_held_down():
    """The counter grows by 25 ms in each 100 ms."""
    found = measure(series("power_violation_ns", np.arange(30) * 25_000_000.0), series("thermal_violation_ns", 7.0))
    assert found.power_held_share == pytest.approx(0.25)
    assert found.thermal_held_share == 0.0


def test_clocks_against_what_the_gpu_can_do():
    found = measure(series("sm_mhz", 1485, warmup=345), node=Node(gpus=(Gpu(index=2, sm_mhz_max=1980),)), gpu_index=2)
    assert (found.sm_mhz, found.sm_mhz_max) == (1485, 1980)
    assert found.clock_share == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("generation", "width", "below"), [(5, 16, False), (4, 16, True), (5, 8, True), (np.nan, np.nan, None)]
)
def test_the_pcie_link_at_its_best_against_what_it_can_be(generation, width, below):
    """A link without traffic falls back: only its best counts."""
    seen = np.ones(30)
    seen[7] = generation
    gpu = Gpu(index=0, pcie_gen_max=5, pcie_width_max=16)
    samples = [series("pcie_gen", np.nan if below is None else seen, warmup=np.nan), series("pcie_width", width)]
    assert measure(*samples, node=Node(gpus=(gpu,)), gpu_index=0).pcie_below_max is below


@pytest.mark.parametrize(
    ("affinity", "far"), [("32-63", True), ("0-31", False), ("4-7", False), ("0-63", False), (None, None)]
)
def test_cpus_of_the_rank_against_those_near_to_its_gpu(affinity, far):
    node = Node(gpus=(Gpu(index=0, numa_node=0),), numa_nodes={"0": "0-31", "1": "32-63"})
    assert measure(node=node, gpu_index=0, cpu_affinity=affinity).far_cpus is far


@pytest.mark.parametrize(
    "node",
    [
        Node(gpus=(Gpu(index=0, numa_node=0),), numa_nodes={"0": "0-63"}),  # one node: nothing is far
        Node(gpus=(Gpu(index=0),), numa_nodes={"0": "0-31", "1": "32-63"}),
        Node(gpus=(Gpu(index=0, numa_node=5),), numa_nodes={"0": "0-31", "1": "32-63"}),
        Node(gpus=(Gpu(index=0, numa_node=0),), numa_nodes={"0": "damage", "1": "32-63"}),
    ],
)
def test_where_the_place_of_the_gpu_is_not_known_nothing_is_far(node):
    assert measure(node=node, gpu_index=0, cpu_affinity="32-63").far_cpus is None


def test_what_the_driver_calls_near_stands_for_an_unknown_node():
    node = Node(gpus=(Gpu(index=0, cpu_affinity="0-31"),), numa_nodes={"0": "0-31", "1": "32-63"})
    assert measure(node=node, gpu_index=0, cpu_affinity="32-63").far_cpus is True


def test_others_on_the_gpu_and_errors_that_came_during_the_steps():
    others = np.zeros(30)
    others[4] = 2
    found = measure(
        series("other_processes", others),
        series("other_mem_bytes", others * 1e9),
        series("ecc_uncorrected", 3, warmup=1),
        series("ecc_corrected", np.arange(30)),
    )
    assert (found.other_processes, found.other_bytes) == (2, 2_000_000_000)
    assert (found.ecc_uncorrected, found.ecc_corrected) == (0, 29)


def test_of_several_gpus_none_is_taken_for_the_ranks_own():
    telemetry = (series("power_w", 600), series("power_w", 100, device=1))
    timeline = RankTimeline(rank=0, events=None, times=times(), telemetry=telemetry)
    assert hardware_facts(timeline) is None


def test_without_step_times_all_samples_count():
    timeline = RankTimeline(rank=0, events=None, telemetry=(series("power_w", 600, warmup=200),))
    found = hardware_facts(timeline)
    assert found is not None
    assert found.power_w == pytest.approx(500)
