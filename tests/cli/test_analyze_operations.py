"""Is a table of pipeline operations an input like any other: an answer, a report, one sentence where it is none?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import InProcess, assert_one_sentence
from tests.scenarios.operations import pipeline_table, write_operations

pytest.importorskip("pyarrow", reason="tables of operations are Parquet files")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Known by its content: the name says nothing."""
    return write_operations(tmp_path / "operations.log", pipeline_table(slow=(1, 0), factor=2.0))


def test_the_terminal_names_the_slow_rank(in_process: InProcess, table: Path) -> None:
    done = in_process("analyze", table)
    assert (done.returncode, done.stderr) == (0, "")
    assert "IMBALANCED" in done.stdout
    assert "rank 2 makes it" in done.stdout
    assert done.stdout.count("\n") <= 25


def test_the_document_is_the_answer(in_process: InProcess, table: Path) -> None:
    done = in_process("analyze", table, "--json")
    assert done.returncode == 0
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["source"]["kind"] == "operations"
    assert document["verdict"]["bound"] == "imbalance"
    assert document["details"]["stragglers"]["basis"] == "operations"


@pytest.mark.parametrize("ending", ["html", "md", "csv", "txt"])
def test_every_report_can_be_made_of_it(in_process: InProcess, table: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"report.{ending}"
    done = in_process("report", table, "-o", out)
    assert done.returncode == 0, done.stderr
    text = out.read_text(encoding="utf-8")
    assert "repair-straggler" in text or "rank 2" in text
    assert "cannot be read" not in text


def test_a_pipeline_that_is_not_replayed_leaves_with_4(in_process: InProcess, tmp_path: Path) -> None:
    import dataclasses

    import numpy as np

    table = pipeline_table()
    table = dataclasses.replace(table, chunk=np.ones_like(table.chunk))
    done = in_process("analyze", write_operations(tmp_path / "t.parquet", table), "--json")
    assert done.returncode == 4
    assert "interleaved" in json.loads(done.stdout)["verdict"]["reason"]


def test_another_parquet_table_is_refused_in_one_sentence(in_process: InProcess, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "other.parquet")
    done = in_process("analyze", tmp_path / "other.parquet")
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_sentence(done.stderr)
    assert "optype" in done.stderr


def test_a_table_that_is_cut_is_refused_in_one_sentence(in_process: InProcess, table: Path) -> None:
    table.write_bytes(table.read_bytes()[:-40])
    done = in_process("analyze", table)
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_sentence(done.stderr)


@pytest.mark.parametrize("more", [["--step-ms", "40"], ["--ranks", "1"], ["--burst", "1"], ["other.json"]])
def test_a_table_stands_alone(in_process: InProcess, table: Path, more: list[str]) -> None:
    done = in_process("analyze", table, *more)
    assert done.returncode == 2
    assert_one_sentence(done.stderr)
    assert table.name in done.stderr
