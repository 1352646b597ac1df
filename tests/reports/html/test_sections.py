"""The sections as text: what they say of real recordings, of nothing, and of a document that is damaged or hostile."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest

from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.reports.html import render_html
from llmprof.reports.html.charts import Piece, Row, bars, curve, roofline
from llmprof.reports.html.frame import Page, at_link, grid, ms_cell, section_of, text_cell
from llmprof.reports.html.sections import TITLES, sections
from llmprof.reports.view import build_view
from tests.reports.samples import HOSTILE_NAMES, SAMPLES, hostile, input_starved
from tests.reports.test_html import Outline
from tests.scenarios.recordings import recorded


def page_of(diagnosis: Diagnosis, timeline: bool = False) -> Page:
    return Page(build_view(diagnosis), diagnosis, timeline=timeline)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_document_without_figures_has_every_section_with_one_sentence(name: str) -> None:
    text = sections(page_of(SAMPLES[name]()))
    assert all(f'id="{section}-title"' in text for section in TITLES)
    assert "cannot be read" not in text


def test_the_page_of_a_document_read_back_is_the_same() -> None:
    diagnosis, _ = recorded("bandwidth-ddp")
    again = Diagnosis.from_json(diagnosis.to_json())
    assert sections(page_of(again)) == sections(page_of(Diagnosis.from_json(again.to_json())))
    assert "cannot be read" not in sections(page_of(again))


def spoiled(value: Any, wrong: Any) -> Any:
    """The same structure with every leaf replaced."""
    if isinstance(value, dict):
        return {key: spoiled(item, wrong) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [spoiled(item, wrong) for item in value]
    return wrong


@pytest.mark.parametrize(
    "wrong", [None, "text", -1, 0, 1e300, [], {}, *HOSTILE_NAMES[:3]], ids=lambda value: repr(value)[:20]
)
def test_damaged_figures_cost_a_section_and_not_the_page(wrong: Any) -> None:
    diagnosis, _ = recorded("bandwidth-ddp")
    plain = json.loads(diagnosis.to_json())["details"]
    page = render_html(dataclasses.replace(diagnosis, details=spoiled(plain, wrong)))
    tags = [tag for tag, _ in Outline(page).tags]
    assert not {"img", "svg onload"} & set(tags)
    assert tags.count("script") == [tag for tag, _ in Outline(render_html(diagnosis)).tags].count("script")


@pytest.mark.parametrize("wrong", [None, [], "x", 3])
def test_details_of_another_shape_are_no_figures(wrong: Any) -> None:
    details = dict.fromkeys(("anatomy", "idle", "kernels", "memory", "ranks", "devices"), wrong)
    assert "Step by step" in render_html(dataclasses.replace(input_starved(), details=details))


def test_hostile_names_in_figures_open_no_tag() -> None:
    top = [{"name": name, "class": name, "ms": 1.0, "count": 1, "format": name} for name in HOSTILE_NAMES]
    kernels = {"count": 3, "summed_ms": 3.0, "classes": {name: {"ms": 1.0} for name in HOSTILE_NAMES}, "top": top}
    page = render_html(dataclasses.replace(hostile(), details={"kernels": kernels}))
    honest = [tag for tag, _ in Outline(render_html(hostile())).tags]
    tags = Outline(page).tags
    assert [tag for tag, _ in tags].count("script") == honest.count("script")
    assert [key for _, attributes in tags for key in attributes if key.startswith("on")] == []
    assert all("\u202e" not in str(value) for _, attributes in tags for value in attributes.values())


def test_a_run_without_a_gpu_is_not_told_about_one() -> None:
    verdict = dataclasses.replace(input_starved().verdict, flags=("cpu-only",))
    details = {"input": {"wait_ms": 5.0, "exposed_wait_ms": 5.0}, "host": {"late": {"all_ms": 3.0}}}
    diagnosis = dataclasses.replace(input_starved(), verdict=verdict, details=details, findings=())
    text = sections(page_of(diagnosis)).split('id="run"')[0]
    assert set(re.findall(r"[^.<>]*\bGPU\b[^.<>]*", text)) <= {"GPU idle", "This run used no GPU"}


def test_rules_stand_in_the_section_of_what_they_explain() -> None:
    found = {rule: section_of(rule) for rule in ("input-starvation", "launch-bound", "throttling", "straggler-rank")}
    assert found == {
        "input-starvation": "input",
        "launch-bound": "host",
        "throttling": "devices",
        "straggler-rank": "ranks",
    }
    assert section_of("a-rule-of-somebody-else") == ""


def test_a_window_becomes_a_link_only_where_there_is_a_timeline() -> None:
    window = (12_345_000, 12_900_000)
    assert at_link(page_of(input_starved()), 3, window) == ""
    assert 'data-at="r3,12.345000-12.900000ms"' in at_link(page_of(input_starved(), timeline=True), 3, window)
    assert at_link(page_of(input_starved(), timeline=True), 3, None) == ""


def test_columns_in_which_nothing_is_known_are_left_out() -> None:
    rows = [["a", ms_cell(1.0), ms_cell(None), text_cell(None)], ["b", ms_cell(2.0), ms_cell(None), text_cell(None)]]
    table = grid("t", ["Name", "Time", "Rate", "Word"], rows)
    assert "Time" in table and "Rate" not in table and "Word" not in table


def test_bars_are_as_long_as_their_values() -> None:
    drawn = bars(
        "b", [Row("x", (Piece(30.0, "p-data"), Piece(10.0, "p-host")), "40"), Row("y", (Piece(20.0, "p-data"),), "20")]
    )
    assert 'width="750.0"' in drawn and 'x="750.0" width="250.0"' in drawn and 'width="500.0"' in drawn
    assert bars("b", []) == bars("b", [Row("x", (), "")]) == ""


def test_a_curve_passes_over_what_is_unknown() -> None:
    drawn = curve("c", [0.0, None, 10.0], ends=("a", "b"), top="10")
    assert 'd="M0.0 100.0L1000.0 0.0"' in drawn
    assert curve("c", [1.0], ends=("a", "b"), top="1") == curve("c", [None, None], ends=("a", "b"), top="") == ""


def test_a_roofline_names_its_roofs_and_its_dots() -> None:
    drawn = roofline([("aten::mm", "k-gemm", 200.0, 5e14, 3.0)], flops={"bf16": 1e15, "fp16": 1e15}, bytes_per_s=4e12)
    assert "bf16, fp16" in drawn and drawn.count("<circle") == 1
    assert "aten::mm: 200 FLOP/byte, 500 TFLOP/s, 3.00 ms per step" in drawn
    assert roofline([], flops={"bf16": 1e15}, bytes_per_s=4e12) == ""
