"""The comparison as text, Markdown and page: the same figures everywhere, hostile names stay text, no request."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from rich.cells import cell_len

from llmprof.analyzers.compare import RunComparison, compare_runs
from llmprof.reports.compare import comparison_markdown, comparison_text, sheet_of
from llmprof.reports.compare_html import comparison_html
from tests.reports.samples import HOSTILE_NAMES, SAMPLES, communication_bound, hostile, input_starved


def slower() -> RunComparison:
    known = input_starved()
    after = replace(
        known,
        step=replace(known.step, mean_ms=105.5213, tokens_per_s=None),
        partition={**known.partition, "host": known.partition["host"] + 20.0},
        history_ms=tuple(value + 20 for value in known.history_ms),
        environment={**known.environment, "torch": "2.14.0"},
    )
    return compare_runs(known, after, ("runs/one", "runs/two"))


def hostile_pair() -> RunComparison:
    costs = [{"kernels": {name: 50.0 + place for name in HOSTILE_NAMES}} for place in (0, 40)]
    return compare_runs(*(replace(hostile(), costs=cost) for cost in costs), names=HOSTILE_NAMES[:2])


@pytest.mark.parametrize("width", [100, 200])
def test_no_row_of_a_table_is_wider_than_the_terminal(width: int) -> None:
    rows = [line for line in comparison_text(hostile_pair(), width=width).splitlines() if line.startswith("  ")]
    assert [row for row in rows if not row.startswith("  not alike") and cell_len(row) > width] == []


def test_the_text_tells_the_difference_its_part_and_the_settings() -> None:
    text = comparison_text(slower())
    assert text.startswith("SLOWER  85.5 ms -> 106 ms per step: 23 % slower")
    assert "most of it in host (launch) (+20.0 ms)" in text
    assert re.search(r"torch +2\.13\.0 +2\.14\.0", text)


def test_every_format_has_every_table() -> None:
    found = slower()
    for table in sheet_of(found).tables:
        for text in (comparison_text(found, width=200), comparison_markdown(found), comparison_html(found)):
            assert table.title in text


def test_the_waterfall_of_the_page_ends_where_b_is() -> None:
    page = comparison_html(slower())
    bars = re.findall(r'<rect class="(\w+)" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', page)
    assert [kind for kind, _, _ in bars] == ["whole", "more", "whole"]
    ends = [float(x) + float(width) for _, x, width in bars]
    assert ends[1] == pytest.approx(ends[2], abs=0.2)
    assert float(bars[1][1]) == pytest.approx(ends[0], abs=0.2)


def test_the_page_asks_the_network_for_nothing_and_is_the_same_every_time() -> None:
    page = comparison_html(slower())
    assert page == comparison_html(slower())
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)


def test_hostile_names_stay_text() -> None:
    page = comparison_html(hostile_pair())
    assert not re.search(r"<(script|img|svg on)[^>]*", page.replace("<svg viewBox", ""))
    for text in (page, comparison_text(hostile_pair()), comparison_markdown(hostile_pair())):
        assert not re.search(r"[\u202a-\u202e\u2028\x1b]", text)
    table = comparison_markdown(hostile_pair()).split("Kernels that changed")[1]
    lines = [line for line in table.split("\n## ")[0].splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {6}


@pytest.mark.parametrize("name", ["input_starved", "host_bound", "communication_bound"])
def test_runs_of_different_shape_are_told_with_what_is_not_alike(name: str) -> None:
    found = compare_runs(SAMPLES[name](), communication_bound())
    assert comparison_text(found).endswith("\n")
    assert bool(sheet_of(found).warnings) == bool(found.unlike)
