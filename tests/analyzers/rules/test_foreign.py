"""Are other processes, and memory outside the allocator, found where they are more than a look at the device?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.device.hardware import HardwareFacts
from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.rules import foreign_memory, foreign_processes
from tests.analyzers.rules.facts_builder import fix, make_facts, status
from tests.analyzers.rules.run_builder import GIB, with_rank, with_ranks


@pytest.mark.parametrize(
    ("count", "held", "expected"),
    [(0, 0, "passed"), (1, GIB - 1, "passed"), (1, GIB, "fired"), (2, None, "passed"), (None, None, "no_data")],
)
def test_a_process_that_holds_as_much_as_a_context(count: int | None, held: int | None, expected: str) -> None:
    facts = with_rank(make_facts(100), hardware=HardwareFacts(other_processes=count, other_bytes=held))
    assert status(foreign_processes.evaluate(facts)) == expected


def test_their_memory_is_what_freeing_the_device_wins() -> None:
    gpus = [HardwareFacts(other_processes=0), HardwareFacts(other_processes=2, other_bytes=5 * GIB)]
    found = foreign_processes.evaluate(with_ranks(make_facts(100), hardware=gpus))
    advice = fix(found, "free-device")
    assert found.finding.ranks == (1,) and "2 other processes on the GPU of rank 1" in found.finding.summary
    assert (advice.gain.expected_ms, advice.gain.memory_bytes) == (0.0, 5 * GIB)


def hidden(used: float, reserved: float | None = 60.0, others: float | None = 0.0) -> str:
    hardware = HardwareFacts(used_bytes=int(used * GIB), other_bytes=None if others is None else int(others * GIB))
    memory = MemoryFacts(
        capacity_bytes=140 * GIB, peak_reserved_bytes=None if reserved is None else int(reserved * GIB)
    )
    return status(foreign_memory.evaluate(with_rank(make_facts(100, memory=memory), hardware=hardware)))


def test_more_than_contexts_and_nccl_take() -> None:
    assert hidden(63.9) == "passed"
    assert hidden(64.1) == "fired"
    assert hidden(70.0, others=8.0) == "passed"  # others hold it: that is foreign-processes


def test_what_cannot_be_told_apart_is_unknown() -> None:
    assert hidden(70.0, others=None) == "no_data"
    assert hidden(70.0, reserved=None) == "no_data"


def test_neither_on_the_cpu() -> None:
    facts = make_facts(100, cpu_only=True)
    assert status(foreign_processes.evaluate(facts)) == status(foreign_memory.evaluate(facts)) == "not_applicable"
    assert status(foreign_processes.evaluate(make_facts(100))) == "no_data"
