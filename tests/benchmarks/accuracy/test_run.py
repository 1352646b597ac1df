"""Does one planted case go all the way: recorded, diagnosed, frozen, measured?"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the cases train with torch")

from report import report
from run import main


@pytest.mark.slow
def test_a_case_is_recorded_frozen_and_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACCURACY_TINY", raising=False)
    words = ["--out", str(tmp_path), "--tiny", "--blocks", "2", "--measure-s", "3", "--cases", "data-decode"]
    main(words)
    main(words)  # resumes: there is nothing left to do
    (row,) = (tmp_path / "results.jsonl").read_text().splitlines()
    line = json.loads(row)
    assert line["error"] is None
    frozen = (tmp_path / "frozen" / "data-decode.json").read_bytes()
    assert line["frozen"]["sha256"] == hashlib.sha256(frozen).hexdigest()
    assert line["prediction"]["step_ms"] == json.loads(frozen)["step"]["mean_ms"]
    counted = {len(side["blocks_ms"]) for side in line["sides"].values()}
    assert len(counted) == 1
    assert 2 <= min(counted) <= 12
    assert [side["error"] for side in line["sides"].values()] == [None, None]
    assert [side["forked_error"] for side in line["sides"].values()] == [None, None]
    first_losses = {(side["done"][0], side["losses"][0]) for side in line["sides"].values()}
    assert len({loss for _, loss in first_losses}) == len({done for done, _ in first_losses})
    first = (tmp_path / "measured" / "data-decode" / "block.s1.0.json").stat().st_mtime
    assert line["frozen"]["unix"] < first
    assert "data-decode" in report([line])
