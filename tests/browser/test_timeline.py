"""The timeline in a real browser: what it shows is what was recorded, links land in it, and a million events move."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmprof.reports import write_report
from llmprof.reports.html import pane
from llmprof.timeline.events import DEVICE_KINDS
from tests.browser.recorded import eight_ranks, made_up
from tests.reports.samples import HOSTILE_NAMES, input_starved
from tests.scenarios.recordings import recorded

pytestmark = pytest.mark.browser

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def real_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "real.html"
    diagnosis, timeline = recorded("bandwidth-ddp")
    write_report(diagnosis, path, timeline=timeline)
    return path


def shown(page: Any) -> Any:
    """The canvas, drawn for the first time."""
    canvas = page.locator("#tl-canvas")
    canvas.scroll_into_view_if_needed()
    page.wait_for_selector("#tl-canvas[data-ready][data-draw-ms]")
    return canvas


def view(page: Any) -> tuple[float, float]:
    """The window in ns, after the next frame."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return tuple(page.evaluate("(c => [+c.dataset.start, +c.dataset.end])(document.getElementById('tl-canvas'))"))


def test_every_event_of_the_recording_is_there_or_said_to_be_left_out(open_file: Open, real_page: Path) -> None:
    page = open_file(real_page)
    _, timeline = recorded("bandwidth-ddp")
    told = page.locator("#timeline header").inner_text()
    data = page.evaluate("JSON.parse(document.getElementById('events').textContent)")
    there = sum(row["count"] for rank in data["ranks"] for row in rank["rows"])
    every = sum(len(rank.events) for rank in timeline.ranks if rank.events is not None)
    assert f"{there:,} events of 2 ranks" in told
    assert f"{every - there:,} of {every:,} events are left out" in told


def test_the_page_inflates_what_python_has_packed(open_file: Open, real_page: Path) -> None:
    """All kernels named like a collective are found, with the number that the recording has in its steps."""
    page = open_file(real_page)
    shown(page)
    page.select_option("#tl-rank", "all")
    page.fill("#tl-find", "nccl")
    _, timeline = recorded("bandwidth-ddp")
    expected = 0
    for rank in timeline.ranks:
        events = rank.events
        assert events is not None
        rows = pane._thinned(rank, pane._in_steps(rank), 0)
        rows = rows[np.isin(events.kind[rows], DEVICE_KINDS)]
        expected += sum("nccl" in events.named(int(row)).lower() for row in rows)
    assert expected > 50
    assert page.locator("#tl-found").inner_text() == f"{expected:,} found"


def test_keys_zoom_move_and_show_everything(open_file: Open, real_page: Path) -> None:
    page = open_file(real_page)
    canvas = shown(page)
    canvas.focus()
    start, end = view(page)
    page.keyboard.press("+")
    zoomed = view(page)
    assert zoomed[1] - zoomed[0] == pytest.approx(0.6 * (end - start), rel=0.01)
    page.keyboard.press("ArrowRight")
    moved = view(page)
    assert moved[0] > zoomed[0] and moved[1] - moved[0] == pytest.approx(zoomed[1] - zoomed[0])
    page.keyboard.press("0")
    assert view(page)[1] - view(page)[0] == pytest.approx(end - start, rel=0.05)


def test_keys_walk_along_a_row_and_say_what_they_reach(open_file: Open, real_page: Path) -> None:
    page = open_file(real_page)
    shown(page).focus()
    for key in ("ArrowDown", "n", "n", "Enter"):
        page.keyboard.press(key)
    told = page.locator("#tl-told").inner_text()
    assert "GPU" in told and "rank" in told and "at " in told


def test_a_step_can_be_chosen(open_file: Open, real_page: Path) -> None:
    page = open_file(real_page)
    shown(page)
    page.select_option("#tl-step", index=2)
    data = page.evaluate("JSON.parse(document.getElementById('events').textContent)")
    start, end = view(page)
    steps = data["steps"][str(data["focus"])]
    number, first, last = steps[1]
    assert page.locator("#tl-step").input_value() == str(number)
    assert start < first and last < end and end - start < 1.1 * (last - first)


def test_a_link_of_the_evidence_lands_in_its_window(open_file: Open, real_page: Path) -> None:
    page = open_file(real_page)
    link = page.locator("#idle a.at").first
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    link.click()
    shown(page)
    diagnosis, _ = recorded("bandwidth-ddp")
    gap = diagnosis.details["idle"]["gaps"][0]["window_ns"]
    data = page.evaluate("JSON.parse(document.getElementById('events').textContent)")
    zero = data["zero_ns"][str(diagnosis.partition_rank)]
    start, end = view(page)
    assert start <= gap[0] - zero and gap[1] - zero <= end
    assert end - start < 2 * (gap[1] - gap[0])
    assert page.locator("#tl-rank").input_value() == str(diagnosis.partition_rank)


def test_every_window_of_the_evidence_is_a_link(open_file: Open, real_page: Path) -> None:
    page = open_file(real_page)
    diagnosis, _ = recorded("bandwidth-ddp")
    windows = [item.window_ns for one in diagnosis.findings for item in one.evidence if item.window_ns is not None]
    assert windows
    assert page.locator("#checks a.at").count() == len(windows)


def test_a_deep_link_opens_at_its_window(open_file: Open, real_page: Path) -> None:
    page = open_file(real_page, at="#t=r1,60.000000-70.000000ms")
    shown(page)
    zero = page.evaluate("JSON.parse(document.getElementById('events').textContent)")["zero_ns"]["1"]
    start, end = view(page)
    assert page.locator("#tl-rank").input_value() == "1"
    assert start + zero == pytest.approx(58.5e6, abs=1) and end + zero == pytest.approx(71.5e6, abs=1)


def test_the_window_goes_into_the_address(open_file: Open, real_page: Path) -> None:
    page = open_file(real_page)
    shown(page).focus()
    page.keyboard.press("+")
    page.evaluate("new Promise(done => setTimeout(done, 500))")  # it is written when the view has come to rest
    again = page.evaluate("location.hash")
    start, end = view(page)
    data = page.evaluate("JSON.parse(document.getElementById('events').textContent)")
    low, high = (float(part) * 1e6 for part in again.removesuffix("ms").split(",")[1].split("-"))
    zero = data["zero_ns"][str(data["focus"])]
    assert (low - zero, high - zero) == (pytest.approx(start, abs=2), pytest.approx(end, abs=2))


def test_searching_goes_from_match_to_match(open_file: Open, real_page: Path) -> None:
    page = open_file(real_page)
    shown(page)
    page.fill("#tl-find", "AllReduce")
    told = []
    for _ in range(3):
        page.locator("#tl-next").click()
        told.append(page.locator("#tl-told").inner_text())
    assert all("AllReduce" in text for text in told)
    assert len(set(told)) == 3


def test_hostile_names_stay_text_on_the_canvas(open_file: Open, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    write_report(input_starved(), path, timeline=made_up(600, names=HOSTILE_NAMES))
    page = open_file(path)
    canvas = shown(page)
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    canvas.focus()
    for key in ("ArrowDown", "n", "n", "n", "Enter"):
        page.keyboard.press(key)
    assert page.evaluate("window.pwned") is None
    assert page.locator("main img, main script").count() == 0
    names = page.evaluate("JSON.parse(document.getElementById('events').textContent).ranks[0].names")
    assert max(map(len, names)) <= 160
    assert not {"\u202e", "\u2028", "\x1b"} & set("".join(names))


def test_without_a_recording_the_pane_says_how_to_get_it(open_page: Open) -> None:
    page = open_page("input_starved")
    assert "llmprof report RUN" in page.locator("#timeline").inner_text()
    assert page.locator("#tl-canvas, a.at").count() == 0


def test_without_scripts_the_page_says_that_the_timeline_needs_one(open_file: Open, real_page: Path) -> None:
    page = open_file(real_page, scripts=False)
    assert "drawn by a script" in page.locator("#timeline").inner_text()
    assert page.locator("#tl-canvas").is_visible() is False


def test_eight_ranks_stay_small_and_open_at_once(
    open_file: Open, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    path = tmp_path / "eight.html"
    write_report(recorded("bandwidth-ddp")[0], path, timeline=eight_ranks())
    begun = time.perf_counter()
    page = open_file(path)
    opened = time.perf_counter() - begun
    shown(page)
    print(f"\n8 ranks x 4 steps: {path.stat().st_size / 1e6:.2f} MB, opened in {opened:.2f} s (budget 5 MB, 1.5 s)")
    record_property("opened_s", opened)
    assert path.stat().st_size < 5e6
    assert "of 8 ranks" in page.locator("#timeline header").inner_text()


def test_a_million_events_redraw_like_a_few(
    open_file: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """A hundred times as many events may cost a few times as much, since a redraw costs rows x pixels."""
    monkeypatch.setattr(pane, "BUDGET", 20_000_000)
    medians = {}
    for count in (10_000, 1_000_000):
        path = tmp_path / f"{count}.html"
        write_report(input_starved(), path, timeline=made_up(count))
        page = open_file(path)
        shown(page).focus()
        drawn = []
        for key in ("0", "+", "+", "+", "+", "-", "ArrowRight", "0", "+", "+", "+", "-", "0"):
            page.keyboard.press(key)
            view(page)
            drawn.append(float(page.locator("#tl-canvas").get_attribute("data-draw-ms")))
        medians[count] = sorted(drawn)[len(drawn) // 2]
        shown_events = sum(
            row["count"] for row in json.loads(page.locator("#events").text_content())["ranks"][0]["rows"]
        )
        assert shown_events == pytest.approx(count, rel=0.001)
    print(f"\nredraw: {medians[10_000]:.1f} ms at 10 k events, {medians[1_000_000]:.1f} ms at 1 M (budget 50 ms)")
    record_property("redraw_ms", medians[1_000_000])
    assert medians[1_000_000] < 20 * medians[10_000] + 30
