"""Is the rank that decides how large the batch may be found?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.rules.rank_memory_imbalance import evaluate
from llmprof.timeline.environment import Environment, Parallelism
from tests.analyzers.rules.facts_builder import fix, make_facts, status
from tests.analyzers.rules.run_builder import GIB, with_ranks


def peak(gib: float | None) -> MemoryFacts:
    return MemoryFacts(capacity_bytes=80 * GIB, peak_allocated_bytes=None if gib is None else int(gib * GIB))


@pytest.mark.parametrize(
    ("gib", "expected"),
    [
        ((49, 40, 40), "fired"),
        ((47, 40, 40), "passed"),
        ((12, 8, 8), "passed"),  # all nearly empty
        ((49, None, None), "no_data"),
    ],
)
def test_a_fifth_above_the_median_of_devices_in_use(gib: tuple[float | None, ...], expected: str) -> None:
    assert status(evaluate(with_ranks(make_facts(100), memory=[peak(one) for one in gib]))) == expected


def test_stages_are_balanced_in_a_pipeline_only() -> None:
    memories = [peak(60), peak(40), peak(40)]
    assert evaluate(with_ranks(make_facts(100), memory=memories)).recommendations == ()
    pipeline = make_facts(100, environment=Environment(parallelism=Parallelism(pp=3)))
    advice = fix(evaluate(with_ranks(pipeline, memory=memories)), "balance-stages")
    assert advice.gain.memory_bytes == 20 * GIB


def test_one_rank_has_none_to_be_compared_with() -> None:
    assert status(evaluate(make_facts(100))) == "not_applicable"
