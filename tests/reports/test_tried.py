"""Every report shows what a trial has measured beside what was promised."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.diagnosis import Diagnosis, Tried
from llmprof.reports.fixes import fixes_of, tried_text
from llmprof.reports.html.page import render_html
from llmprof.reports.markdown import render_markdown
from llmprof.reports.terminal import render_plain
from tests.cli.conftest import make_diagnosis

TRIED = Tried(
    trial=1,
    fixes=("dataloader-workers",),
    outcome="kept",
    plain_ms=101.0,
    step_ms=47.0,
    low_ms=46.0,
    high_ms=48.0,
    predicted_ms=45.0,
)


def tried() -> Diagnosis:
    diagnosis = make_diagnosis(bound="data")
    return replace(diagnosis, recommendations=(replace(diagnosis.recommendations[0], tried=TRIED),))


def test_a_fix_that_was_tried_says_predicted_and_measured() -> None:
    assert fixes_of(tried())[0].tried == "tried: 101 ms -> 47.0 ms, predicted 45.0 ms"


@pytest.mark.parametrize("render", [render_plain, render_markdown, render_html])
def test_it_is_in_every_report(render: object) -> None:
    assert callable(render)
    text = render(tried())
    assert "tried: 101 ms" in text
    assert "predicted 45.0 ms" in text
    assert "predicted" not in render(make_diagnosis(bound="data"))


@pytest.mark.parametrize("recommended", [True, False])
@pytest.mark.parametrize("render", [render_plain, render_markdown, render_html])
def test_what_was_tried_without_a_recommendation_is_in_every_report(render: object, recommended: bool) -> None:
    assert callable(render)
    other = replace(tried(), tried=(replace(TRIED, fixes=("gc-policy", "tf32")),))
    text = render(other if recommended else replace(other, recommendations=()))
    assert "gc-policy + tf32: 101 ms" in text


def test_what_was_not_promised_alone_or_not_decided_says_so() -> None:
    joint = replace(TRIED, fixes=("a", "b"), predicted_ms=None, predicted_low_ms=40.0, predicted_high_ms=50.0)
    assert tried_text(joint) == "tried with 1 more: 101 ms -> 47.0 ms, predicted 40.0-50.0 ms"
    undecided = tried_text(replace(TRIED, outcome="undecided"))
    assert undecided == "tried: 101 ms -> 47.0 ms (within the noise), predicted 45.0 ms"
    assert tried_text(None) == ""
