"""What several fixes bring together is replayed for every choice of those that go together."""

from __future__ import annotations

from itertools import combinations

import pytest

from llmprof.analyzers.details.joint import MOST_FIXES, joint_of
from llmprof.analyzers.diagnosis import Combined, Gain, Recommendation
from llmprof.analyzers.replay.gains import Replays
from llmprof.analyzers.rules.fixes import recommend
from tests.analyzers.replay.programs import Call, asked, record
from tests.analyzers.rules.facts_builder import make_facts


@pytest.fixture(scope="module")
def replays() -> Replays:
    """A step of 30 launches and 10 waits for the device."""
    return Replays(what_if=asked(record([Call(100_000, "launch", 20_000)] * 30 + [Call(2_000, "sync")] * 10)))


def fix(name: str, expected_ms: float = 1.0) -> Recommendation:
    gain = Gain(expected_ms=expected_ms, low_ms=0.0, high_ms=2.0, step_ms_after=None, speedup=None, basis="replay")
    return recommend(name, rule="r", facts=make_facts(100), action="a", why="", how="", gain=gain, watch="w")


def test_every_choice_of_the_first_fixes_that_go_together(replays: Replays) -> None:
    """Only one of the number formats can be used: the second one takes no place of a fix behind it."""
    names = ["cuda-graphs", "bf16-autocast", "tf32", "fp8", "remove-sync", "fused-optimizer", "gc-policy"]
    found = joint_of(replays, [fix(name) for name in names], None)
    together = ["cuda-graphs", "bf16-autocast", "remove-sync", "fused-optimizer"][:MOST_FIXES]
    wanted = [some for count in range(2, MOST_FIXES + 1) for some in combinations(together, count)]
    assert [one.of for one in found] == wanted


def test_what_is_known_already_and_what_does_not_help_is_left_out(replays: Replays) -> None:
    known = Combined(of=("remove-sync", "cuda-graphs"), step_ms_after=1.0, low_ms=0.5, high_ms=2.0)
    fixes = [fix("cuda-graphs"), fix("remove-sync"), fix("fused-optimizer", expected_ms=0.0)]
    assert joint_of(replays, fixes, known) == ()


def test_a_choice_is_replayed_and_no_sum(replays: Replays) -> None:
    (both,) = joint_of(replays, [fix("cuda-graphs"), fix("remove-sync")], None)
    assert replays.what_if is not None
    after = replays.what_if.predict(["cuda-graphs", "remove-sync"])
    assert both.step_ms_after == pytest.approx(after.step_ns / 1e6)
    assert (both.low_ms, both.high_ms) == pytest.approx((after.least_ns / 1e6, after.most_ns / 1e6))
