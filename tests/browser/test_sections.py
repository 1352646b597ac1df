"""The sections, the fix cards and their joint results in a real browser, on pages of real recordings."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmprof.analyzers.diagnosis import Combined, RankSummary
from llmprof.reports import write_report
from tests.browser.recorded import RECORDINGS
from tests.scenarios.recordings import recorded

pytestmark = pytest.mark.browser

Open = Callable[..., Any]
RULED = [
    "steps",
    "idle",
    "communication",
    "ranks",
    "input",
    "host",
    "kernels",
    "precision",
    "memory",
    "compile",
    "devices",
]
SECTIONS = [*RULED, "checks", "run", "timeline", "fixes"]


@pytest.fixture(scope="session", params=RECORDINGS)
def page_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    diagnosis, timeline = recorded(request.param)
    path = tmp_path_factory.mktemp("pages") / f"{request.param}.html"
    write_report(diagnosis, path, timeline=timeline)
    return request.param, path


def figures(value: Any) -> set[float]:
    """Every number of the document, as the page may show it, and shares of the whole that are derived from them."""
    if isinstance(value, dict):
        return set().union(*map(figures, value.values()), set())
    if isinstance(value, list):
        return set().union(*map(figures, value), set())
    return {float(value)} if isinstance(value, int | float) and not isinstance(value, bool) else set()


def test_every_section_is_there_with_a_sentence(open_file: Open, page_of: tuple[str, Path]) -> None:
    page = open_file(page_of[1])
    for name in SECTIONS:
        sentence = page.locator(f"#{name} header p").first.inner_text()
        assert len(sentence) > 10, name
        assert "unknown" not in sentence, (name, sentence)


def test_every_number_of_the_sections_is_one_of_the_document(open_file: Open, page_of: tuple[str, Path]) -> None:
    """Times and sizes in the tables are figures of analysis.json to the last digit; shares are quotients of two."""
    page = open_file(page_of[1])
    document = json.loads(recorded(page_of[0])[0].to_json())
    known = {round(number, 4) for number in figures(document)}
    cells = page.eval_on_selector_all(
        ".section .grid td.number data, .ranks td.number data", "ds => ds.map(d => [d.value, d.textContent])"
    )
    strange = [text for value, text in cells if not text.endswith("%") and round(float(value), 4) not in known]
    assert len(cells) > 100
    assert strange == []


def test_shares_are_between_nothing_and_all(open_file: Open, page_of: tuple[str, Path]) -> None:
    page = open_file(page_of[1])
    shares = page.eval_on_selector_all(".section .grid td.number data", "ds => ds.map(d => [d.value, d.textContent])")
    assert all(0 <= float(value) <= 1.0001 for value, text in shares if text.endswith("%"))


def test_what_was_found_is_unfolded(open_file: Open, page_of: tuple[str, Path]) -> None:
    page = open_file(page_of[1])
    found = [name for name in RULED if page.locator(f"#{name} .evidence > li").count() > 0]
    assert found
    assert all(page.locator(f"#{name} > details.fold").evaluate("d => d.open") for name in found)
    assert page.locator("details.fold:not([open])").count() > 0


def test_ticked_fixes_show_the_joint_result_of_the_document(open_file: Open, tmp_path: Path) -> None:
    diagnosis, _ = recorded("communication-ddp")
    path = tmp_path / "page.html"
    write_report(diagnosis, path)
    page = open_file(path)
    one = diagnosis.joint[0]
    for fix in one.of:
        page.locator(f'.with[value="{fix}"]').check()
    told = page.locator("#choice").inner_text()
    assert f" {one.step_ms_after:.1f} ms (" in told
    assert "2 together" in told


def test_a_choice_that_was_not_replayed_is_not_made_up(open_file: Open, tmp_path: Path) -> None:
    diagnosis, _ = recorded("bandwidth-ddp")
    first, second, third = (fix.id for fix in diagnosis.recommendations[:3])
    joint = tuple(Combined(of=pair, step_ms_after=20.0) for pair in ((first, second), (second, third)))
    path = tmp_path / "page.html"
    write_report(dataclasses.replace(diagnosis, combined=None, joint=joint), path)
    page = open_file(path)
    for fix in (first, third):
        page.locator(f'.with[value="{fix}"]').check()
    told = page.locator("#choice").inner_text()
    assert "llmprof what-if RUN --fix" in told
    assert " ms" not in told


@pytest.mark.parametrize("width", [360, 768, 1920])
def test_no_section_scrolls_the_page_sideways(open_file: Open, page_of: tuple[str, Path], width: int) -> None:
    page = open_file(page_of[1], width=width)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_sections_read_without_scripts(open_file: Open, page_of: tuple[str, Path]) -> None:
    page = open_file(page_of[1], scripts=False)
    assert page.locator("#kernels .bars").count() > 0
    assert page.locator("#kernels table").first.locator("tbody tr").count() > 5
    assert page.locator(".js:visible").count() == 0


def test_a_printed_page_holds_every_section(open_file: Open, page_of: tuple[str, Path]) -> None:
    page = open_file(page_of[1], width=720)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
    assert page.locator("#kernels table").first.is_visible()
    assert page.pdf().startswith(b"%PDF")


def test_the_redacted_page_names_no_folder_machine_or_argument(open_file: Open, tmp_path: Path) -> None:
    diagnosis, timeline = recorded("bandwidth-ddp")
    path = tmp_path / "page.html"
    write_report(diagnosis, path, timeline=timeline, redact=True)
    text = path.read_text(encoding="utf-8")
    for secret in ("node0", "--layers", str(Path(diagnosis.source.paths[0]).parent)):
        assert secret not in text, secret
    assert "train_gpt.py" in open_file(path).locator("#run").inner_text()


def test_a_card_can_be_taken_along_as_markdown(open_file: Open, tmp_path: Path) -> None:
    diagnosis, _ = recorded("bandwidth-ddp")
    path = tmp_path / "page.html"
    write_report(diagnosis, path)
    page = open_file(path, permissions=["clipboard-read", "clipboard-write"])
    page.locator("#fix-1 .markdown").click()
    page.wait_for_selector("#fix-1 .markdown >> text=Copied")
    text = page.evaluate("navigator.clipboard.readText()")
    first = diagnosis.recommendations[0]
    assert text.startswith(f"### {first.action}\n")
    assert f"```\n{first.how}\n```" in text


def test_one_of_many_ranks_is_found_by_its_number(open_file: Open, tmp_path: Path) -> None:
    diagnosis, _ = recorded("bandwidth-ddp")
    ranks = tuple(RankSummary(rank=n, step_ms=10.0 + n, partition={"compute": 10.0 + n}) for n in range(200))
    path = tmp_path / "page.html"
    write_report(dataclasses.replace(diagnosis, ranks=ranks), path)
    page = open_file(path)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.locator(".filter").fill("173")
    assert page.locator(".every tbody tr:visible").count() == 1
    page.locator(".filter").fill("")
    assert page.locator(".every tbody tr:visible").count() == 200
