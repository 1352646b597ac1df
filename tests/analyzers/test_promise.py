"""A promise for several fixes adds up nothing, and holds what the analysis knows of them together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from llmprof.analyzers.diagnosis import Combined, Diagnosis, Gain, Recommendation
from llmprof.analyzers.promise import Promise, promise_of
from tests.cli.conftest import make_diagnosis


def recommending(*gains: tuple[str, float, float, float], combined: Combined | None = None) -> Diagnosis:
    items = [
        Recommendation(
            id=name,
            rule="r",
            action="a",
            why="w",
            how="h",
            verify="v",
            gain=Gain(expected_ms=expected, low_ms=low, high_ms=high),
        )
        for name, expected, low, high in gains
    ]
    return replace(make_diagnosis(bound="data"), recommendations=tuple(items), combined=combined)


TWO = (("a", 30.0, 20.0, 40.0), ("b", 10.0, 5.0, 15.0))


def test_the_promise_of_one_fix_is_its_gain() -> None:
    assert promise_of(recommending(*TWO), ["a"]) == Promise(expected_ms=30, low_ms=20, high_ms=40, step_ms=100)


def test_gains_of_several_fixes_are_not_added_up() -> None:
    assert promise_of(recommending(*TWO), ["a", "b"]) == Promise(expected_ms=None, low_ms=20, high_ms=55, step_ms=100)


@pytest.mark.parametrize("listed", [TWO, TWO[:1]])
def test_what_a_fix_needs_is_part_of_its_promise(listed: Any) -> None:
    """Its gain is the joint one, whether what it needs is recommended beside it or not."""
    known = recommending(*listed)
    first = replace(known.recommendations[0], requires=("b",))
    known = replace(known, recommendations=(first, *known.recommendations[1:]))
    assert promise_of(known, ["b", "a"]) == Promise(expected_ms=30, low_ms=20, high_ms=40, step_ms=100)


def test_the_joint_gain_is_taken_where_it_is_known() -> None:
    combined = Combined(of=("b", "a"), step_ms_after=65.0, low_ms=60.0, high_ms=75.0)
    found = promise_of(recommending(*TWO, combined=combined), ["a", "b"])
    assert found == Promise(expected_ms=35.0, low_ms=25.0, high_ms=40.0, step_ms=100)


def test_what_was_not_recommended_has_no_promise() -> None:
    assert promise_of(recommending(*TWO), ["a", "c"]) is None
