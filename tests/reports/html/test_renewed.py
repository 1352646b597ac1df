"""A page takes up what has been learned since, and keeps its events and whether it was redacted."""

from __future__ import annotations

import dataclasses

import pytest

from llmprof.analyzers.diagnosis import Diagnosis, Tried
from llmprof.errors import UnreadableError
from llmprof.reports.html import render_html
from llmprof.reports.html.renewed import renewed
from llmprof.reports.redact import redacted
from llmprof.timeline.timeline import Timeline
from tests.browser.recorded import made_up
from tests.reports.samples import input_starved


def sample() -> Diagnosis:
    """A diagnosis that holds what a page that is passed on must not say."""
    one = input_starved()
    source = dataclasses.replace(one.source, paths=("/home/ada/runs/7",))
    return dataclasses.replace(one, source=source, environment={**one.environment, "command": ["/home/ada/x.py", "-k"]})


def tried(one: Diagnosis) -> Diagnosis:
    """The same after its first fix was tried."""
    result = Tried(
        trial=3,
        fixes=(one.recommendations[0].id,),
        outcome="kept",
        plain_ms=100.0,
        step_ms=61.5,
        low_ms=60.0,
        high_ms=63.0,
        predicted_ms=None,
        predicted_low_ms=None,
        predicted_high_ms=None,
    )
    first = dataclasses.replace(one.recommendations[0], tried=result)
    return dataclasses.replace(one, recommendations=(first, *one.recommendations[1:]))


@pytest.mark.parametrize("redact", [True, False])
@pytest.mark.parametrize("timeline", [None, made_up(300)], ids=["without events", "with events"])
def test_a_renewed_page_is_the_one_that_would_be_written_now(redact: bool, timeline: Timeline | None) -> None:
    def page(one: Diagnosis) -> str:
        return render_html(redacted(one) if redact else one, timeline, redact=redact)

    assert renewed(page(sample()), tried(sample()), "report.html") == page(tried(sample()))


@pytest.mark.parametrize("change", [("llmprof", "other"), ('id="timeline"', 'id="t"'), ('id="events"', 'id="e"')])
def test_another_page_is_refused(change: tuple[str, str]) -> None:
    page = render_html(sample()).replace(*change)
    with pytest.raises(UnreadableError, match="write it again"):
        renewed(page, sample(), "report.html")
