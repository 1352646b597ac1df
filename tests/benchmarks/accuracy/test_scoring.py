"""Are the scores of the accuracy benchmark what they are called?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from packing import pack, unpack
from report import report
from scoring import first_is_right, healthy_alarms, promised, scores, skill


def fix(id: str, low: float, expected: float, high: float, requires: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"id": id, "rule": "r", "requires": requires, "low_ms": low, "expected_ms": expected, "high_ms": high,
            "basis": "bound"}  # fmt: skip


def side(*blocks: float) -> dict[str, Any]:
    return {"ms": sum(blocks) / len(blocks), "blocks_ms": blocks, "spread_ms": 0.0, "losses": [1.0], "error": None}


def line(case: str, fixes: list[dict[str, Any]], **sides: dict[str, Any]) -> dict[str, Any]:
    found = {"bound": "compute", "step_ms": 100.0, "fixes": fixes, "partition": {"compute": 60.0, "host": 40.0},
             "mfu": 0.5, "costs": {"r": 50.0}, "fired": ["fp32-matmul"]}  # fmt: skip
    return {"case": case, "ranks": 1, "bounds": ["compute"], "error": None, "prediction": found, "sides": sides}


def test_a_promise_is_scored_by_the_share_of_the_step() -> None:
    one = scores(line("c", [fix("tf32", 20, 40, 50)], planted=side(50.0, 50.0), tf32=side(35.0, 35.0)))[0]
    assert one.expected == pytest.approx(0.4)
    assert one.measured == pytest.approx(0.3)
    assert one.gain_error == pytest.approx(0.1)
    assert one.step_error == pytest.approx(25 / 35)
    assert one.paired_ms == pytest.approx(30.0)
    assert one.paired_error == pytest.approx(5 / 35)
    assert one.covered
    assert not one.sign_wrong
    assert one.ceiling == pytest.approx(0.5)
    assert one.headroom == pytest.approx(0.6 * 0.5)  # tf32 shortens kernels only


def test_a_fix_that_was_not_recommended_counts_as_no_change() -> None:
    one = scores(line("c", [], planted=side(50.0), tf32=side(35.0)))[0]
    assert not one.recommended
    assert one.expected == 0
    assert one.predicted_ms == 100


def test_slower_after_a_promise_of_more_than_five_percent_is_a_wrong_sign() -> None:
    one = scores(line("c", [fix("tf32", 5, 6, 7)], planted=side(50.0), tf32=side(51.0)))[0]
    assert one.sign_wrong
    assert not one.covered


def test_a_side_that_died_has_no_score() -> None:
    dead = {"ms": None, "blocks_ms": [], "spread_ms": None, "losses": [], "error": "died"}
    assert scores(line("c", [], planted=side(50.0), tf32=dead)) == []


def test_two_fixes_together_are_the_recommendation_that_requires_the_other() -> None:
    alone, joint = fix("remove-sync", 0, 0, 0), fix("cuda-graphs", 1, 2, 3, ("remove-sync",))
    assert promised("remove-sync+cuda-graphs", [alone, joint]) is joint
    assert promised("remove-sync+cuda-graphs", [alone]) is None


def test_skill_is_one_for_the_truth_and_zero_for_no_change() -> None:
    assert skill([(0.3, 0.3), (0.1, 0.1)]) == 1
    assert skill([(0.0, 0.3), (0.0, 0.1)]) == 0
    assert skill([]) is None


def test_an_alarm_is_a_lowest_promise_above_three_percent() -> None:
    assert healthy_alarms(line("c", [fix("tf32", 3.0, 40, 50)])) == []
    assert healthy_alarms(line("c", [fix("tf32", 3.1, 40, 50)])) == ["tf32"]


def test_only_the_first_recommendation_counts() -> None:
    both = line("c", [fix("fp8", 1, 2, 3), fix("tf32", 1, 2, 3)])
    assert first_is_right(both, ("tf32",)) is False
    assert first_is_right(both, ("fp8", "tf32")) is True
    assert first_is_right(both, ()) is None


def test_the_report_tells_a_case_that_failed() -> None:
    failed = {"case": "compute-tf32", "ranks": 1, "bounds": ["compute"], "error": "it died", "prediction": None}
    text = report([failed, line("compute-fp32", [fix("tf32", 20, 40, 50)], planted=side(50.0), tf32=side(35.0))])
    assert "- compute-tf32: it died" in text
    assert "| compute-fp32 | tf32 | 100.00 | 50.00 | 60.00 | 35.00 | 71.4 % | 14.3 %" in text
    assert "Bound right: 1 of 2. First recommendation right: 1 of 2." in text


def test_what_is_packed_comes_back_and_traces_stay_readable(tmp_path: Path) -> None:
    rank = tmp_path / "runs" / "one" / "ranks" / "r00000"
    rank.mkdir(parents=True)
    (rank / "trace.json").write_text(json.dumps({"traceEvents": []}))
    (rank / "rank.json").write_text("{}")
    archives = pack(tmp_path / "runs", tmp_path)
    runs = unpack(archives, tmp_path / "again")
    assert [run.name for run in runs] == ["one"]
    assert sorted(path.name for path in (runs[0] / "ranks" / "r00000").iterdir()) == ["rank.json", "trace.json.gz"]
