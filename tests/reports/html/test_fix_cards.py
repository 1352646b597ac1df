"""The section of all fixes says how many of its cards promise anything."""

from __future__ import annotations

import dataclasses
import re

import pytest

from llmprof.analyzers.diagnosis import Gain, Recommendation
from llmprof.reports.html import render_html
from llmprof.reports.html.first_screen import shrunk
from llmprof.reports.view import build_view
from tests.reports.samples import input_starved, out_of_memory


def advice(number: int, expected_ms: float) -> Recommendation:
    gain = Gain(expected_ms=expected_ms, low_ms=expected_ms / 2, high_ms=expected_ms)
    return Recommendation(id=f"fix-{number}", rule="r", action="a", why="w", how="h", verify="v", gain=gain)


@pytest.mark.parametrize(
    ("gains", "told"),
    [
        ((9.0, 4.0), "2 fixes, in the order in which to try them. Gains do not add up."),
        (
            (9.0, 4.0, 0.0),
            "2 fixes, in the order in which to try them; 1 more considered, of which nothing is expected",
        ),
        ((9.0,), "One fix."),
        ((0.0, 0.0), "2 considered; none is expected to help this run"),
    ],
)
def test_fixes_without_a_gain_are_not_counted_as_fixes(gains: tuple[float, ...], told: str) -> None:
    fixes = tuple(advice(number, gain) for number, gain in enumerate(gains))
    page = render_html(dataclasses.replace(input_starved(), recommendations=fixes, combined=None, joint=()))
    section = re.search(r'<section class="section" id="fixes".*?</header>', page, re.S)
    assert section is not None and told in section.group()


def test_fixes_can_be_ticked_only_where_it_is_known_what_they_bring_together() -> None:
    page = render_html(input_starved())
    joint = set(input_starved().combined.of)  # type: ignore[union-attr]
    assert set(re.findall(r'class="with" value="([^"]+)"', page)) == joint
    assert 'id="choice"' in page
    alone = render_html(dataclasses.replace(input_starved(), combined=None, joint=()))
    assert 'class="with"' not in alone and 'id="choice"' not in alone


def test_a_command_stands_once_on_its_card() -> None:
    command = "llmprof try --fix fix-1 RUN --against RUN2"
    fix = dataclasses.replace(advice(1, 9.0), verify=f"Record the changed run as RUN2, then `{command}`.")
    page = render_html(dataclasses.replace(input_starved(), recommendations=(fix,), combined=None, joint=()))
    card = page[page.index('<article class="card"') :].partition("</article>")[0]
    assert card.count(command) == 1
    assert "<p>Record the changed run as RUN2, then:</p>" in card
    assert "In a command, RUN is the directory of this run." in page


def test_the_first_screen_says_what_to_type_or_why_it_would_not_help() -> None:
    help_, nothing = advice(1, 9.0), dataclasses.replace(advice(2, 0.0), why="The step waits for copies.")
    for fix, title, told in (
        (help_, "What to do first", "<span>How:</span> <code>h</code>"),
        (nothing, "Considered, not expected to help", '<p class="doing why">The step waits for copies.</p>'),
    ):
        page = render_html(dataclasses.replace(input_starved(), recommendations=(fix,), combined=None, joint=()))
        first = page[page.index('<section class="first"') :].partition("</section>")[0]
        assert f"<h2>{title}</h2>" in first and told in first


def test_fixes_without_room_on_the_first_screen_are_linked_there() -> None:
    fixes = tuple(advice(number, 9.0 - number) for number in range(5))
    page = render_html(dataclasses.replace(input_starved(), recommendations=fixes, combined=None, joint=()))
    others = page[page.index('<p class="others">') :].partition("</p>")[0]
    assert re.findall(r'href="#fix-(\d)"', others) == ["4", "5"]
    assert "saves 6.00 ms (3.00-6.00)" in others


def test_a_fix_of_all_compute_names_it_once_and_nothing_that_is_hardly_there() -> None:
    base = input_starved()
    fix = dataclasses.replace(advice(1, 9.0), id="balance-batches")
    partition = {**base.partition, "data": 0.001, "skew": 38.4 - 0.001 + base.partition.get("skew", 0.0)}
    view = build_view(dataclasses.replace(base, recommendations=(fix,), partition=partition))
    assert list(shrunk(view, view.fixes[0])) == ["waiting for a late rank", "compute"]


def test_the_mark_of_the_limit_stands_beside_the_figure() -> None:
    """Beside the title it would lie under the meter."""
    page = render_html(out_of_memory())
    assert re.search(r'<p class="value">[^/]*</data> <b class="mark">the limit</b></p>', page)
