"""Allocator counters: read now and then, never reset, and absent without CUDA."""

from __future__ import annotations

import sys
import types

import pytest

from llmprof.collectors.live.allocator import Allocator, counters, reader
from tests.collectors.live.fake_session import FakeSession

torch = pytest.importorskip("torch")

STATS = {
    "allocated_bytes": {"all": {"current": 10, "peak": 20}},
    "reserved_bytes": {"all": {"current": 30, "peak": 40}},
    "inactive_split_bytes": {"all": {"current": 5}},
    "num_alloc_retries": 1,
    "num_ooms": 0,
    "num_device_alloc": 7,
}


class OutOfMemoryError(RuntimeError):
    """As torch.OutOfMemoryError is named."""


@pytest.fixture
def cuda(monkeypatch):
    """torch.cuda as on a machine with one device; any reset fails. Readings are counted."""
    readings = []

    def read(device):
        readings.append(device)
        return STATS

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: types.SimpleNamespace(total_memory=1000))
    monkeypatch.setattr(torch._C, "_cuda_memoryStats", read, raising=False)
    monkeypatch.setattr(torch.cuda, "memory_stats_as_nested_dict", lambda device: pytest.fail("the slow way"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda *a: pytest.fail("peaks were reset"))
    return readings


def written(session: FakeSession) -> list[tuple[str, dict]]:
    """The lines as the session's thread writes them."""
    return [(name, line() if callable(line) else line) for name, line in session.lines]


def run(tmp_path, steps: int, **options: int) -> FakeSession:
    session = FakeSession(tmp_path, options=options)
    session.train(Allocator(), steps, lambda n: None)
    return session


def test_a_line_every_hundred_steps_and_one_at_the_end(tmp_path, cuda):
    session = FakeSession(tmp_path)
    allocator = Allocator()
    allocator.start(session)
    for n in range(227):
        session.current_step = n + 1
        if n >= allocator.next_step:
            allocator.on_step({"n": n, "phase": "baseline"})
    allocator.stop()
    assert [(name, line["n"]) for name, line in written(session)] == [
        ("allocator.jsonl", n) for n in (0, 100, 200, 226)
    ]


def test_a_reading_is_one_call_and_its_line_is_made_elsewhere(tmp_path, cuda):
    session, allocator = FakeSession(tmp_path), Allocator()
    allocator.start(session)
    cuda.clear()
    calls = []
    sys.setprofile(lambda frame, event, argument: calls.append(frame.f_code.co_name) if event == "call" else None)
    try:
        allocator.on_step({"n": 7, "phase": "baseline"})
    finally:
        sys.setprofile(None)
    assert (cuda, calls) == ([0], ["on_step", "read"])
    assert written(session) == [("allocator.jsonl", {"n": 7, **counters(STATS)})]


def test_without_the_private_binding_the_public_function_is_read(monkeypatch):
    monkeypatch.setattr(torch.cuda, "memory_stats_as_nested_dict", lambda device: {"device": device})
    monkeypatch.delattr(torch._C, "_cuda_memoryStats", raising=False)
    assert reader(torch, 3)() == {"device": 3}

    def changed(device, other):
        return {}

    monkeypatch.setattr(torch._C, "_cuda_memoryStats", changed, raising=False)
    assert reader(torch, 3)() == {"device": 3}


def test_nothing_is_read_between_traced_steps(tmp_path, cuda):
    session, allocator = FakeSession(tmp_path), Allocator()
    allocator.start(session)
    for n, phase in enumerate(("baseline", "unsteady", "traced", "unsteady", "after")):  # called at each change
        allocator.on_step({"n": n, "phase": phase})
    assert [line["n"] for _, line in written(session)] == [0, 1, 3, 4]


def test_the_counters_are_the_allocator_s(tmp_path, cuda):
    assert counters(STATS) == {
        "allocated": 10,
        "reserved": 30,
        "peak_allocated": 20,
        "peak_reserved": 40,
        "retries": 1,
        "ooms": 0,
        "inactive_split": 5,
        "device_alloc": 7,
    }  # device_free is not in STATS: it is left out, not 0


def test_capacity_is_noted_once(tmp_path, cuda):
    assert run(tmp_path, 3).rank_json["memory"] == {"capacity_bytes": 1000}


def test_a_limit_that_the_script_sets_is_the_capacity(tmp_path, cuda, monkeypatch):
    """torch.cuda.set_per_process_memory_fraction(0.25) leaves a quarter of the device."""
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda: 0.25, raising=False)
    assert run(tmp_path, 3).rank_json["memory"] == {"capacity_bytes": 250}


def test_dying_of_a_full_device_is_noted_with_its_message(tmp_path, cuda, monkeypatch):
    monkeypatch.setattr(sys, "last_value", OutOfMemoryError("tried to allocate 2 GiB"), raising=False)
    assert run(tmp_path, 3).rank_json["memory"]["out_of_memory"] == "tried to allocate 2 GiB"


def test_another_exception_is_no_full_device(tmp_path, cuda, monkeypatch):
    monkeypatch.setattr(sys, "last_value", ValueError("no"), raising=False)
    assert "out_of_memory" not in run(tmp_path, 3).rank_json["memory"]


def test_without_cuda_nothing_is_written(tmp_path):
    if torch.cuda.is_initialized():
        pytest.skip("CUDA is in use in this process")
    session = run(tmp_path, 12)
    assert (session.lines, session.rank_json) == ([], {})
    assert session.statuses["allocator"] == ("absent", "no allocator counters: this process does not use CUDA")
