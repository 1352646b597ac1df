"""Bursts that are asked for: granted within the number of traced steps, on all ranks, and refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmprof.collectors.live import burst_requests
from llmprof.collectors.live.burst_requests import LEAD_STEPS
from llmprof.collectors.live.torch_trace import TorchTrace
from llmprof.timeline import rundir
from tests.collectors.live.fake_session import FakeSession

torch = pytest.importorskip("torch")


class Job:
    """One rank that trains on, with its writing thread in the place of the test."""

    def __init__(self, run: Path, *, rank: int = 0, world_size: int = 1, **options: int) -> None:
        self.session = FakeSession(run, rank=rank, world_size=world_size, options=options)
        self.trace = TorchTrace()
        self.trace.start(self.session)  # type: ignore[arg-type]

    def train(self, steps: int, wall_ns: int = 1_000_000) -> None:
        session = self.session
        for n in range(session.current_step, session.current_step + steps):
            torch.ones(3) + 1
            line = {"n": n, "t": n * wall_ns, "wall": wall_ns, "phase": session.phase, "micro": 1}
            session.current_step = n + 1
            self.trace.on_step(line)
            for call in session.on_lines:
                call(rundir.STEPS, line)

    def flush(self) -> None:
        for call in self.session.every_flush:
            call()

    def ask(self, **request: Any) -> dict[str, Any]:
        run = self.session.run_dir
        rundir.write_json_atomic(run / rundir.TRIGGER, {"id": "one", **request})
        self.flush()
        return rundir.read_json(run / rundir.TRIGGER_ANSWER)

    @property
    def bursts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.session.rank_json.get("bursts", [])
        return found


def test_a_request_is_answered_and_traced_at_least_20_steps_ahead(tmp_path: Path) -> None:
    job = Job(tmp_path, burst_at=5)
    job.train(50)
    said = job.ask()
    assert said["accepted"]
    assert (said["id"], said["first_step"] - 50) == ("one", LEAD_STEPS + 2)
    job.train(60)
    first, second = job.bursts
    assert second["steps"] == list(range(said["first_step"], said["first_step"] + 4))
    assert (first["file"], second["file"]) == ("trace.json", "trace.1.json")
    assert (job.session.rank_dir / "trace_shapes.1.json").exists()
    job.trace.stop()


def test_the_steps_before_a_later_burst_are_its_baseline(tmp_path: Path) -> None:
    job = Job(tmp_path, burst_at=5)
    job.train(50)
    assert job.session.phase == "after"
    job.ask()
    job.train(10)
    assert job.session.phase == "baseline"
    job.train(50)
    assert job.session.phase == "after"
    job.trace.stop()


def test_the_run_traces_ten_steps_and_more_only_by_name(tmp_path: Path) -> None:
    job = Job(tmp_path, burst_at=5)
    job.train(50)
    assert job.ask()["steps"] == 4
    job.train(60)
    refused = job.ask()
    assert not refused["accepted"]
    assert "--steps" in refused["message"]
    by_name = job.ask(steps=3, shape_steps=0)
    assert (by_name["accepted"], by_name["steps"], by_name["shape_steps"]) == (True, 3, 0)
    job.trace.stop()


@pytest.mark.parametrize(
    ("steps_before", "options", "why"),
    [
        (5, {}, "own burst is still to come"),
        (3, {"burst_at": 40}, "planned already"),
        (10, {"burst_at": 9}, "under way"),
    ],
)
def test_one_burst_at_a_time(tmp_path: Path, steps_before: int, options: dict[str, int], why: str) -> None:
    job = Job(tmp_path, **options)
    job.train(steps_before)
    said = job.ask()
    assert not said["accepted"]
    assert why in said["message"]
    job.trace.stop()


def test_none_under_nsys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NSYS_PROFILING_SESSION_ID", "12")
    job = Job(tmp_path, trace_steps=0)
    job.train(5)
    assert "nsys" in job.ask()["message"]


def test_none_where_cuda_graphs_and_an_old_cuda_forbid_a_second_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(tmp_path, burst_at=5)
    job.train(50)
    monkeypatch.setattr(torch.version, "cuda", "12.4")
    monkeypatch.setattr("llmprof.collectors.live.burst.cuda_in_use", lambda: True)
    monkeypatch.setattr("llmprof.collectors.live.burst.uses_cuda_graphs", lambda: True)
    said = job.ask()
    assert not said["accepted"]
    assert "CUDA 12.6 or newer" in said["message"]
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    assert job.ask()["accepted"]
    job.trace.stop()


def test_where_tracing_was_switched_off_it_can_still_be_asked_for(tmp_path: Path) -> None:
    job = Job(tmp_path, trace_steps=0)
    job.train(10)
    assert job.ask()["accepted"]
    job.train(60)
    assert len(job.bursts) == 1
    job.trace.stop()


def test_a_request_that_was_there_before_the_job_is_not_for_it(tmp_path: Path) -> None:
    rundir.write_json_atomic(tmp_path / rundir.TRIGGER, {"id": "old"})
    job = Job(tmp_path, burst_at=5)
    job.train(30)
    job.flush()
    assert not (tmp_path / rundir.TRIGGER_ANSWER).exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"steps": "many", "shape_steps": -3, "stacks": 5}'])
def test_a_damaged_request_does_no_harm(tmp_path: Path, text: str) -> None:
    job = Job(tmp_path, burst_at=5)
    job.train(30)
    (tmp_path / rundir.TRIGGER).write_text(text)
    job.flush()
    job.train(60)
    assert not job.session.disarmed
    job.trace.stop()


def test_all_ranks_trace_the_same_later_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(burst_requests, "LEAD_NS", 0)
    jobs = [Job(tmp_path, rank=rank, world_size=2, burst_at=5) for rank in range(2)]
    for job in jobs:
        job.train(30)
    assert "on all 2 ranks" in jobs[0].ask()["message"]
    jobs[1].flush()
    for job in jobs:
        job.train(60)
        job.trace.stop()
    first, second = (job.bursts[1]["steps"] for job in jobs)
    assert first == second != []


def test_other_ranks_are_given_time_to_hear_of_it(tmp_path: Path) -> None:
    job = Job(tmp_path, world_size=2, burst_at=5)
    job.train(50, wall_ns=10_000_000)
    assert job.ask()["first_step"] - 50 >= 600  # six seconds of 10 ms
    job.trace.stop()


def slow_down(job: Job) -> None:
    """A run that is steady for a minute, and then takes half as long again."""
    job.train(1_300, wall_ns=50_000_000)
    job.flush()
    job.train(600, wall_ns=75_000_000)
    job.flush()


def armed(job: Job) -> list[dict[str, Any]]:
    return [event for event in job.session.events if event["kind"] == "burst_armed"]


def test_a_run_that_becomes_slower_traces_itself_once(tmp_path: Path) -> None:
    job = Job(tmp_path, burst_at=5)
    slow_down(job)
    [event] = armed(job)
    assert event["cause"] == "regression"
    assert event["reason"].startswith("the step takes 75.0 ms instead of 50.0 ms")
    job.train(100)
    assert [report["cause"] for report in job.bursts] == ["plan", "regression"]
    job.train(600, wall_ns=150_000_000)
    job.flush()
    assert len(armed(job)) == 1
    job.trace.stop()


def test_not_where_the_traced_steps_are_used_up(tmp_path: Path) -> None:
    job = Job(tmp_path, burst_at=5, most_traced_steps=5)
    slow_down(job)
    assert armed(job) == []
    [event] = [event for event in job.session.events if event["kind"] == "burst_refused"]
    assert "used up" in event["reason"]
    job.trace.stop()


def test_a_plan_of_a_newer_version_is_read(tmp_path: Path) -> None:
    session = FakeSession(tmp_path, rank=1, world_size=2)
    plan = {"first_step": 9, "steps": 1, "shape_steps": 0, "attempt": "", "colour": "blue"}
    (tmp_path / rundir.BURST).write_text(json.dumps(plan))
    found = burst_requests.read_plan(session)  # type: ignore[arg-type]
    assert found is not None
    assert (found.first_step, found.burst) == (9, 0)
