"""Is the fullest moment of the host found, and what was not sampled left unknown?"""

from __future__ import annotations

import numpy as np
import pytest

from llmprof.analyzers.facts.host.host_memory import host_memory
from llmprof.timeline.environment import Environment
from llmprof.timeline.telemetry import Series
from llmprof.timeline.timeline import RankTimeline
from llmprof.timeline.topology import Node


def series(name: str, *values: float, device: int | None = None) -> Series:
    return Series(name, "", np.arange(len(values)) * 10**9, np.array(values), device)


def test_least_available_most_held_and_what_swap_grew_by() -> None:
    rank = RankTimeline(
        rank=0,
        events=None,
        telemetry=(
            series("available_bytes", 60, 15, 40),
            series("rss_bytes", 20, 45, np.nan),
            series("processes", 1, 5, 5),
            series("swap_in_bytes", 1000, 1000, 1300),
        ),
        environment=Environment(node=Node(memory_bytes=100, shm_bytes=8), memory_limit_bytes=64),
    )
    found = host_memory(rank)
    assert found is not None
    assert (found.available_bytes, found.held_bytes, found.processes, found.swapped_in_bytes) == (15, 45, 5, 300)
    assert (found.total_bytes, found.limit_bytes, found.shm_bytes) == (100, 64, 8)
    assert found.used_share == pytest.approx(0.85)


def test_a_device_is_no_host() -> None:
    rank = RankTimeline(rank=0, events=None, telemetry=(series("mem_used_bytes", 1, device=0),))
    assert host_memory(rank) is None


def test_unknown_is_not_zero() -> None:
    found = host_memory(RankTimeline(rank=0, events=None, telemetry=(series("cpu_percent", 100),)))
    assert found is not None
    assert (found.used_share, found.available_bytes, found.held_bytes, found.swapped_in_bytes) == (None,) * 4
