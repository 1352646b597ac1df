"""Is the room for activations shared out as memory allows?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.faster.kept_activations import FIT_SHARE, Kept, free_bytes, kept
from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.facts.operators.operator_facts import RecomputeFacts

CAPACITY = 100 * 10**9


def memory(free: float) -> MemoryFacts:
    """A device on which `free` bytes may still be used."""
    return MemoryFacts(capacity_bytes=CAPACITY, peak_allocated_bytes=int(FIT_SHARE * CAPACITY - free))


def again(product_bytes: float | None = 10e9) -> RecomputeFacts:
    return RecomputeFacts(ns=10e6, calls=90, result_bytes=40e9, product_ns=7e6, product_bytes=product_bytes)


def test_free_memory_is_what_lies_below_the_mark_of_pressure() -> None:
    assert free_bytes(memory(20e9)) == pytest.approx(20e9)
    assert free_bytes(memory(-5e9)) == 0
    assert free_bytes(None) is None and free_bytes(MemoryFacts(capacity_bytes=CAPACITY)) is None


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (40e9, Kept(blocks=1.0, products=1.0, by_blocks=True)),
        (30e9, Kept(blocks=0.75, products=1.0, by_blocks=True)),  # 7.5 ms of all against 7 ms of products
        (10e9, Kept(blocks=0.25, products=1.0, by_blocks=False)),  # 2.5 ms against 7
        (5e9, Kept(blocks=0.125, products=0.5, by_blocks=False)),
    ],
)
def test_the_way_that_saves_more_is_told(free: float, expected: Kept) -> None:
    assert kept(again(), memory(free)) == expected


def test_products_of_unknown_size_are_taken_to_need_as_much_as_everything() -> None:
    assert kept(again(None), memory(10e9)) == Kept(blocks=0.25, products=0.25, by_blocks=True)


def test_nothing_is_told_without_sizes_or_without_the_peak() -> None:
    assert kept(RecomputeFacts(ns=1e6, calls=1, result_bytes=None), memory(1e9)) is None
    assert kept(again(), None) is None
