"""Is the cost of a recorded event read off the spacing of operators that call each other?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.replay.unprofiled.event_cost import USUAL_COST_NS, usual_cost_ns
from llmprof.timeline.events import EventTable
from tests.scenarios.builder import TraceBuilder


def spaced(spacing: int, calls: int = 200, *, nested: bool = True) -> EventTable:
    """Operators that call another one `spacing` ns after their begin, or end before it begins."""
    builder = TraceBuilder()
    for place in range(calls):
        begin = place * 100_000
        builder.op("aten::t", begin, 80_000 if nested else spacing // 2)
        builder.op("aten::transpose", begin + spacing, 1_000)
    builder.step(0, 0, calls * 100_000)
    events = builder.rank().events
    assert events is not None
    return events


@pytest.mark.parametrize("spacing", [600, 1_000, 2_500])
def test_an_event_costs_twice_the_spacing_of_an_operator_and_the_one_that_it_calls(spacing: int) -> None:
    assert usual_cost_ns(spaced(spacing)) == 2 * spacing


def test_operators_that_follow_each_other_tell_nothing() -> None:
    assert usual_cost_ns(spaced(40_000, nested=False)) == USUAL_COST_NS


def test_a_few_operators_tell_nothing() -> None:
    assert usual_cost_ns(spaced(600, calls=20)) == USUAL_COST_NS


@pytest.mark.parametrize("spacing", [20, 60_000])
def test_no_spacing_leads_to_a_cost_that_nobody_has_seen(spacing: int) -> None:
    assert USUAL_COST_NS / 4 <= usual_cost_ns(spaced(spacing)) <= 4 * USUAL_COST_NS
