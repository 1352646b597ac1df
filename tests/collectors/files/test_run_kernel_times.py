"""Does kernel_times.json tell only what could have been timed, whoever wrote it?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmprof.collectors.files import run_kernel_times
from llmprof.collectors.files.run_directory import read_run_directory
from llmprof.collectors.files.run_kernel_times import read_kernel_times
from llmprof.timeline import rundir
from llmprof.timeline.kernel_times import KernelCall, to_json

CALL = KernelCall(kind="product", dims=((64, 32), (32, 16)), number_format="bf16", way="nt")
PLAIN: dict[str, Any] = to_json(CALL)


def read(tmp_path: Path, *rows: Any, **head: Any) -> tuple[dict[KernelCall, float] | None, list[str]]:
    path, warnings = tmp_path / "kernel_times.json", list[str]()
    path.write_text(json.dumps({"schema": 1, "device": "NVIDIA H200", "timed": list(rows), **head}))
    found = read_kernel_times(path, warnings)
    return (None if found is None else dict(found.ns)), warnings


def test_a_time_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, {"call": PLAIN, "ns": 1000}) == ({CALL: 1000.0}, [])


@pytest.mark.parametrize("ns", [0, -1, "5", True, None, 1e300, float("nan"), float("inf"), [1]])
def test_what_is_no_time_is_left_out(tmp_path: Path, ns: Any) -> None:
    assert read(tmp_path, {"call": PLAIN, "ns": ns})[0] == {}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "exec"},
        {"kind": None},
        {"way": "nchw"},
        {"way": ["nt"]},
        {"number_format": "fp7"},
        {"number_format": {}},
        {"dims": []},
        {"dims": "6432"},
        {"dims": [[64, 0], [0, 16]]},
        {"dims": [[64, 1.5], [2, 16]]},
        {"dims": [[64, True], [2, 16]]},
        {"dims": [[1 << 40], [2, 16]]},
        {"dims": [[1 << 20, 1 << 20], [2, 16]]},
        {"dims": [[2] * 9, [2, 16]]},
        {"dims": [[2, 2]] * 9},
        {"groups": 0},
        {"stride": [0]},
        {"padding": [-1]},
        {"bias": "no"},
        {"more": 1},
    ],
)
def test_what_is_no_call_is_left_out(tmp_path: Path, change: dict[str, Any]) -> None:
    assert read(tmp_path, {"call": {**PLAIN, **change}, "ns": 10})[0] == {}


@pytest.mark.parametrize("row", [None, 3, "x", [], {}, {"call": None, "ns": 1}, {"call": [PLAIN], "ns": 1}])
def test_what_is_no_row_is_left_out(tmp_path: Path, row: Any) -> None:
    assert read(tmp_path, row, {"call": PLAIN, "ns": 10})[0] == {CALL: 10.0}


@pytest.mark.parametrize("head", [{"schema": 2}, {"device": None}, {"timed": {}}])
def test_another_schema_is_no_times_and_a_warning(tmp_path: Path, head: dict[str, Any]) -> None:
    found, warnings = read(tmp_path, {"call": PLAIN, "ns": 10}, **head)
    assert found is None
    assert len(warnings) == 1


def test_a_damaged_file_is_a_warning_and_a_missing_one_is_nothing(tmp_path: Path) -> None:
    warnings: list[str] = []
    assert read_kernel_times(tmp_path / "kernel_times.json", warnings) is None
    assert not warnings
    (tmp_path / "kernel_times.json").write_text('{"schema": 1, "dev')
    assert read_kernel_times(tmp_path / "kernel_times.json", warnings) is None
    assert len(warnings) == 1


def test_rows_beyond_any_that_are_written_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_kernel_times, "MOST_TIMED", 1)
    other = {**PLAIN, "dims": [[8, 8], [8, 8]]}
    assert read(tmp_path, {"call": PLAIN, "ns": 10}, {"call": other, "ns": 10})[0] == {CALL: 10.0}
    monkeypatch.setattr(run_kernel_times, "MOST_BYTES", 10)
    found, warnings = read(tmp_path, {"call": PLAIN, "ns": 10})
    assert found is None
    assert "too large" in warnings[0]


def test_times_stand_for_the_ranks_on_this_gpu(tmp_path: Path) -> None:
    for rank, name in enumerate(("NVIDIA H200", "NVIDIA A100", "NVIDIA H200")):
        folder = rundir.claim_rank_dir(tmp_path, rank)
        rundir.write_json_atomic(folder / rundir.RANK, {"rank": rank, "environment": {"device": {"name": name}}})
        (folder / rundir.STEPS).write_text('{"n": 1, "t": 10, "wall": 5}\n')
    assert [rank.kernel_times for rank in read_run_directory(tmp_path).ranks] == [None] * 3
    read(tmp_path, {"call": PLAIN, "ns": 10})
    found = [rank.kernel_times for rank in read_run_directory(tmp_path).ranks]
    assert [times is not None for times in found] == [True, False, True]
