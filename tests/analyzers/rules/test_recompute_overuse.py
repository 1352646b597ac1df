"""Is recomputation named where memory has room, and only there?"""

from __future__ import annotations

from pathlib import Path

import pytest

from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.facts.operators.operator_facts import RecomputeFacts
from llmprof.analyzers.rules.recompute_overuse import evaluate
from llmprof.collectors.files import load
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, status
from tests.analyzers.rules.operators_builder import make_operators, product, with_operators

GB = 10**9


def facts(ms: float = 15.0, *, peak: int | None = 20 * GB, needed: float | None = 30 * GB, **parts: float) -> Facts:
    again = RecomputeFacts(ns=ms * 1e6, calls=100, result_bytes=needed)
    given = make_operators(product(16384, 4096, 4096, ms, recomputed=True, backward=True), recompute=again)
    memory = MemoryFacts(capacity_bytes=141 * GB, peak_allocated_bytes=peak)
    return with_operators(given=given, memory=memory, **parts)


def test_measured_truth(recordings: Path) -> None:
    """An H200 run with every block checkpointed and 120 GiB free: 52.5 ms, and 44.7 ms without."""
    path = recordings / "h200" / "compute_recompute.rank0.json.gz"
    advice = fix(evaluate(measure(load([str(path)]), step_ms=52.497)), "drop-recompute")
    assert_contains(advice, 52.497 - 44.738)
    assert advice.gain.expected_ms == pytest.approx(52.497 - 44.738, rel=0.2)
    assert advice.gain.low_ms == 0.0 and "How much memory is free was not recorded." in advice.why
    assert not advice.requires  # it names fixes, and there is none for that


def test_with_room_it_is_all_recomputed_time() -> None:
    advice = fix(evaluate(facts()), "drop-recompute")
    assert advice.gain.expected_ms == pytest.approx(15.0)
    assert advice.gain.low_ms == pytest.approx(12.0)
    assert not advice.requires
    assert_consistent(advice, facts())


def test_with_some_room_it_is_a_part() -> None:
    """0.92 * 141 - 114.72 = 15 GB of 30 GB."""
    advice = fix(evaluate(facts(peak=114_720_000_000)), "selective-recompute")
    assert advice.gain.expected_ms == pytest.approx(7.5)


def test_without_room_it_is_right() -> None:
    assert status(evaluate(facts(peak=125 * GB))) == "passed"


@pytest.mark.parametrize(("ms", "expected"), [(2.9, "passed"), (3.0, "fired")])
def test_threshold(ms: float, expected: str) -> None:
    assert status(evaluate(facts(ms))) == expected


def test_nothing_recomputed_is_no_question() -> None:
    assert status(evaluate(with_operators(product(16384, 4096, 4096, 10.0)))) == "not_applicable"


def test_a_step_that_waits_for_its_workers_gains_nothing() -> None:
    assert fix(evaluate(facts(data=40.0)), "drop-recompute").gain.expected_ms == 0.0
