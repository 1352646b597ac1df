"""Is one uncorrected error critical, and a corrected one none?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.device.hardware import HardwareFacts
from llmprof.analyzers.rules.ecc_errors import evaluate
from tests.analyzers.rules.facts_builder import make_facts, status
from tests.analyzers.rules.run_builder import with_rank, with_ranks


@pytest.mark.parametrize(("count", "expected"), [(0, "passed"), (1, "fired"), (None, "no_data")])
def test_one_is_enough(count: int | None, expected: str) -> None:
    hardware = HardwareFacts(samples=9, ecc_uncorrected=count, ecc_corrected=5)
    assert status(evaluate(with_rank(make_facts(100), hardware=hardware))) == expected


def test_the_rank_with_most_is_named() -> None:
    found = evaluate(with_ranks(make_facts(100), hardware=[HardwareFacts(ecc_uncorrected=n) for n in (0, 1, 7)]))
    assert (found.finding.severity, found.finding.ranks) == ("critical", (1, 2))
    assert found.finding.summary.startswith("7 uncorrected memory errors came on the GPU of rank 2")


def test_nothing_sampled_and_no_gpu() -> None:
    assert status(evaluate(make_facts(100))) == "no_data"
    assert status(evaluate(make_facts(100, cpu_only=True))) == "not_applicable"
