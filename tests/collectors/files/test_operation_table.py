"""Is a Parquet table of pipeline operations read as it is, and anything else refused in one sentence?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmprof.collectors.files import operation_table
from llmprof.collectors.files.operation_table import is_parquet, read_operations
from llmprof.errors import UnreadableError

arrow: Any = pytest.importorskip("pyarrow", reason="tables of operations are Parquet files")

COLUMNS = {
    "dp_rank": [0, 1],
    "stage": [0, 0],
    "rank": [0, 1],
    "step": [7, 7],
    "seq_id": [0, 0],
    "mc": [0, -1],
    "optype": ["forward-compute", "gc"],
    "start_ts": [1.5, 2.0],
    "duration": [0.25, 1e-9],
}


def write(path: Path, columns: dict[str, list[Any]]) -> Path:
    import pyarrow.parquet as parquet

    parquet.write_table(arrow.table(columns), path)
    return path


def test_every_column_is_read(tmp_path: Path) -> None:
    table = read_operations(write(tmp_path / "t.parquet", COLUMNS))
    assert [table.kinds[i] for i in table.kind] == COLUMNS["optype"]
    assert table.start_ns.tolist() == [1_500_000_000, 2_000_000_000]
    assert table.dur_ns.tolist() == [250_000_000, 1]
    assert (table.replica.tolist(), table.chunk.tolist(), table.step.tolist()) == ([0, 1], [0, -1], [7, 7])


def test_other_columns_are_refused(tmp_path: Path) -> None:
    less = {name: cells for name, cells in COLUMNS.items() if name != "stage"}
    with pytest.raises(UnreadableError, match="stage"):
        read_operations(write(tmp_path / "t.parquet", less))


@pytest.mark.parametrize("change", [{"start_ts": [1.5, float("nan")]}, {"stage": [0, None]}, {"rank": ["a", "b"]}])
def test_cells_that_are_no_numbers_are_refused(tmp_path: Path, change: dict[str, list[Any]]) -> None:
    with pytest.raises(UnreadableError, match="cannot be read"):
        read_operations(write(tmp_path / "t.parquet", COLUMNS | change))


def test_a_file_that_is_cut_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", COLUMNS)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UnreadableError, match="cannot be read"):
        read_operations(path)


def test_a_table_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    assert is_parquet(write(tmp_path / "nameless", COLUMNS))
    (tmp_path / "t.parquet").write_bytes(b"{}")
    assert not is_parquet(tmp_path / "t.parquet")
    assert not is_parquet(tmp_path)
    assert not is_parquet(tmp_path / "missing")


def test_a_duration_below_zero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="cannot be read"):
        read_operations(write(tmp_path / "t.parquet", COLUMNS | {"duration": [0.25, -1.0]}))


def test_more_rows_than_are_read_are_refused_before_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation_table, "MOST_ROWS", 1)
    with pytest.raises(UnreadableError, match="fewer steps"):
        read_operations(write(tmp_path / "t.parquet", COLUMNS))
