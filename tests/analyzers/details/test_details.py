"""The figures of the sections agree with the document that they explain; one that fails costs only itself."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from llmprof.analyzers import details
from llmprof.analyzers.details import details_of
from llmprof.analyzers.details.host import _parents
from llmprof.analyzers.diagnose import diagnose
from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.analyzers.facts.measure import measure
from tests.browser.recorded import RECORDINGS
from tests.scenarios.recordings import recorded


@pytest.fixture(params=RECORDINGS)
def diagnosis(request: pytest.FixtureRequest) -> Diagnosis:
    return recorded(request.param)[0]


def test_no_section_failed(diagnosis: Diagnosis) -> None:
    assert {name: found["error"] for name, found in diagnosis.details.items() if "error" in found} == {}
    assert {"anatomy", "idle", "input", "host", "kernels", "precision", "memory"} <= set(diagnosis.details)


def test_the_parts_of_each_traced_step_sum_to_it(diagnosis: Diagnosis) -> None:
    for step in diagnosis.details["anatomy"]["steps"]:
        assert sum(step["parts"].values()) == pytest.approx(step["wall_ms"], rel=1e-6)


def test_idle_causes_sum_to_the_idle_parts_of_the_step(diagnosis: Diagnosis) -> None:
    causes = sum(diagnosis.details["idle"]["causes"].values())
    input_copy = diagnosis.partition["data"] - diagnosis.details["idle"]["causes"].get("wait", 0.0)
    idle = sum(diagnosis.partition[part] for part in ("data", "host", "sync", "memory_management", "stalls", "other"))
    assert causes == pytest.approx(idle - input_copy, abs=0.01)


def test_gaps_lie_inside_a_traced_step_and_are_as_long_as_their_window(diagnosis: Diagnosis) -> None:
    anatomy = diagnosis.details["anatomy"]["steps"]
    windows = {step["number"]: step["window_ns"] for step in anatomy}
    gaps = diagnosis.details["idle"]["gaps"]
    assert [gap["ms"] for gap in gaps] == sorted((gap["ms"] for gap in gaps), reverse=True)
    for gap in gaps:
        start, end = gap["window_ns"]
        assert gap["ms"] == pytest.approx((end - start) / 1e6)
        assert windows[gap["step"]][0] <= start and end <= windows[gap["step"]][1]


def test_exposed_and_hidden_communication_are_all_of_it() -> None:
    found = recorded("bandwidth-ddp")[0].details["communication"]
    assert found["exposed_ms"] + found["hidden_ms"] == pytest.approx(found["total_ms"])
    assert sum(group["exposed_ms"] for group in found["groups"]) == pytest.approx(found["exposed_ms"], rel=0.02)


def test_kernel_classes_sum_to_all_kernels(diagnosis: Diagnosis) -> None:
    found = diagnosis.details["kernels"]
    assert sum(one["ms"] for one in found["classes"].values()) == pytest.approx(found["summed_ms"])
    assert sum(one["ms"] for one in found["top"]) <= found["summed_ms"] * (1 + 1e-9)


def test_joint_results_are_replayed_and_not_added_up() -> None:
    """Peer access and half the bytes: together more than the lesser one, and no more than both.

    Beside peer access the casts to bf16 cost more than half the bytes still save.
    """
    diagnosis = recorded("communication-ddp")[0]
    alone = {one.id: one.gain.step_ms_after for one in diagnosis.recommendations}
    assert diagnosis.joint
    for one in diagnosis.joint:
        before, singles = diagnosis.step.mean_ms, [alone[fix] or 0.0 for fix in one.of]
        assert before is not None and one.step_ms_after is not None
        assert one.step_ms_after <= max(singles)
        assert before - one.step_ms_after <= sum(before - single for single in singles)
        assert one.low_ms is not None and one.high_ms is not None and one.low_ms <= one.step_ms_after <= one.high_ms


def test_no_choice_is_given_twice() -> None:
    diagnosis = recorded("bandwidth-ddp")[0]
    assert diagnosis.combined is not None
    choices = [frozenset(one.of) for one in (diagnosis.combined, *diagnosis.joint)]
    assert len(choices) == len(set(choices))


def test_the_document_keeps_them(diagnosis: Diagnosis) -> None:
    again = Diagnosis.from_json(diagnosis.to_json())
    assert json.loads(json.dumps(again.details)) == diagnosis.to_dict()["details"]
    assert again.to_dict()["joint"] == diagnosis.to_dict()["joint"]


def test_they_are_small(diagnosis: Diagnosis) -> None:
    assert len(json.dumps(diagnosis.to_dict()["details"])) < 100_000


def test_a_section_that_fails_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no")

    monkeypatch.setitem(details._SECTIONS, "kernels", broken)  # type: ignore[attr-defined]
    _, timeline = recorded("data-in-process")
    found = details_of(measure(timeline), timeline)
    assert found["kernels"] == {"error": "RuntimeError: no"}
    assert "error" not in found["idle"]
    assert diagnose(timeline).verdict.bound == "data"


def test_without_the_recording_there_are_still_figures() -> None:
    _, timeline = recorded("data-in-process")
    found = details_of(measure(timeline))
    assert {"anatomy", "idle", "kernels"} <= set(found)
    assert "by_step" not in found["input"]


def test_own_time_leaves_out_what_is_called() -> None:
    """outer 0-100 calls a 10-40, which calls b 20-30, and then c 50-60; d 120-130 stands alone."""
    starts = np.array([0, 10, 20, 50, 120])
    ends = np.array([100, 40, 30, 60, 130])
    assert _parents(starts, ends).tolist() == [-1, 0, 1, 0, -1]
