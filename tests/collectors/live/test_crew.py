"""Collectors are called as often as they ask to be, and what they cost is accounted for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmprof.collectors.live import crew as module
from llmprof.collectors.live.collector import NEVER
from llmprof.collectors.live.crew import Crew
from llmprof.collectors.live.hooks import FREE_NS, Apart, Hook
from llmprof.collectors.live.session import Session


class Still:
    """A collector without steps."""

    name = "still"

    def start(self, session: Any) -> None:
        pass

    def stop(self) -> None:
        pass


class Eager(Still):
    name = "eager"

    def __init__(self) -> None:
        self.seen: list[int] = []

    def on_step(self, record: dict[str, Any]) -> None:
        self.seen.append(record["n"])


class Patient(Eager):
    name = "patient"
    next_step = 3

    def on_step(self, record: dict[str, Any]) -> None:
        super().on_step(record)
        self.next_step = record["n"] + 10 if record["n"] < 30 else NEVER


@pytest.fixture
def session(tmp_path: Path) -> Session:
    made = Session(tmp_path, {}, unix_ns=0, perf_ns=0)
    yield made  # type: ignore[misc]
    made.close("exit", None)


def gather(session: Session, monkeypatch: pytest.MonkeyPatch, hooks: list[Hook], *collectors: Any) -> Crew:
    monkeypatch.setattr(module, "discover", lambda missing: list(collectors))
    return Crew(session, hooks, Apart())


def test_each_is_called_when_it_asked_to_be(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    eager, patient = Eager(), Patient()
    crew = gather(session, monkeypatch, [], Still(), eager, patient)
    for n in range(60):
        crew.on_step({"n": n, "phase": "warmup"})
    assert eager.seen == list(range(60))
    assert patient.seen == [3, 13, 23, 33]


def test_a_change_of_the_phase_is_told_to_the_patient_too(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = Patient()
    crew = gather(session, monkeypatch, [], patient)
    for n in range(20):
        crew.on_step({"n": n, "phase": "warmup" if n < 8 else "baseline"})
    assert patient.seen == [3, 8, 18]


@pytest.mark.parametrize("kind", [Eager, Patient])
def test_one_that_is_switched_off_is_not_called_again(
    session: Session, monkeypatch: pytest.MonkeyPatch, kind: type[Eager]
) -> None:
    one, other = kind(), Eager()
    other.name = "other"
    crew = gather(session, monkeypatch, [], one, other)
    for n in range(40):
        if n == 5:
            session.disarm(one.name, "on purpose")
        crew.on_step({"n": n, "phase": "warmup"})
    assert one.seen == [n for n in (range(5) if kind is Eager else [3])]
    assert other.seen == list(range(40))


def test_it_says_which_step_is_waited_for(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = gather(session, monkeypatch, [], Patient())
    crew.on_step({"n": 3, "phase": "warmup"})
    assert crew.due == 13
    session.wake()
    assert crew.due == 0
    assert gather(session, monkeypatch, [], Eager()).due == 0


def test_one_that_is_switched_off_in_the_middle_of_something_is_told(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Busy(Patient):
        name = "busy"

        def on_step(self, record: dict[str, Any]) -> None:
            raise RuntimeError("broken on purpose")

        def abandon(self, reason: str) -> None:
            told.append(reason)

    crew = gather(session, monkeypatch, [], Busy())
    crew.on_step({"n": 3, "phase": "warmup"})
    assert told == ["it was switched off"]


def test_where_steps_are_lost_all_are_told_and_none_is_called(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    eager = Eager()
    eager.abandon = told.append  # type: ignore[attr-defined]
    crew = gather(session, monkeypatch, [], eager, Still())
    crew.steps_lost("no more steps")
    crew.on_step({"n": 3, "phase": "warmup"})
    assert (told, eager.seen) == (["no more steps"], [])


@pytest.mark.parametrize("block", [1, 4, 16])
def test_the_cost_of_a_baseline_step_is_the_mean_of_the_hooks(
    session: Session, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    hooks = [Hook("loader", session.disarm), Hook("backward", session.disarm)]
    crew = gather(session, monkeypatch, hooks)
    for n in range(192):
        phase = "baseline" if n < 96 else "traced"
        hooks[0].cost_ns += 30 if phase == "baseline" else 10_000
        hooks[1].cost_ns += 40 if n % 4 == 1 else 0  # one of four is dearer
        if n % block == block - 1:
            crew.account(block, phase)
    found = crew.costs()
    assert found["overhead_ns_per_step"] == 40 + session.flush_cost_ns
    assert found["collectors"]["backward"] == {"cost_ns": 1920, "calls": 0}


def test_hooks_and_collectors_are_judged_each_by_its_own_cost(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    dear, cheap = Patient(), Patient()
    cheap.name = "cheap"
    outer = Hook("loader", session.disarm)
    crew = gather(session, monkeypatch, [outer], dear, cheap)
    crew._collectors[0][1].cost_ns = 3 * FREE_NS
    outer.cost_ns = 3 * FREE_NS + 1000
    crew.account(16, "baseline")
    assert session.disarmed == {dear.name}
    crew.on_step({"n": 100, "phase": "baseline"})
    assert (dear.seen, cheap.seen) == ([], [100])
