"""The burst traces exactly the planned steps, says why it did not, and never gets in the script's way."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from llmprof.collectors.live import torch_trace
from llmprof.collectors.live.burst_plan import ARM_STEPS
from llmprof.collectors.live.collector import NEVER
from llmprof.collectors.live.torch_trace import TorchTrace
from tests.collectors.live.fake_session import FakeSession

torch = pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def step():
    """One small training step on the CPU."""
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def work(n: int) -> None:
        optimizer.zero_grad()
        model(torch.ones(4, 8)).sum().backward()
        optimizer.step()

    return work


def marks(path: Path) -> list[int]:
    """Numbers of the ProfilerStep annotations of a trace, in order of time."""
    events = json.loads(path.read_text())["traceEvents"]
    found = {(e["ts"], e["name"]) for e in events if e.get("name", "").startswith("ProfilerStep#")}
    return [int(name.split("#")[1]) for _, name in sorted(found)]


def names(path: Path) -> set[str]:
    return {e.get("name", "") for e in json.loads(path.read_text())["traceEvents"]}


def shaped(path: Path) -> bool:
    return any("Input Dims" in e.get("args", {}) for e in json.loads(path.read_text())["traceEvents"])


def test_annotations_carry_the_run_s_own_step_numbers(tmp_path, step):
    session = FakeSession(tmp_path, options={"baseline_steps": 5})
    session.train(TorchTrace(), 30, step)

    plan = json.loads((tmp_path / "burst.json").read_text())
    first = plan["first_step"]
    expected = list(range(first, first + 4))
    assert marks(session.rank_dir / "trace.json") == expected
    assert session.rank_json["trace"]["steps"] == expected
    assert not session.disarmed


def test_burst_begins_only_after_the_baseline(tmp_path, step):
    session = FakeSession(tmp_path, options={"baseline_steps": 5})
    session.train(TorchTrace(), 30, step)
    first = json.loads((tmp_path / "burst.json").read_text())["first_step"]
    assert [session.phases[n] for n in range(first)].count("baseline") >= 5


def test_phases_tell_traced_steps_from_their_neighbours(tmp_path, step):
    session = FakeSession(tmp_path, options={"burst_at": 6, "shape_steps": 1})
    session.train(TorchTrace(), 16, step)
    assert [session.phases[n] for n in range(16)] == (
        ["baseline"] * 4 + ["unsteady"] * 2 + ["traced"] * 4 + ["unsteady"] * 3 + ["after"] * 3
    )


def test_times_are_recorded_without_shapes_and_names_with_them(tmp_path, step):
    session = FakeSession(tmp_path, options={"burst_at": 3})
    session.train(TorchTrace(), 16, step)
    assert "aten::linear" in names(session.rank_dir / "trace.json")
    assert not shaped(session.rank_dir / "trace.json")
    assert shaped(session.rank_dir / "trace_shapes.json")
    assert session.rank_json["trace"]["shapes_file"] == "trace_shapes.json"


def test_without_a_gpu_there_is_no_cupti_to_tear_down(tmp_path, step):
    session = FakeSession(tmp_path, options={"burst_at": 3})
    session.train(TorchTrace(), 16, step)
    assert session.rank_json["trace"]["cupti_torn_down"] is None


def test_shape_steps_0_leaves_part_b_out(tmp_path, step):
    session = FakeSession(tmp_path, options={"burst_at": 3, "shape_steps": 0, "trace_steps": 2})
    session.train(TorchTrace(), 12, step)
    assert marks(session.rank_dir / "trace.json") == [3, 4]
    assert not (session.rank_dir / "trace_shapes.json").exists()


def test_trace_steps_0_records_nothing_and_says_so(tmp_path, step):
    session = FakeSession(tmp_path, options={"trace_steps": 0, "burst_at": 3})
    session.train(TorchTrace(), 10, step)
    assert not (session.rank_dir / "trace.json").exists()
    assert session.statuses["torch_trace"] == ("absent", "tracing was switched off (trace_steps is 0)")


def test_a_burst_asked_for_too_early_comes_as_early_as_it_can(tmp_path, step):
    session = FakeSession(tmp_path, options={"burst_at": 0, "trace_steps": 2})
    session.train(TorchTrace(), 12, step)
    assert session.rank_json["trace"]["steps"] == [3, 4]


def test_a_short_run_says_how_many_baseline_steps_it_had(tmp_path, step):
    session = FakeSession(tmp_path)
    session.train(TorchTrace(), 8, step)
    reason = "the run ended after 8 of 20 baseline steps"
    assert session.events == [{"kind": "burst_skipped", "burst": 0, "reason": reason}]


def test_a_run_that_ends_inside_the_burst_keeps_its_whole_steps(tmp_path, step):
    session = FakeSession(tmp_path, options={"burst_at": 5})
    session.train(TorchTrace(), 7, step)  # steps 5 and 6 are whole, 7 never ends
    assert session.rank_json["trace"]["steps"] == [5, 6]
    assert marks(session.rank_dir / "trace.json")[:2] == [5, 6]
    assert "ended during the burst" in session.events[0]["reason"]


def test_a_run_that_ends_while_arming_leaves_no_trace_and_no_running_profiler(tmp_path, step):
    session = FakeSession(tmp_path, options={"burst_at": 6})
    session.train(TorchTrace(), 5, step)
    assert not (session.rank_dir / "trace.json").exists()
    assert not torch.autograd._profiler_enabled()


@pytest.mark.parametrize("schedule", [None, torch.profiler.schedule(wait=100, warmup=1, active=1)])
def test_never_beside_the_script_s_own_profiler(tmp_path, step, schedule):
    session = FakeSession(tmp_path, options={"burst_at": 5})
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], schedule=schedule):
        session.train(TorchTrace(), 20, step)
    assert not (session.rank_dir / "trace.json").exists()
    assert "torch.profiler itself" in session.events[0]["reason"]
    assert session.phase == "after"


def test_makes_way_when_the_script_starts_its_profiler_during_the_burst(tmp_path, step):
    session = FakeSession(tmp_path, options={"burst_at": 5})

    def work(n: int) -> None:
        if n != 7:
            return step(n)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as own:
            step(n)
        own.export_chrome_trace(str(tmp_path / "own.json"))

    session.train(TorchTrace(), 20, work)
    assert "aten::linear" in names(tmp_path / "own.json")
    assert session.rank_json["trace"]["steps"] == [5, 6]
    assert not session.disarmed
    assert session.phase == "after"


def test_never_under_nsys(tmp_path, step, monkeypatch):
    monkeypatch.setenv("NSYS_PROFILING_SESSION_ID", "12")
    session = FakeSession(tmp_path, options={"burst_at": 5})
    session.train(TorchTrace(), 20, step)
    assert not (session.rank_dir / "trace.json").exists()
    assert "nsys" in session.events[0]["reason"]


def test_an_exception_stops_the_profiler_and_disarms(tmp_path, step):
    session = FakeSession(tmp_path, options={"burst_at": 5})
    session.rank_dir.rmdir()  # the export has nowhere to go
    session.train(TorchTrace(), 20, step)
    assert "torch_trace" in session.disarmed
    assert not torch.autograd._profiler_enabled()
    assert session.phase == "after"


def test_the_profiler_can_be_used_again_after_the_burst(tmp_path, step):
    session = FakeSession(tmp_path, options={"burst_at": 5})
    session.train(TorchTrace(), 20, step)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as own:
        step(0)
    assert any(event.key == "aten::linear" for event in own.key_averages())


def test_the_burst_prints_nothing(tmp_path):
    script = """
import sys, torch
from pathlib import Path
from llmprof.collectors.live.torch_trace import TorchTrace
from tests.collectors.live.fake_session import FakeSession
session = FakeSession(Path(sys.argv[1]), options={"burst_at": 3})
session.train(TorchTrace(), 12, lambda n: torch.ones(3) + 1)
assert (session.rank_dir / "trace_shapes.json").exists()
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_burst_inside_the_warm_up_leaves_the_rest_of_the_warm_up_to_the_session(tmp_path, step):
    session = FakeSession(tmp_path, options={"burst_at": 5})
    session.phase = "warmup"
    session.train(TorchTrace(), 20, step)
    assert session.phase == "warmup"


class TestOtherRanks:
    def plan(self, run: Path, **keys: object) -> None:
        (run / "burst.json").write_text(
            json.dumps({"first_step": 10, "steps": 2, "shape_steps": 0, "attempt": "", **keys})
        )

    def adopt(self, monkeypatch) -> None:
        monkeypatch.setattr(torch_trace, "POLL_S", 0.001)

    def run(self, session: FakeSession, step, steps: int = 20, *, seen_at: int = 2, **plan: object) -> None:
        """Train `steps` steps; during step `seen_at` the plan is written, and found by the waiting thread."""

        def work(n: int) -> None:
            if n == seen_at:
                self.plan(session.run_dir, **plan)
                deadline = time.monotonic() + 5
                while time.monotonic() < deadline and any(t.name == "llmprof-burst" for t in threading.enumerate()):
                    time.sleep(0.005)
            step(n)

        session.train(TorchTrace(), steps, work)

    def test_rank_0_announces_at_least_20_steps_and_2_seconds_ahead(self, tmp_path, step):
        session = FakeSession(tmp_path, world_size=2, options={"baseline_steps": 5})
        session.train(TorchTrace(), 10, step, wall_ns=10_000_000)
        plan = json.loads((tmp_path / "burst.json").read_text())
        assert plan["first_step"] - ARM_STEPS - 5 == 200

    def test_on_one_host_20_steps_and_8_tenths_of_a_second_are_enough(self, tmp_path, step, monkeypatch):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
        session = FakeSession(tmp_path, world_size=2, options={"baseline_steps": 5})
        session.train(TorchTrace(), 10, step, wall_ns=10_000_000)
        plan = json.loads((tmp_path / "burst.json").read_text())
        assert plan["first_step"] - ARM_STEPS - 5 == 80

    def test_steps_that_get_shorter_do_not_cost_a_run_of_known_length_its_burst(self, tmp_path, step):
        """The lead in steps grows with each shorter step, past the last step at which a burst may begin."""
        session = FakeSession(tmp_path, world_size=2)
        session.expected_steps = 90
        trace = TorchTrace()
        trace.start(session)
        for n in range(1, 60):
            wall = 43_000_000 if n < 11 else 39_000_000
            trace.on_step({"n": n, "t": n * wall, "wall": wall, "phase": "baseline", "micro": 1})
        trace.stop()
        plan = json.loads((tmp_path / "burst.json").read_text())
        assert plan["first_step"] == 90 - 3 - 5
        assert plan["steps"] == 4

    def test_another_rank_traces_the_steps_of_the_plan(self, tmp_path, step, monkeypatch):
        self.adopt(monkeypatch)
        session = FakeSession(tmp_path, rank=1, world_size=2)
        self.run(session, step)
        assert marks(session.rank_dir / "trace.json") == [10, 11]

    def test_a_plan_that_both_watches_find_is_carried_out_once(self, tmp_path, step, monkeypatch):
        """The flush thread sees burst.json for the first time when the burst has begun already."""
        self.adopt(monkeypatch)
        session = FakeSession(tmp_path, rank=1, world_size=2)

        def work(n: int) -> None:
            if n == 11:
                for look in session.every_flush:
                    look()
            step(n)

        self.run(session, work)
        assert marks(session.rank_dir / "trace.json") == [10, 11]
        assert session.events == []
        assert session.phase == "after"

    def test_one_that_reads_it_late_sits_out_and_says_so(self, tmp_path, step, monkeypatch):
        self.adopt(monkeypatch)
        session = FakeSession(tmp_path, rank=1, world_size=2)
        self.run(session, step, seen_at=4, first_step=5)
        assert not (session.rank_dir / "trace.json").exists()
        assert "learned at step" in session.events[0]["reason"]
        assert session.phase == "after"

    def test_the_plan_of_an_earlier_attempt_is_not_taken(self, tmp_path, step, monkeypatch):
        self.adopt(monkeypatch)
        self.plan(tmp_path, attempt=".1")
        session = FakeSession(tmp_path, rank=1, world_size=2)
        session.train(TorchTrace(), 16, lambda n: time.sleep(0.002) or step(n))
        assert not (session.rank_dir / "trace.json").exists()
        assert "announced no burst" in session.events[0]["reason"]


def test_once_the_burst_is_over_no_step_is_asked_for(tmp_path, step):
    trace = TorchTrace()
    FakeSession(tmp_path, options={"burst_at": 3}).train(trace, 14, step)
    assert trace.next_step == NEVER


def test_switched_off_it_asks_for_no_step(tmp_path, step):
    trace = TorchTrace()
    FakeSession(tmp_path, options={"trace_steps": 0}).train(trace, 3, step)
    assert trace.next_step == NEVER
