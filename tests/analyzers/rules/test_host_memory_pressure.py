"""Is a full host found by what it has left, by swap, or by its control group?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.host.host_memory import HostMemory
from llmprof.analyzers.rules.host_memory_pressure import evaluate
from tests.analyzers.rules.facts_builder import make_facts, status
from tests.analyzers.rules.run_builder import with_rank


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (HostMemory(total_bytes=100, available_bytes=21), "passed"),
        (HostMemory(total_bytes=100, available_bytes=19), "fired"),
        (HostMemory(total_bytes=100, available_bytes=90, swapped_in_bytes=1), "fired"),
        (HostMemory(total_bytes=100, available_bytes=90, swapped_in_bytes=0), "passed"),
        (HostMemory(held_bytes=79, limit_bytes=100, processes=1), "passed"),
        (HostMemory(held_bytes=81, limit_bytes=100, processes=1), "fired"),
        (HostMemory(held_bytes=150, limit_bytes=100, processes=5), "passed"),  # shared pages count five times
        (HostMemory(limit_bytes=100), "no_data"),
        (None, "no_data"),
    ],
)
def test_what_shows_that_memory_is_short(host: HostMemory | None, expected: str) -> None:
    assert status(evaluate(with_rank(make_facts(100), host_memory=host))) == expected


def test_it_applies_to_a_run_on_the_cpu_too() -> None:
    host = HostMemory(total_bytes=100, available_bytes=5, held_bytes=90, processes=9)
    found = evaluate(with_rank(make_facts(100, cpu_only=True), host_memory=host))
    assert found.finding.status == "fired" and "95 % of the node's" in found.finding.summary
