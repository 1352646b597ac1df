"""The section of all fixes says how many of its cards promise anything."""

from __future__ import annotations

import dataclasses
import re

import pytest

from llmprof.analyzers.diagnosis import Gain, Recommendation
from llmprof.reports.html import render_html
from tests.reports.samples import input_starved


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
