"""Is what a kind of edge of the replay is worth told truly?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ablating import KINDS, Replayed, _cells, _replays, ablated
from reanalyzing import runs_of
from replay_runs import Measured

TRACES = Path(__file__).resolve().parents[3] / "sample_traces"


def replayed(**promised: tuple[float, float, float] | None) -> Replayed:
    return Replayed(0.01, 0.02, promised)


def test_a_fix_that_a_variant_cannot_tell_counts_as_no_change() -> None:
    fixes = [Measured("tf32", 0.4, 0.0, 60.0)]
    whole = replayed(tf32=(0.4, 0.3, 0.5))
    assert _cells([(whole, whole, fixes)])[-3:] == ["1.00", "1 of 1", "0"]
    assert _cells([(whole, replayed(tf32=None), fixes)])[-3:] == ["0.00", "0 of 1", "0"]


def test_a_fix_that_the_whole_replay_leaves_to_its_rule_is_not_counted() -> None:
    whole = replayed(tf32=None)
    assert _cells([(whole, replayed(tf32=(0.4, 0.3, 0.5)), [Measured("tf32", 0.4, 0.0, 60.0)])])[3] == "0"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(SystemExit, match="no such kind: gravity"):
        ablated([], [], ["gravity"])


def test_without_launches_the_device_does_not_wait_for_its_host() -> None:
    """A launch-bound run: what makes it slow is gone, and the traced step is missed."""
    run = next((path.parent for path in sorted(TRACES.glob("*host*/run.json"))), None)
    if run is None:
        pytest.skip("no recorded run of a launch-bound training in sample_traces")
    found, _ = _replays(run, {}, {"nothing": (), "launches": ("launches",)})
    assert found["nothing"].identity < 0.02
    assert found["launches"].identity > 0.1


def test_every_kind_leaves_something_out() -> None:
    assert set(KINDS) >= {"launches", "event-waits", "syncs", "queue", "collectives", "loader", "de-distortion"}


def test_of_two_recordings_of_a_case_the_one_of_the_line_is_read(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [{"case": "a", "started_unix": at} for at in (1000, 2000)]
    lines.append({"case": "b", "started_unix": 1000})
    for source, at in (("later", 1990), ("earlier", 990)):
        (tmp_path / source / "a").mkdir(parents=True)
        (tmp_path / source / "a" / "run.json").write_text(json.dumps({"start_unix_ns": at * 10**9}))
    found = runs_of(lines, [tmp_path / "later", tmp_path / "earlier"], tmp_path / "unpacked")
    assert found == [tmp_path / "earlier" / "a", tmp_path / "later" / "a", None]
