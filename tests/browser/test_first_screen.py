"""The page in a real browser: what stands above the fold, that it asks for nothing, and that names stay text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.reports.samples import SAMPLES, communication_bound, hostile, input_starved

pytestmark = pytest.mark.browser

Open = Callable[..., Any]
FIRST_SCREEN = ("#verdict h1", ".numbers", ".bar", ".legend", ".fixes", ".trust")


@pytest.mark.parametrize(
    "sample", [name for name in SAMPLES if name not in ("hostile", "no_verdict", "nothing_limits")]
)
def test_the_first_screen_stands_above_the_fold(open_page: Open, sample: str) -> None:
    page = open_page(sample)
    bottoms = {part: page.locator(part).bounding_box() for part in FIRST_SCREEN}
    assert {part for part, box in bottoms.items() if box is None or box["y"] + box["height"] > 800} == set()
    assert page.locator(".fix").count() == min(3, len(SAMPLES[sample]().recommendations))


def test_without_a_verdict_the_page_says_why_and_shows_no_bar(open_page: Open) -> None:
    page = open_page("no_verdict")
    assert page.locator(".badge").inner_text() == "NO VERDICT"
    assert "llmprof run -- python train.py" in page.locator(".reason").inner_text()
    assert page.locator(".bar, .fix").count() == 0
    assert page.locator(".numbers .unknown").count() == 4


@pytest.mark.parametrize("sample", ["input_starved", "communication_bound", "out_of_memory"])
def test_numbers_in_the_page_are_those_of_the_document(open_page: Open, sample: str) -> None:
    page = open_page(sample)
    document = json.loads(SAMPLES[sample]().to_json())
    tiles = page.eval_on_selector_all(".tile", "ts => ts.map(t => [t.dataset.field, t.querySelector('data').value])")
    assert {field: float(value) for field, value in tiles} == {field: document["step"][field] for field, _ in tiles}
    parts = [float(v) for v in page.eval_on_selector_all(".parts tbody data", "ds => ds.map(d => d.value)")]
    assert sum(parts) == pytest.approx(sum(document["partition"].values()), rel=1e-3)
    assert page.evaluate("JSON.parse(document.getElementById('analysis').textContent)") == document


def test_segments_are_as_wide_as_their_share(open_page: Open) -> None:
    page = open_page("input_starved")
    width = page.locator(".bar").bounding_box()["width"]
    wait = page.locator('.segment[data-part="data"]').bounding_box()["width"]
    assert wait / width == pytest.approx(38.4 / 85.5213, abs=0.01)


def test_a_fix_under_the_pointer_marks_the_parts_that_it_shrinks(open_page: Open) -> None:
    page = open_page("input_starved")
    page.locator(".fix").first.hover()
    assert page.eval_on_selector_all(".segment.linked", "s => s.map(e => e.dataset.part)") == ["data"]
    page.mouse.move(2, 2)
    assert page.locator(".linked").count() == 0


def test_a_focused_fix_marks_its_parts_too(open_page: Open) -> None:
    page = open_page("communication_bound")
    page.locator(".fix .action").first.focus()
    assert "communication" in page.eval_on_selector_all(".segment.linked", "s => s.map(e => e.dataset.part)")


def test_a_part_under_the_pointer_marks_its_fixes(open_page: Open) -> None:
    page = open_page("input_starved")
    page.locator('.segment[data-part="data"]').hover()
    assert "num_workers" in page.locator(".fix.linked .action").first.inner_text()


def test_the_page_reads_without_scripts(open_page: Open) -> None:
    page = open_page("input_starved", scripts=False)
    text = page.locator("main").inner_text()
    for words in (input_starved().verdict.sentence, "85.5 ms", "input wait", "(34.1-38.4)", "96 steps measured"):
        assert words in text
    assert page.locator("#theme").is_visible() is False


def test_the_keyboard_reaches_skip_link_sections_and_fixes_in_order(open_page: Open) -> None:
    page = open_page("input_starved")
    reached = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim()"))
    assert reached[0] == "Skip to the verdict"
    assert any(text.startswith("All 13 parts") for text in reached)
    assert "Raise DataLoader num_workers from 0 to 4" in reached


@pytest.mark.parametrize("width", [360, 768, 1280, 1920])
@pytest.mark.parametrize("sample", ["input_starved", "communication_bound", "hostile"])
def test_nothing_scrolls_sideways(open_page: Open, sample: str, width: int) -> None:
    page = open_page(sample, width=width)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_names_stay_text(open_page: Open) -> None:
    page = open_page("hostile")
    assert page.evaluate("window.pwned") is None
    assert page.locator("main img, main script, main svg[onload]").count() == 0
    assert "<script>window.pwned=1</script>" in page.locator("h1").inner_text()
    assert (
        page.evaluate("JSON.parse(document.getElementById('analysis').textContent).source.paths[4]")
        == (hostile().source.paths[4])
    )


def test_printing_opens_what_is_folded(open_page: Open) -> None:
    page = open_page("input_starved")
    folded = page.locator("details:not([open])").count()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert folded > 0 and page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() == folded
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("sample", ["communication_bound", "hostile"])
def test_nothing_runs_off_a_printed_page(open_page: Open, sample: str) -> None:
    page = open_page(sample, width=720)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.documentElement.scrollWidth") <= 720


def test_the_theme_follows_the_system_and_its_switch(open_page: Open) -> None:
    page = open_page("input_starved", dark=True)
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.locator("#theme").click()
    light = page.evaluate(ground)
    assert [sum(map(int, re.findall(r"\d+", colour)[:3])) > 384 for colour in (dark, light)] == [False, True]


def test_a_link_to_a_folded_check_opens_it(open_page: Open) -> None:
    page = open_page("input_starved")
    page.evaluate("location.hash = '#rule=fp32-matmul'")
    page.wait_for_selector("details[open] .checks")
    assert page.locator("[id='rule=fp32-matmul']").is_visible()


def test_the_document_can_be_saved_from_the_page(open_page: Open, tmp_path: Path) -> None:
    page = open_page("communication_bound")
    with page.expect_download() as waiting:
        page.locator("#save").click()
    saved = tmp_path / "saved.json"
    waiting.value.save_as(saved)
    assert json.loads(saved.read_text(encoding="utf-8")) == json.loads(communication_bound().to_json())
