"""What a session writes, and that its writer never troubles the caller."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmprof.collectors.live import session as session_module
from llmprof.collectors.live.session import Session
from llmprof.timeline import rundir


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    for name, value in {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    made = Session(tmp_path / "run", {"burst_at": 7}, unix_ns=1_000, perf_ns=10)
    yield made
    made.close("exit", None)


def test_rank_json_is_there_from_the_first_step(session: Session) -> None:
    rank = rundir.read_json(session.run_dir / "ranks" / "r00003" / rundir.RANK)
    assert (rank["rank"], rank["local_rank"], rank["world_size"], rank["ended"]) == (3, 1, 4, "running")
    assert rank["clock"] == {"unix_ns": 1_000, "perf_ns": 10}


def test_lines_keep_their_order_and_their_file(session: Session) -> None:
    for n in range(3):
        session.append("steps.jsonl", {"n": n})
        session.append("other.jsonl", {"n": -n})
    session.flush()
    session.append("steps.jsonl", {"n": 3})
    session.flush()
    assert rundir.read_json_lines(session.rank_dir / "steps.jsonl") == [{"n": n} for n in range(4)]
    assert rundir.read_json_lines(session.rank_dir / "other.jsonl") == [{"n": -n} for n in range(3)]


def test_objects_in_rank_json_are_merged_one_level_deep(session: Session) -> None:
    session.update_rank(environment={"a": 1, "b": 1})
    session.update_rank(environment={"b": 2}, trace={"steps": [1]})
    session.close("signal", "SIGINT")
    rank = rundir.read_json(session.rank_dir / rundir.RANK)
    assert rank["environment"] == {"a": 1, "b": 2}
    assert rank["trace"] == {"steps": [1]}
    assert (rank["ended"], rank["reason"]) == ("signal", "SIGINT")


def test_a_collector_that_disarms_itself_leaves_an_event_and_a_log_line(session: Session) -> None:
    session.current_step = 9
    session.disarm("allocator", "no driver")
    session.flush()
    [event] = rundir.read_json_lines(session.rank_dir / rundir.EVENTS)
    assert (event["kind"], event["collector"], event["reason"], event["step"]) == (
        "disarmed",
        "allocator",
        "no driver",
        9,
    )
    assert "allocator was switched off: no driver" in (session.rank_dir / rundir.LOG).read_text()
    state = rundir.read_json(session.rank_dir / rundir.RANK)["collectors"]["allocator"]
    assert (state["status"], state["reason"]) == ("disarmed", "no driver")


def test_what_cannot_be_written_as_json_costs_its_line_alone(session: Session) -> None:
    session.append("steps.jsonl", {("a", "tuple"): 1})  # type: ignore[dict-item]
    session.append("steps.jsonl", {"path": Path("x")})
    session.flush()
    assert rundir.read_json_lines(session.rank_dir / "steps.jsonl") == [{"path": "x"}]


def test_a_line_may_be_made_when_it_is_written(session: Session) -> None:
    def broken() -> dict[str, int]:
        raise RuntimeError("broken on purpose")

    session.lines.extend([("steps.jsonl", lambda: {"n": 0}), ("steps.jsonl", broken), ("steps.jsonl", {"n": 1})])
    session.flush()
    assert rundir.read_json_lines(session.rank_dir / "steps.jsonl") == [{"n": 0}, {"n": 1}]


def test_costs_alone_are_written_seldom(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(1, 10))
    session.costs = lambda: {"collectors": {"loader": {"cost_ns": 5, "calls": next(calls)}}, "overhead_ns_per_step": 7}
    session.set_collector("loader", "armed")
    for _ in range(3):
        session.flush()
    rank = rundir.read_json(session.rank_dir / rundir.RANK)
    assert rank["collectors"]["loader"] == {"status": "armed", "reason": None, "cost_ns": 5, "calls": 1}
    assert rank["overhead_ns_per_step"] == 7
    monkeypatch.setattr(session_module, "COSTS_S", 0.0)
    session.flush()
    assert rundir.read_json(session.rank_dir / rundir.RANK)["collectors"]["loader"]["calls"] == 2


def test_a_folder_that_disappears_is_not_felt(session: Session) -> None:
    shutil.rmtree(session.run_dir)
    session.append("steps.jsonl", {"n": 0})
    session.update_rank(trace={})
    session.flush()
    assert not session.run_dir.exists()


def test_a_restarted_rank_gets_a_folder_of_its_own(session: Session) -> None:
    again = Session(session.run_dir, {}, unix_ns=0, perf_ns=0)
    again.close("exit", None)
    assert again.rank_dir.name == "r00003.1"
