"""A burst of very many events ends early, with a reason, before it fills the memory or the disk."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from llmprof.collectors.live import burst_limits
from llmprof.collectors.live.burst_limits import (
    MOST_EVENTS,
    RECORDED,
    BurstLimits,
    available_memory,
    is_whole,
    resident_memory,
)

GIB = 1 << 30


class Machine:
    """A process that grows as the test says."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *, memory: int | None = 1000 * GIB, free: int = 1000 * GIB
    ) -> None:
        self.resident = GIB
        self.memory, self.free = memory, free
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(burst_limits, "available_memory", lambda: self.memory)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, self.free))
        monkeypatch.setattr(burst_limits, "LOOK_EVERY_S", 0.0)

    def limits(self, *, shapes: bool = False, ranks: int = 1) -> BurstLimits:
        limits = BurstLimits(Path(), shapes=shapes, ranks=ranks, resident=lambda: self.resident)
        assert limits.begin() is None
        return limits

    def grow(self, events: float) -> None:
        self.resident += int(events * RECORDED)


def test_an_ordinary_burst_is_let_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    limits = machine.limits()
    machine.grow(200_000)
    assert limits.too_large() is None


def test_millions_of_events_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    limits = machine.limits()
    machine.grow(MOST_EVENTS * 1.1)
    assert "million events" in str(limits.too_large())


def test_what_stopping_will_take_counts_not_what_is_held_now(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, memory=4 * GIB)
    limits = machine.limits()
    machine.grow(900_000)  # holds 0.4 GiB; a quarter of 4 GiB is left for 1.3 more
    assert "of memory" in str(limits.too_large())


def test_ranks_of_a_node_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, memory=16 * GIB)
    alone, one_of_eight = machine.limits(), machine.limits(ranks=8)
    machine.grow(500_000)
    assert alone.too_large() is None
    assert one_of_eight.too_large() is not None


def test_a_small_disk_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, free=GIB)
    limits = machine.limits()
    machine.grow(1_000_000)
    assert "on a disk with 1.0 GiB left" in str(limits.too_large())


def test_a_full_disk_is_noticed_before_anything_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, free=1000)
    assert BurstLimits(Path(), shapes=False, ranks=1, resident=lambda: 0).begin() is not None
    del machine


def test_it_is_quick_when_asked_at_every_microbatch(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    monkeypatch.setattr(burst_limits, "LOOK_EVERY_S", 3600.0)
    limits = machine.limits()
    machine.grow(10 * MOST_EVENTS)
    assert limits.too_large() is None
    assert limits.too_large(force=True) is not None


def test_a_system_that_tells_nothing_limits_nothing_but_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, memory=None)
    limits = BurstLimits(Path(), shapes=False, ranks=1, resident=lambda: None)
    assert limits.begin() is None
    assert limits.too_large(force=True) is None
    machine.free = 0
    assert limits.too_large(force=True) is not None


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc on this system")
def test_memory_is_read_from_the_system() -> None:
    resident, available = resident_memory(), available_memory()
    assert resident is not None
    assert available is not None
    assert 1 << 20 < resident < 1 << 40
    assert available > 1 << 20


@pytest.mark.parametrize(("text", "whole"), [('{"a": [1]}\n', True), ('{"a": [1', False), ("", False)])
def test_a_trace_that_was_cut_is_no_trace(tmp_path: Path, text: str, whole: bool) -> None:
    (tmp_path / "trace.json").write_text(text)
    assert is_whole(tmp_path / "trace.json") == whole


def test_a_trace_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert not is_whole(tmp_path / "trace.json")
