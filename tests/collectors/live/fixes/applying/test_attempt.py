"""A fix that fails lets go, and the call it was in goes on as the script wrote it."""

from __future__ import annotations

from typing import Any

import pytest

from llmprof.collectors.live.fixes.applying.attempt import Attempt


class Thing:
    def __init__(self, size: int = 1, *, kind: str = "a") -> None:
        if size > 10:
            raise ValueError("too large")
        self.size, self.kind = size, kind


@pytest.fixture(autouse=True)
def _as_it_was() -> Any:
    original = Thing.__init__
    yield
    Thing.__init__ = original  # type: ignore[method-assign]


def wanting(size: Any) -> Any:
    def change(arguments: dict[str, Any]) -> str | None:
        arguments["size"] = size / 1  # a TypeError for what is no number
        return f"size {size}"

    return change


def test_arguments_are_changed_by_name_wherever_they_stand() -> None:
    attempt = Attempt("x")
    attempt.adjust(Thing, "__init__", wanting(5))
    assert [Thing().size, Thing(2).size, Thing(size=3, kind="b").size] == [5, 5, 5]
    assert Thing(2, kind="b").kind == "b"
    assert attempt.report() == {"status": "applied", "times": 4, "what": ["size 5"], "reasons": []}


def test_a_fix_that_raises_is_taken_back_and_told_of() -> None:
    attempt, original = Attempt("x"), Thing.__init__
    attempt.adjust(Thing, "__init__", wanting(None))
    assert Thing(2).size == 2
    assert Thing.__init__ is original
    report = attempt.report()
    assert (report["status"], report["times"]) == ("failed", 0)
    assert report["reasons"][0].startswith("TypeError")


def test_what_does_not_take_the_change_is_called_as_it_was() -> None:
    attempt = Attempt("x")
    attempt.adjust(Thing, "__init__", wanting(50))
    assert Thing(2).size == 2
    assert attempt.report() == {"status": "never", "times": 0, "what": [], "reasons": ["ValueError: too large"]}


def test_an_error_of_the_script_reaches_it() -> None:
    attempt = Attempt("x")
    attempt.adjust(Thing, "__init__", lambda arguments: None)
    with pytest.raises(ValueError, match="too large"):
        Thing(11)
    with pytest.raises(TypeError):
        Thing(wrong=1)  # type: ignore[call-arg]
    assert attempt.armed


def test_a_fix_without_effect_was_never_applied() -> None:
    attempt = Attempt("x")
    attempt.applied("switched on")
    attempt.proof = lambda: (False, "it is off again")
    assert attempt.report() == {
        "status": "never",
        "times": 1,
        "what": ["switched on"],
        "reasons": ["it is off again"],
    }


def test_a_fix_that_was_never_reached_says_so() -> None:
    assert "nothing to change" in Attempt("x").report()["reasons"][0]


def test_a_fix_that_was_never_reached_names_the_calls_that_it_looks_at() -> None:
    class Loader:
        def start(self) -> None: ...

    attempt = Attempt("x")
    attempt.adjust(Loader, "__init__", lambda arguments: None)
    attempt.adjust(Loader, "start", lambda arguments: None)
    assert "Loader, Loader.start" in attempt.report()["reasons"][0]


@pytest.mark.parametrize(("value", "number"), [("4", 4), (None, 7), ("0", 7), ("-3", 7), ("many", 7)])
def test_the_value_is_a_number_or_the_default(value: str | None, number: int) -> None:
    assert Attempt("x", value).number(7) == number


def test_what_somebody_else_has_wrapped_since_stays() -> None:
    attempt = Attempt("x")
    attempt.adjust(Thing, "__init__", wanting(5))
    mine = Thing.__init__

    def theirs(self: Any, *args: Any, **kwargs: Any) -> None:
        mine(self, *args, **kwargs)

    Thing.__init__ = theirs  # type: ignore[method-assign]
    attempt.remove()
    assert Thing.__init__ is theirs
    assert Thing(2).size == 2
