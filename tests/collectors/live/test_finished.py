"""Steps are put aside and gone through together, but never late for a collector, and never lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import pytest

from llmprof.collectors.live import crew as crew_module
from llmprof.collectors.live import finished as module
from llmprof.collectors.live.crew import Crew
from llmprof.collectors.live.finished import AT_A_TIME, FinishedSteps
from llmprof.collectors.live.hooks import Apart
from llmprof.collectors.live.session import Session
from llmprof.collectors.live.step_timer import OpenStep
from llmprof.timeline import rundir
from tests.collectors.live.test_crew import Eager, Patient

MS = 1_000_000


class Loop:
    """A recorder's part of a boundary."""

    def __init__(self, session: Session, *collectors: Any, wall: int = MS) -> None:
        self.session, self.wall = session, wall
        self.many: list[int] = []
        self.finished = FinishedSteps(session, Crew(session, [], Apart()), None, 0, self.many.append)
        self.step = OpenStep(0, 0, session.phase)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            ended = self.step
            ended.end = ended.start + self.wall
            self.finished.aside.append(ended)
            number = self.session.current_step = ended.number + 1
            self.step = OpenStep(number, ended.end, self.session.phase)
            if number >= self.finished.due:
                self.finished.attend(ended, self.step)

    @property
    def written(self) -> list[dict[str, Any]]:
        self.session.flush()
        path = self.session.rank_dir / rundir.STEPS
        return rundir.read_json_lines(path) if path.exists() else []


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    made = Session(tmp_path, {}, unix_ns=0, perf_ns=0)
    yield made
    made.close("exit", None)


@pytest.fixture
def loop(session: Session, monkeypatch: pytest.MonkeyPatch):
    def make(*collectors: Any, wall: int = MS) -> Loop:
        monkeypatch.setattr(crew_module, "discover", lambda missing: list(collectors))
        return Loop(session, wall=wall)

    return make


def test_after_the_warm_up_steps_are_gone_through_together(loop) -> None:
    made = loop()
    made.run(100)
    assert made.many[:5] == [1, 2, 3, 4, 5]  # the warm-up of five steps
    assert {b - a for a, b in zip(made.many[5:], made.many[6:], strict=False)} == {AT_A_TIME}


def test_long_steps_are_gone_through_one_by_one(loop) -> None:
    made = loop(wall=1000 * MS)
    made.run(30)
    assert made.many == list(range(1, 31))


def test_a_collector_is_called_right_after_the_step_it_waits_for(loop, session: Session) -> None:
    seen: list[tuple[int, int]] = []

    class Noting(Patient):
        next_step = 37

        def on_step(self, record: dict[str, Any]) -> None:
            if record["n"] >= self.next_step:  # else the phase has changed
                seen.append((record["n"], session.current_step))
                self.next_step = record["n"] + 20

    loop(Noting()).run(100)
    assert seen == [(37, 38), (57, 58), (77, 78), (97, 98)]


def test_one_that_wants_every_step_gets_each_in_time(loop) -> None:
    eager = Eager()
    made = loop(eager)
    made.run(40)
    assert eager.seen == list(range(40))
    assert made.finished.aside == []


def test_a_new_phase_is_told_with_its_first_step(loop, session: Session) -> None:
    seen: list[tuple[int, int, str]] = []

    class Waiting(Patient):
        next_step = 1_000_000

        def on_step(self, record: dict[str, Any]) -> None:
            seen.append((record["n"], session.current_step, record["phase"]))

    made = loop(Waiting())
    made.run(40)
    assert seen == [(5, 6, "baseline")]


def test_every_step_is_written_once_in_order(loop) -> None:
    made = loop()
    made.run(75)
    made.finished.stop(lambda: None)
    assert [line["n"] for line in made.written] == list(range(75))


def test_a_change_of_the_phase_is_seen_in_the_very_next_step(loop, session: Session) -> None:
    class Changing(Patient):
        next_step = 40

        def on_step(self, record: dict[str, Any]) -> None:
            if record["n"] == 40:
                self.next_step, session.phase = 1000, "unsteady"

    made = loop(Changing())
    made.run(60)
    made.finished.go_through(60)
    assert [line["n"] for line in made.written if line["phase"] == "unsteady"] == list(range(41, 60))


def test_where_no_step_ends_any_more_the_writing_thread_takes_what_is_aside(
    loop, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = loop()
    made.run(30)
    waiting = [step.number for step in made.finished.aside]
    assert waiting
    take = session.before_flush[0]
    made.finished.aside[-1].end = perf_counter_ns()
    take()
    assert [line["n"] for line in made.written] == list(range(waiting[0]))  # a step has just ended
    made.finished.aside[-1].end -= module.LINGERING_NS
    take()
    assert [line["n"] for line in made.written] == list(range(30))
    made.run(30)
    made.finished.go_through(60)
    assert [line["n"] for line in made.written] == list(range(60))


def test_a_session_that_is_closed_in_the_middle_has_every_step(loop, session: Session) -> None:
    made = loop()
    made.run(30)
    assert made.finished.aside
    session.close("exit", "os._exit(0)")
    assert [line["n"] for line in made.written] == list(range(30))
