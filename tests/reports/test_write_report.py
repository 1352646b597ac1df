"""Reports in files: the ending chooses, the text is whole, and Markdown and CSV keep hostile names harmless."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.errors import InputError
from llmprof.reports import FORMATS, write_report
from llmprof.reports.document import render_json
from llmprof.reports.markdown import render_markdown
from llmprof.reports.tables import COLUMNS, render_csv
from tests.reports.samples import SAMPLES, communication_bound, hostile, input_starved, no_verdict


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_can_be_written_in_every_format(name: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"report{ending}"
    write_report(SAMPLES[name](), path)
    assert path.read_text(encoding="utf-8").endswith("\n")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_an_unknown_ending_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape("use one of .html, .md, .csv, .json, .txt")):
        write_report(input_starved(), tmp_path / "report.pdf")


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose another place"):
        write_report(input_starved(), tmp_path / "missing" / "report.html")


@pytest.mark.parametrize("name", SAMPLES)
def test_a_written_document_reads_back_and_tells_the_same(name: str, tmp_path: Path) -> None:
    write_report(SAMPLES[name](), tmp_path / "analysis.json")
    again = Diagnosis.from_json((tmp_path / "analysis.json").read_text(encoding="utf-8"))
    assert render_markdown(again) == render_markdown(SAMPLES[name]())


def test_json_is_the_document() -> None:
    assert json.loads(render_json(input_starved())) == input_starved().to_dict()


def test_csv_has_its_columns_and_parts_that_sum_to_the_step() -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(communication_bound()))))
    assert tuple(rows[0]) == COLUMNS
    for rank in ("0", "1"):
        parts = [float(row["ms"]) for row in rows if row["record"] == "part" and row["rank"] == rank]
        assert sum(parts) == pytest.approx(51.4, rel=1e-3)
    assert [row["name"] for row in rows if row["record"] == "fix"] == ["wrap-ddp", "reduce-in-bf16", "enable-p2p"]


def test_csv_leaves_unknown_cells_empty() -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(no_verdict()))))
    assert [row["ms"] for row in rows] == ["", "", ""]


def test_csv_holds_no_formula() -> None:
    rows = csv.reader(io.StringIO(render_csv(hostile())))
    cells = [cell for row in rows for cell in row if cell[:1] in "=+-@" and cell]
    assert [cell for cell in cells if not re.fullmatch(r"-?[\d.]+", cell)] == []


def test_markdown_holds_no_tag_link_or_code_of_a_name() -> None:
    text = re.sub(r"^(`{3,})\n.*?\n\1$", "", render_markdown(hostile()), flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"(?<!\\)[<>\[`]", text)


def test_markdown_tables_keep_their_columns() -> None:
    table = render_markdown(hostile()).split("| State |")[1].split("\n\n")[0]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()[1:]} == {6}
