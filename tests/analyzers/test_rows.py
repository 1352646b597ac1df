"""The diagnosis as a data frame, a Parquet file and in a notebook says what the document says."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import llmprof
from llmprof.analyzers.rows import COLUMNS
from llmprof.reports import write_report
from tests.conftest import ROOT
from tests.reports.samples import SAMPLES, communication_bound


@pytest.mark.parametrize("name", SAMPLES)
def test_the_frame_has_its_columns_and_parts_that_sum_to_the_step(name: str) -> None:
    diagnosis = SAMPLES[name]()
    frame = diagnosis.to_pandas()
    assert tuple(frame.columns) == COLUMNS
    parts = frame[(frame.record == "part") & (frame["rank"] == (diagnosis.partition_rank or 0))]
    assert parts.ms.sum() == pytest.approx(sum(diagnosis.partition.values()), rel=1e-3)
    assert set(frame[frame.record == "fix"].name) == {fix.id for fix in diagnosis.recommendations}


def test_kernels_and_collectives_have_rows() -> None:
    known = replace(communication_bound(), costs={"kernels": {"k": 2.0}, "collectives": {"all_reduce": 5.0}})
    frame = known.to_pandas()
    assert frame[frame.record == "kernel"].name.tolist() == ["k"]
    assert frame[frame.record == "collective"].ms.tolist() == [5.0]


@pytest.mark.parametrize("name", SAMPLES)
def test_parquet_reads_back_as_the_same_frame(name: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    import pandas as pd

    write_report(SAMPLES[name](), tmp_path / "x.parquet")
    again = pd.read_parquet(tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(again, SAMPLES[name]().to_pandas(), check_dtype=False)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_notebook_shows_the_verdict_and_no_foreign_markup(name: str) -> None:
    shown = SAMPLES[name]()._repr_html_()
    assert shown.count("<div") == shown.count("</div>") == 1
    assert set(re.findall(r"<(\w+)", shown)) <= {"div", "p", "b", "table", "thead", "tbody", "tr", "th", "td"}
    assert not re.search("[\u202a-\u202e\u2028\x1b]", shown)


def test_a_run_is_loaded_shown_and_diagnosed_in_a_notebook() -> None:
    timeline = llmprof.load(ROOT / "sample_traces" / "communication-ddp")
    shown = timeline._repr_html_()
    assert "Timeline of 2 ranks (run)" in shown
    assert shown.count("<tr>") == 3
    assert "Communication-bound" in llmprof.diagnose(timeline)._repr_html_()
