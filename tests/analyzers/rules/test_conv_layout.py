"""Are conversions between image layouts named?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.rules.conv_layout import evaluate
from tests.analyzers.rules.facts_builder import assert_consistent, fix, status
from tests.analyzers.rules.operators_builder import copied, make_operators, with_operators, work

CONV = work("aten::convolution", "[64,64,56,56];[64,64,3,3]", 30.0, kind="convolution")


def test_what_conversions_take_is_expected_back() -> None:
    facts = with_operators(given=make_operators(CONV, conversion_ns=8e6))
    advice = fix(evaluate(facts), "channels-last")
    assert (advice.gain.low_ms, advice.gain.expected_ms) == (0.0, pytest.approx(8.0))
    assert_consistent(advice, facts)


@pytest.mark.parametrize(("ms", "expected"), [(1.9, "passed"), (2.0, "fired")])
def test_threshold(ms: float, expected: str) -> None:
    assert status(evaluate(with_operators(given=make_operators(CONV, conversion_ns=ms * 1e6)))) == expected


def test_no_convolutions_no_question() -> None:
    assert status(evaluate(with_operators(copied(2**20, 10.0)))) == "not_applicable"
