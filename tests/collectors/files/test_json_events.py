"""The walk over a trace text: any layout, and what is left of a damaged one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmprof.collectors.files.json_events import EventWalk

EVENTS = [{"ph": "X", "name": f'a }}, {{"ph": {i}'} for i in range(4)]


def walked(text: str) -> tuple[EventWalk, list[dict[str, Any]]]:
    walk = EventWalk(text)
    return walk, list(walk.events())


@pytest.mark.parametrize("indent", [None, 0, 4])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("place", ["first", "last", "between"])
def test_any_layout(place: str, separators: tuple[str, str], indent: int | None) -> None:
    before = {"a": 1, "metadata": {"traceEvents": 5}} if place != "first" else {}
    after = {"b": [2]} if place != "last" else {}
    text = json.dumps(before | {"traceEvents": EVENTS} | after, indent=indent, separators=separators)
    walk, found = walked(text)
    assert found == EVENTS
    assert walk.header == before | after
    assert (walk.found_list, walk.closed, walk.bare, walk.damaged, walk.cut_at) == (True, True, False, 0, None)


def test_a_bare_list() -> None:
    walk, found = walked(json.dumps(EVENTS))
    assert found == EVENTS
    assert walk.bare


def test_numbers_with_a_fraction_keep_their_digits() -> None:
    _, found = walked('[{"ts": 1713398000123456.789, "dur": NaN, "n": 5}]')
    assert found == [{"ts": "1713398000123456.789", "dur": None, "n": 5}]


def test_every_cut_keeps_all_complete_events() -> None:
    text = json.dumps({"traceEvents": EVENTS, "b": 1})
    ends = [text.index(json.dumps(event)) + len(json.dumps(event)) for event in EVENTS]
    for cut in range(text.index("[") + 1, len(text)):
        walk, found = walked(text[:cut])
        assert found == EVENTS[: sum(end <= cut for end in ends)]
        assert walk.cut_at is not None


def test_a_damaged_header_does_not_cost_the_events() -> None:
    walk, found = walked('{"path": "a"b", "traceEvents": [{"ph": "X"}], "rank": 1}')
    assert found == [{"ph": "X"}]
    assert (walk.damaged, walk.header) == (1, {"path": "a", "rank": 1})


def test_a_damaged_event_costs_itself() -> None:
    walk, found = walked('{"traceEvents": [{"ph": "X"}, {"ph": "Y" "Z"}, {"ph": "W"}, {"ph": V}], "rank": 1}')
    assert found == [{"ph": "X"}, {"ph": "W"}]
    assert (walk.damaged, walk.closed, walk.header) == (2, True, {"rank": 1})
