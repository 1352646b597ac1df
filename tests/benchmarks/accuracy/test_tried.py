"""Is what `llmprof try` finds on a planted case kept and shown?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the cases train with torch")

from report import trials
from table import EVERY
from tried import TRIED, main, summary

from llmprof.collectors.live.fixes.applying.catalogue import about


def test_every_fix_that_is_tried_can_be_applied_from_outside() -> None:
    for name, fixes in TRIED.items():
        assert all(about(fix) is not None for fix in fixes), name
        assert set(fixes) <= {*EVERY[name].first, *EVERY[name].sides}, name
    assert sum(map(len, TRIED.values())) >= 10


def test_a_trial_becomes_a_line_and_a_row() -> None:
    side = {"mean_ms": 70.0, "low_ms": 69.0, "high_ms": 71.0, "steps": 80}
    document = {
        "comparison": {
            "plain": {**side, "mean_ms": 100.0}, "fixed": side, "predicted_ms": [63.0, 60.0, 72.0], "outcome": "kept",
        },
        "losses": {"difference": 0.01, "plain_difference": None}, "fixes": [{"what": ["x"]}], "warnings": [],
        "error": None,
    }  # fmt: skip
    line = {"case": "compute-fp32", "fix": "tf32", **summary(document)}
    assert (line["predicted_ms"], line["measured_ms"], line["came_true"]) == (63.0, 70.0, "kept")
    text = trials([line, {"case": "a", "fix": "b", "error": "it died"}])
    assert "| compute-fp32 | tf32 | 100.00 | 63.00 | 60.00 to 72.00 | 70.00 | 69.00 to 71.00 | kept | 1.0 % |" in text
    assert "not measured: it died" in text
    assert "median 10.0 %, worst 10.0 % of 1" in text


def test_a_trial_that_did_not_take_effect_has_no_figures() -> None:
    document = {"comparison": None, "losses": None, "fixes": [{"what": []}], "warnings": [], "error": "never applied"}
    assert summary(document).get("measured_ms") is None
    assert summary(document)["error"] == "never applied"


@pytest.mark.slow
def test_a_case_is_recorded_once_and_each_fix_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCURACY_TINY", "1")
    words = ["--out", str(tmp_path), "--tiny", "--pairs", "1", "--cases", "host-optimizer"]
    main(words)
    main(words)  # resumes: there is nothing left to do
    lines = [json.loads(row) for row in (tmp_path / "tried.jsonl").read_text().splitlines()]
    assert [line["fix"] for line in lines] == ["fused-optimizer", "foreach-optimizer"]
    assert [line["error"] for line in lines] == [None, None]
    assert all(line["measured_ms"] > 0 for line in lines)
    assert (tmp_path / "tried" / "host-optimizer" / "trials" / "2.json").exists()
