from __future__ import annotations

from llmprof.analyzers.facts.memory import MemoryFacts, memory_facts
from llmprof.timeline.environment import Device, Environment
from llmprof.timeline.memory import AllocatorStats
from tests.scenarios.builder import TraceBuilder

DEVICE = Environment(device=Device(memory_bytes=1000))


def test_a_trace_alone_knows_the_capacity_only() -> None:
    assert memory_facts(TraceBuilder().rank(environment=DEVICE)) == MemoryFacts(capacity_bytes=1000)


def test_allocator_statistics() -> None:
    stats = AllocatorStats(peak_allocated_bytes=600, peak_reserved_bytes=950, retries=2, out_of_memory_errors=0)
    facts = memory_facts(TraceBuilder().rank(environment=DEVICE, memory=stats))
    assert (facts.allocated_share, facts.reserved_share) == (0.6, 0.95)
    assert (facts.retries, facts.out_of_memory, facts.out_of_memory_message) == (2, False, None)


def test_an_out_of_memory_error_that_the_program_survived_counts() -> None:
    facts = memory_facts(TraceBuilder().rank(memory=AllocatorStats(out_of_memory_errors=1)))
    assert (facts.out_of_memory, facts.out_of_memory_message) == (True, None)


def test_a_rank_that_ran_out_of_memory() -> None:
    died = "out of memory: tried to allocate 2.00 GiB"
    facts = memory_facts(TraceBuilder().rank(died=died))
    assert (facts.out_of_memory, facts.out_of_memory_message) == (True, died)


def test_a_rank_that_was_killed_did_not_run_out_of_memory() -> None:
    assert memory_facts(TraceBuilder().rank(died="killed")).out_of_memory is None
