"""Is what ranks that are not alike cost told in every report, and nowhere when it is nothing or damaged?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.analyzers.operations import diagnose_operations
from llmprof.reports.html import render_html
from llmprof.reports.markdown import render_markdown
from llmprof.reports.stragglers import straggling_of
from llmprof.reports.terminal import render_plain
from tests.reports.samples import HOSTILE_NAMES, input_starved
from tests.scenarios.operations import pipeline_table

FIGURES: dict[str, Any] = {
    "basis": "replay",
    "sentence": "Rank 3 is late.",
    "slowdown": 1.31,
    "kinds": [{"kind": "compute", "slowdown": 1.3, "removed": 0.9, "added": 1.0, "step_ms_after": 32.0}],
    "ranks": [
        {"rank": 3, "slowdown": 1.31, "removed": 1.0, "added": None, "step_ms_after": 31.0},
        {"rank": 2, "slowdown": 1.0, "removed": 0.0, "added": 0.0, "step_ms_after": 41.0},
    ],
    "stages": [],
}


def told(**changes: Any) -> Diagnosis:
    return replace(input_starved(), details={"stragglers": {**FIGURES, **changes}})


def test_who_has_nothing_to_do_with_the_loss_is_left_out() -> None:
    found = straggling_of(told())
    assert found is not None
    assert [one.name for one in found.causes] == ["compute", "rank 3"]
    assert list(found.groups) == ["kind", "rank"]


def test_the_terminal_has_a_line_only_where_ranks_differ_and_the_verdict_does_not_say_it() -> None:
    assert "ranks: Rank 3 is late." in render_plain(told())
    assert "ranks:" not in render_plain(told(slowdown=1.01))
    verdict = replace(input_starved().verdict, sentence="Imbalanced: rank 3 is late.")
    assert "ranks:" not in render_plain(replace(told(), verdict=verdict))


def test_markdown_has_a_table_of_causes() -> None:
    text = render_markdown(told())
    assert "## Ranks against each other" in text
    assert "| rank 3 | 1.310 | 100 % | unknown | 31.0 ms |" in text


def test_the_page_shows_causes_and_the_workers_of_a_pipeline() -> None:
    page = render_html(diagnose_operations(pipeline_table(slow=(1, 0), factor=2.0), "here"))
    assert "What ranks that are not alike cost" in page
    assert "Slowdown of each worker, replicas by stages" in page
    assert "Waits for" not in page


@pytest.mark.parametrize("wrong", [None, "text", -1, [], {}, float("nan"), *HOSTILE_NAMES[:2]], ids=repr)
def test_damaged_figures_cost_at_most_themselves(wrong: Any) -> None:
    for damaged in (
        replace(input_starved(), details={"stragglers": wrong}),
        *(told(**{key: wrong}) for key in FIGURES),
        told(ranks=[wrong, {"rank": wrong, "removed": wrong}]),
    ):
        assert render_markdown(damaged).startswith("#")
        assert render_plain(damaged)
        assert "<script>alert" not in render_html(damaged)
