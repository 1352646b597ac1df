"""The timeline pane keeps its budget, and says what it leaves out."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from llmprof.reports.html import pane as module
from llmprof.reports.html.pane import pane
from llmprof.timeline.timeline import Timeline
from tests.browser.recorded import made_up
from tests.reports.samples import input_starved


def many(ranks: int, shift_ns: int = 0) -> Timeline:
    one = made_up(300)
    copies = tuple(dataclasses.replace(one.ranks[0], rank=n, origin_ns=n * shift_ns) for n in range(ranks))
    return dataclasses.replace(one, ranks=copies)


def test_short_host_events_go_first_and_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    timeline = made_up(60_000)
    whole = pane(input_starved(), timeline)
    monkeypatch.setattr(module, "BUDGET", len(whole.data) * 4 // 5)
    thinned = pane(input_starved(), timeline)
    assert "left out" not in whole.html
    assert re.search(r"[\d,]+ of 60,000 events are left out: host events below", thinned.html)
    kernels = [
        sum(row["count"] for row in json.loads(one.data)["ranks"][0]["rows"] if row["on"] == "device")
        for one in (whole, thinned)
    ]
    assert kernels == [40_000, 40_000]


def test_when_thinning_is_not_enough_the_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUDGET", 20_000)
    found = pane(input_starved(), made_up(60_000))
    columns = json.loads(found.data)["ranks"][0]["columns"]
    assert sum(map(len, columns.values())) <= 20_000
    assert re.search(r"Only the first [\d.]+% of the events of each rank are shown", found.html)


def test_of_many_ranks_the_ones_that_tell_most_are_shown() -> None:
    found = pane(input_starved(), many(20))
    assert len(json.loads(found.data)["ranks"]) == module.MOST_RANKS
    assert "8 of 20 ranks are shown" in found.html


def test_ranks_share_one_axis() -> None:
    """Rank 1 began 5000 ns later by its clock, so its events stand 5000 ns further right."""
    data = json.loads(pane(input_starved(), many(2, shift_ns=5_000)).data)
    first, second = (data["steps"][number][0][1] for number in ("0", "1"))
    assert second - first == 5_000


def test_clocks_that_do_not_agree_are_named() -> None:
    found = pane(input_starved(), many(2, shift_ns=10**15))
    data = json.loads(found.data)
    assert "clocks of the ranks do not agree" in found.html
    assert data["steps"]["0"][0][1] == data["steps"]["1"][0][1]


def test_without_events_there_is_one_line_and_no_data() -> None:
    empty = Timeline(ranks=(), kind="run", paths=())
    assert pane(input_starved(), None).data == pane(input_starved(), empty).data == ""
    assert "needs a burst" in pane(input_starved(), empty).html
    assert "llmprof report RUN" in pane(input_starved(), None).html


def test_the_same_input_gives_the_same_data() -> None:
    assert pane(input_starved(), made_up(900)) == pane(input_starved(), made_up(900))
