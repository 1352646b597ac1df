"""The recordings that ship: whole, small, free of host names, and diagnosed as what was planted in them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.recordings import recorded

FOLDER = Path(__file__).resolve().parents[1] / "sample_traces"
RECORDINGS: list[dict[str, Any]] = json.loads((FOLDER / "MANIFEST.json").read_text())["recordings"]


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda one: one["name"])
def test_a_recording_is_what_its_manifest_says(recording: dict[str, Any]) -> None:
    for name, digest in recording["sha256"].items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest, name
    diagnosis, _ = recorded(recording["name"])
    assert diagnosis.verdict.bound == recording["expected_bound"]
    assert diagnosis.capture.basis == "unprofiled"
    assert sum(diagnosis.partition.values()) == pytest.approx(diagnosis.step.mean_ms, rel=1e-3)


def test_all_recordings_together_are_small() -> None:
    names = [name for recording in RECORDINGS for name in recording["sha256"]]
    assert sum((FOLDER / name).stat().st_size for name in names) < 8_000_000


def test_no_recording_names_a_machine() -> None:
    for path in FOLDER.rglob("rank.json"):
        assert json.loads(path.read_text())["host"] == "node0"
    for path in FOLDER.rglob("*.json"):
        assert "/root" not in path.read_text() and "/tmp" not in path.read_text()
