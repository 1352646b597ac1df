"""A burst ends early where it has to, keeps its whole steps, and leaves no profiler behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmprof.collectors.live import burst as module
from llmprof.collectors.live.burst_limits import BurstLimits
from llmprof.collectors.live.profiler_session import ProfilerSession
from llmprof.collectors.live.torch_trace import TorchTrace
from tests.collectors.live.fake_session import FakeSession

torch = pytest.importorskip("torch")


def work(n: int) -> None:
    torch.ones(3) + 1


def reasons(session: FakeSession) -> list[str]:
    return [event["reason"] for event in session.events if event["kind"] == "burst_cut_short"]


@pytest.fixture
def too_large_at(monkeypatch: pytest.MonkeyPatch):
    """Has the limits refuse from the given look on."""

    def refuse(look: int) -> None:
        looks = iter(range(1000))
        monkeypatch.setattr(
            BurstLimits, "too_large", lambda self, *, force=False: "too large" if next(looks) >= look else None
        )
        monkeypatch.setattr(BurstLimits, "no_space", lambda self: None)

    return refuse


def test_whole_steps_are_kept_when_it_becomes_too_large(tmp_path: Path, too_large_at) -> None:
    too_large_at(2)  # it is asked at the beginnings of steps 5, 6 and 7
    session = FakeSession(tmp_path, options={"burst_at": 5})
    session.train(TorchTrace(), 20, work)
    assert session.rank_json["trace"]["steps"] == [5, 6]
    assert not session.rank_json["trace"]["complete"]
    assert reasons(session) == ["too large"]
    assert session.phase == "after"
    assert not torch.autograd._profiler_enabled()


def test_inside_a_step_of_many_microbatches_too(tmp_path: Path, too_large_at) -> None:
    too_large_at(2)
    session = FakeSession(tmp_path, options={"burst_at": 5})

    def microbatches(n: int) -> None:
        for _ in range(4):
            work(n)
            if session.during_step is not None:
                session.during_step()

    session.train(TorchTrace(), 20, microbatches)
    assert "trace" not in session.rank_json  # the first traced step was not whole
    assert reasons(session) == ["too large"]
    assert session.during_step is None
    assert not torch.autograd._profiler_enabled()


def test_without_space_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full: list[int] = []
    monkeypatch.setattr(BurstLimits, "no_space", lambda self: "no space" if full else None)
    session = FakeSession(tmp_path, options={"burst_at": 5, "shape_steps": 0})

    def step(n: int) -> None:
        work(n)
        if n == 8:  # the last traced one
            full.append(n)

    session.train(TorchTrace(), 20, step)
    assert not (session.rank_dir / "trace.json").exists()
    assert reasons(session) == ["trace.json is missing: no space"]
    assert session.phase == "after"


def test_a_file_that_the_profiler_could_not_finish_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProfilerSession, "export", lambda self, path: path.write_text('{"traceEvents": [{"a'))
    session = FakeSession(tmp_path, options={"burst_at": 5})
    session.train(TorchTrace(), 20, work)
    assert not (session.rank_dir / "trace.json").exists()
    assert "could not write its file to the end" in reasons(session)[0]
    assert not session.disarmed


@pytest.mark.parametrize("after", [4, 6, 9])  # while it is armed, in part A, in part B
def test_where_steps_are_lost_no_profiler_stays_behind(tmp_path: Path, after: int) -> None:
    session = FakeSession(tmp_path, options={"burst_at": 5})
    trace = TorchTrace()

    def lose(n: int) -> None:
        work(n)
        if n == after:
            trace.abandon("steps are not seen any more")

    session.train(trace, 20, lose)
    assert not torch.autograd._profiler_enabled()
    assert reasons(session) == ["steps are not seen any more"]
    assert session.rank_json.get("trace", {}).get("steps") == {4: None, 6: [5], 9: [5, 6, 7, 8]}[after]


def test_stacks_are_in_part_b_where_they_were_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Noting(ProfilerSession):
        def __init__(self, **how) -> None:
            asked.append((how["shapes"], how.get("stacks", False)))
            super().__init__(**how)

    monkeypatch.setattr(module, "ProfilerSession", Noting)
    session = FakeSession(tmp_path)
    trace = TorchTrace()
    trace.start(session)
    trace._own = None
    trace._adopt(module.BurstPlan(first_step=5, steps=1, shape_steps=1, stacks=True))
    session.train(_Started(trace), 20, work)
    assert asked == [(False, False), (True, True)]
    names = {e.get("name", "") for e in json.loads((session.rank_dir / "trace_shapes.json").read_text())["traceEvents"]}
    assert any("test_burst.py" in name for name in names)


class _Started:
    """A collector that has been started already."""

    def __init__(self, trace: TorchTrace) -> None:
        self.on_step, self.stop = trace.on_step, trace.stop

    def start(self, session: FakeSession) -> None:
        pass
