"""The latest trial of a fix stands on its recommendation, and what was not recommended beside them all."""

from __future__ import annotations

from typing import Any

import pytest

from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.analyzers.tried import with_trials
from tests.analyzers.test_promise import TWO, recommending


def document(*fixes: str, step: float = 60.0, **others: Any) -> dict[str, Any]:
    side = {"mean_ms": step, "low_ms": step - 1, "high_ms": step + 1}
    plain = {"mean_ms": 100.0, "low_ms": 99.0, "high_ms": 101.0}
    comparison = {"plain": plain, "fixed": side, "predicted_ms": [61.0, 55.0, 65.0], "outcome": "kept"}
    return {"fixes": [{"id": fix} for fix in fixes], "comparison": comparison, **others}


def test_the_latest_trial_of_a_fix_alone_stands_on_its_recommendation() -> None:
    trials = {1: document("a"), 2: document("a", step=58.0), 3: document("a", "b", step=50.0)}
    a, b = with_trials(recommending(*TWO), trials).recommendations
    assert a.tried is not None
    assert b.tried is not None
    assert (a.tried.trial, a.tried.step_ms, a.tried.predicted_ms) == (2, 58.0, 61.0)
    assert (b.tried.trial, b.tried.fixes) == (3, ("a", "b"))


@pytest.mark.parametrize("broken", [{}, {"fixes": []}, document("a", comparison=None), {"fixes": 3, "comparison": {}}])
def test_a_trial_without_a_measurement_is_not_told(broken: dict[str, Any]) -> None:
    assert with_trials(recommending(*TWO), {1: broken}).recommendations[0].tried is None


def test_what_was_not_recommended_and_tried_stands_beside_the_recommendations() -> None:
    trials = {1: document("c"), 2: document("a"), 10: document("c", step=58.0), 3: document("c", "d")}
    found = with_trials(recommending(*TWO), trials).tried
    assert {one.fixes: one.step_ms for one in found} == {("c",): 58.0, ("c", "d"): 60.0}


def test_what_was_tried_survives_the_document() -> None:
    diagnosis = with_trials(recommending(*TWO), {1: document("a"), 2: document("c")})
    assert Diagnosis.from_json(diagnosis.to_json()) == diagnosis
