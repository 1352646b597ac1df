from __future__ import annotations

from dataclasses import replace

from llmprof.analyzers.facts.memory.memory import MemoryFacts, memory_facts
from llmprof.timeline.environment import Device, Environment
from llmprof.timeline.memory import AllocatorStats, LiveBlocks, MemorySnapshot, OutOfMemory, Segments
from tests.scenarios.builder import TraceBuilder

DEVICE = Environment(device=Device(memory_bytes=1000))


def test_a_trace_alone_knows_the_capacity_only() -> None:
    assert memory_facts(TraceBuilder().rank(environment=DEVICE)) == MemoryFacts(capacity_bytes=1000)


def test_allocator_statistics() -> None:
    stats = AllocatorStats(peak_allocated_bytes=600, peak_reserved_bytes=950, retries=2, out_of_memory_errors=0)
    facts = memory_facts(TraceBuilder().rank(environment=DEVICE, memory=stats))
    assert (facts.allocated_share, facts.reserved_share) == (0.6, 0.95)
    assert (facts.retries, facts.out_of_memory) == (2, False)


def test_an_out_of_memory_error_that_the_program_survived_counts() -> None:
    assert memory_facts(TraceBuilder().rank(memory=AllocatorStats(out_of_memory_errors=1))).out_of_memory is True


def test_a_rank_that_ran_out_of_memory() -> None:
    died = "out of memory: tried to allocate 2.00 GiB"
    assert memory_facts(TraceBuilder().rank(died=died)).out_of_memory is True


def test_a_rank_that_was_killed_did_not_run_out_of_memory() -> None:
    assert memory_facts(TraceBuilder().rank(died="killed")).out_of_memory is None


FAILED = OutOfMemory(requested_bytes=30, free_bytes=100, reserved_bytes=800, inactive_split_bytes=7, step=3)


def test_a_failure_that_ended_the_run_counts_though_nothing_says_how_it_died() -> None:
    facts = memory_facts(TraceBuilder().rank(memory=AllocatorStats(out_of_memory=FAILED)))
    assert (facts.out_of_memory, facts.failure) == (True, FAILED)


def test_one_that_the_script_survived_outside_the_measured_steps_does_not() -> None:
    survived = replace(FAILED, ended_the_run=False)
    facts = memory_facts(TraceBuilder().rank(memory=AllocatorStats(out_of_memory=survived, out_of_memory_errors=0)))
    assert (facts.out_of_memory, facts.failure) == (False, survived)


def test_what_others_use_is_neither_free_nor_held_by_the_allocator() -> None:
    facts = memory_facts(TraceBuilder().rank(environment=DEVICE, memory=AllocatorStats(out_of_memory=FAILED)))
    assert facts.elsewhere_bytes == 100
    assert memory_facts(TraceBuilder().rank(environment=DEVICE)).elsewhere_bytes is None


def test_unusable_bytes_are_those_of_the_failure_then_counted_then_the_difference() -> None:
    def unusable(**stats: int | OutOfMemory) -> int | None:
        return memory_facts(TraceBuilder().rank(memory=AllocatorStats(**stats))).unusable_bytes  # type: ignore[arg-type]

    assert unusable(out_of_memory=FAILED, inactive_split_bytes=5) == 7
    assert unusable(inactive_split_bytes=5, peak_reserved_bytes=90, peak_allocated_bytes=60) == 5
    assert unusable(peak_reserved_bytes=90, peak_allocated_bytes=60) == 30
    assert unusable() is None


def test_the_blocks_of_the_failure_come_before_those_of_a_snapshot() -> None:
    def segments(size: int) -> Segments:
        sizes = dict.fromkeys(
            ("reserved_bytes", "allocated_bytes", "requested_bytes", "awaiting_free_bytes", "free_bytes",
             "inactive_split_bytes", "largest_free_bytes", "blocks", "device"), 0
        )  # fmt: skip
        return Segments(**sizes, live=(LiveBlocks(bytes=size, blocks=1),))

    snapshot = MemorySnapshot(path="s", segments=segments(1))
    facts = memory_facts(TraceBuilder().rank(memory=AllocatorStats(snapshot=snapshot)))
    assert facts.live[0].bytes == 1
    failed = replace(FAILED, segments=segments(2))
    facts = memory_facts(TraceBuilder().rank(memory=AllocatorStats(snapshot=snapshot, out_of_memory=failed)))
    assert facts.live[0].bytes == 2
