"""Is a healthy run told that nothing above 3 % was found, and no other run?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.diagnosis import Bound, Gain, Recommendation, Verdict
from llmprof.analyzers.sentences import prospects
from tests.analyzers.rules.facts_builder import make_facts


def fix(expected: float, low: float = 0.0) -> Recommendation:
    gain = Gain(expected_ms=expected, low_ms=low, high_ms=50)
    return Recommendation(id="tf32", rule="r", action="", why="", how="", gain=gain, verify="")


@pytest.mark.parametrize(
    ("bound", "detail", "expected_ms", "told"),
    [
        ("compute", "gemm", 2.9, True),
        ("compute", "gemm", 3.1, False),
        ("none", None, 0.0, True),
        ("memory", "bandwidth", 0.0, True),
        ("memory", "capacity", 0.0, False),
        ("data", "wait", 0.0, False),
        (None, None, 0.0, False),
    ],
)
def test_a_busy_run_without_a_fix_worth_it(
    bound: Bound | None, detail: str | None, expected_ms: float, told: bool
) -> None:
    before = Verdict(bound=bound, detail=detail, sentence="Compute-bound.")
    after = prospects(before, [fix(expected_ms)], make_facts(100))
    assert ("Nothing above 3.0 % of the step was found to gain." in after.sentence) == told
    assert ("nothing-found" in after.flags) == told


def test_a_fix_that_is_sure_to_win_is_worth_it_whatever_is_expected() -> None:
    verdict = Verdict(bound="compute", sentence="Compute-bound.")
    assert prospects(verdict, [fix(2.0, low=4.0)], make_facts(100)) == verdict
