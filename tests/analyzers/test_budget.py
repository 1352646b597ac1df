"""Limits are kept, broken or not known, and what is noise breaks nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from llmprof.analyzers.budget import against_baseline, against_budget, share_of
from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.errors import InputError, NotEnoughDataError
from tests.reports.samples import input_starved, no_verdict


def states(diagnosis: Diagnosis, budget: dict[str, Any]) -> dict[str, str]:
    return {one.name: one.status for one in against_budget(diagnosis, budget)}


def scaled(factor: float) -> Diagnosis:
    """The same run, its step `factor` times as long."""
    known = input_starved()
    assert known.step.mean_ms is not None and known.step.tokens_per_s is not None
    return replace(
        known,
        step=replace(known.step, mean_ms=known.step.mean_ms * factor, tokens_per_s=known.step.tokens_per_s / factor),
        partition={name: factor * value for name, value in known.partition.items()},
        history_ms=tuple(factor * value for value in known.history_ms),
    )


@pytest.mark.parametrize(
    ("name", "kept", "broken"),
    [("step_ms", 86, 85), ("p95_ms", 90, 89), ("tokens_per_s", 191_000, 192_000), ("peak_memory_gib", 140, 1)],
)
def test_a_limit_just_above_is_kept_and_just_below_is_broken(name: str, kept: float, broken: float) -> None:
    assert states(input_starved(), {name: kept}) == {name: "kept"}
    assert states(input_starved(), {name: broken}) == {name: "broken"}


def test_parts_are_limited_by_share_or_by_milliseconds() -> None:
    known = input_starved()
    assert known.step.mean_ms is not None
    share, ms = known.partition["data"] / known.step.mean_ms, known.partition["data"]
    budget = {"parts": {"data": f"{100 * share - 1:.1f} %", "compute": 1000}}
    assert states(known, budget) == {"parts.data": "broken", "parts.compute": "kept"}
    assert states(known, {"parts": {"data": ms + 0.1}}) == {"parts.data": "kept"}


def test_forbidden_findings_and_severities() -> None:
    known = input_starved()
    fired = next(item for item in known.findings if item.status == "fired")
    quiet = next(item for item in known.findings if item.status == "passed")
    unknown = next(item for item in known.findings if item.status == "no_data")
    budget = {"findings": {"forbidden": [fired.rule, quiet.rule, unknown.rule], "severity": "info"}}
    assert list(states(known, budget).values()) == ["broken", "kept", "no_data", "broken"]


def test_what_was_not_recorded_is_no_data_and_not_kept() -> None:
    assert set(states(no_verdict(), {"step_ms": 90, "mfu": 0.1, "parts": {"data": "5 %"}}).values()) == {"no_data"}


@pytest.mark.parametrize(
    "budget",
    [
        {"steps": 3},
        {"step_ms": "fast"},
        {"step_ms": -1},
        {"step_ms": True},
        {"parts": 5},
        {"parts": {"dta": "5 %"}},
        {"parts": {"data": "five"}},
        {"findings": {"forbidden": "fp32-matmul"}},
        {"findings": {"forbidden": ["no-such-rule"]}},
        {"findings": {"severity": "bad"}},
        {},
    ],
)
def test_a_mistake_in_a_budget_is_an_input_error(budget: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        against_budget(input_starved(), budget)


@pytest.mark.parametrize(("factor", "status"), [(0.8, "kept"), (1.0, "kept"), (1.04, "kept"), (1.08, "broken")])
def test_a_baseline_allows_what_the_limit_allows(factor: float, status: str) -> None:
    limits, found = against_baseline(scaled(factor), scaled(1.0), 0.05, ("old", "new"))
    assert [one.status for one in limits if one.name == "step"] == [status]
    assert found.step.b_ms == pytest.approx(85.5213 * factor)


def test_a_slowdown_inside_the_noise_is_not_told() -> None:
    noisy = [
        replace(one, history_ms=tuple(85 + 40 * math.sin(i * i) for i in range(24))) for one in map(scaled, (1, 1.08))
    ]
    (step, *_), _ = against_baseline(noisy[1], noisy[0], 0.05, ("old", "new"))
    assert step.status == "no_data"
    assert "noise" in step.sentence


def test_another_gpu_is_no_baseline() -> None:
    other = replace(scaled(1.5), environment={**scaled(1.0).environment, "gpu": "NVIDIA A100"})
    limits, _ = against_baseline(other, scaled(1.0), 0.05, ("old", "new"))
    assert [(one.name, one.status) for one in limits] == [("comparable", "no_data")]


def test_memory_that_grew_breaks_the_limit() -> None:
    known = scaled(1.0)
    assert known.step.peak_memory_bytes is not None
    grown = replace(known, step=replace(known.step, peak_memory_bytes=int(known.step.peak_memory_bytes * 1.2)))
    limits, _ = against_baseline(grown, known, 0.05, ("old", "new"))
    assert {one.name: one.status for one in limits} == {"step": "kept", "peak_memory": "broken"}


def test_a_larger_batch_is_judged_by_its_time_per_token_and_not_by_its_memory() -> None:
    known, double = scaled(1.0), scaled(2.0)
    assert known.step.peak_memory_bytes is not None
    larger = replace(
        double,
        step=replace(
            double.step, tokens_per_s=known.step.tokens_per_s, peak_memory_bytes=2 * known.step.peak_memory_bytes
        ),
    )
    limits, found = against_baseline(larger, known, 0.05, ("old", "new"))
    assert found.scale == pytest.approx(0.5)
    assert [(one.name, one.status) for one in limits] == [("step", "kept")]


def test_a_run_without_a_step_has_no_baseline() -> None:
    with pytest.raises(NotEnoughDataError):
        against_baseline(no_verdict(), scaled(1.0), 0.05, ("old", "new"))


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("5 %", 0.05), ("0.05", 0.05), (" 2.5% ", 0.025)])
def test_shares_are_read(text: str, share: float) -> None:
    assert share_of(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["5", "five", "-5%", "", "5%%"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        share_of(text)
