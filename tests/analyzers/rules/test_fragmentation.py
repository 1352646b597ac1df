"""Is memory that is free in pieces told from memory that is full, and from a cache on a device with room?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.rules.fragmentation import evaluate
from llmprof.timeline.environment import Environment
from llmprof.timeline.memory import OutOfMemory
from llmprof.timeline.settings import OptimizerSettings
from tests.analyzers.rules.facts_builder import fix, make_facts, status

GB = 10**9


def memory(reserved: float, allocated: float, *, pieces: float | None = None, **more: object) -> MemoryFacts:
    return MemoryFacts(
        capacity_bytes=100 * GB,
        peak_reserved_bytes=int(reserved * GB),
        peak_allocated_bytes=int(allocated * GB),
        inactive_split_bytes=None if pieces is None else int(pieces * GB),
        **more,  # type: ignore[arg-type]
    )


def failure(requested: float, free: float, pieces: float) -> OutOfMemory:
    return OutOfMemory(
        requested_bytes=int(requested * GB),
        free_bytes=int(free * GB),
        allocated_bytes=70 * GB,
        inactive_split_bytes=int(pieces * GB),
    )


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (memory(98, 70, pieces=10), "fired"),
        (memory(98, 70, pieces=9.9), "passed"),
        (memory(98, 70), "fired"),  # reserved minus allocated, where the pieces were not counted
        (memory(60, 40, pieces=15), "passed"),  # nothing is short of memory: a cache does no harm
        (memory(60, 25, pieces=1, retries=1), "fired"),  # twice what was ever used
        (memory(29, 10, pieces=1, retries=1), "passed"),
        (memory(98, 70, out_of_memory=True, failure=failure(3, 1, 2)), "fired"),
        (memory(98, 70, out_of_memory=True, failure=failure(4, 1, 2)), "passed"),  # the pieces would not do
        (memory(98, 70, out_of_memory=True, failure=failure(1, 2, 20)), "passed"),  # something else was in the way
        (MemoryFacts(capacity_bytes=100 * GB), "no_data"),
        (None, "no_data"),
    ],
)
def test_thresholds(facts: MemoryFacts | None, expected: str) -> None:
    assert status(evaluate(make_facts(100, memory=facts))) == expected


def test_not_applicable_on_the_cpu() -> None:
    assert status(evaluate(make_facts(100, cpu_only=True))) == "not_applicable"


def test_segments_promise_the_pieces_and_at_most_the_stalls() -> None:
    advice = fix(
        evaluate(make_facts(100, memory=memory(98, 70, pieces=20), memory_management=6.0)), "expandable-segments"
    )
    assert advice.gain.memory_bytes == 20 * GB
    assert (advice.gain.low_ms, advice.gain.high_ms) == (0.0, pytest.approx(6.0))


def test_segments_that_are_expandable_already_are_not_advised() -> None:
    environment = Environment(variables={"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"})
    found = evaluate(make_facts(100, memory=memory(98, 70, pieces=20), environment=environment))
    assert (status(found), found.recommendations) == ("passed", ())


def test_pieces_that_hold_one_tensor_but_not_the_states_to_come_are_not_the_trouble() -> None:
    """Adam asks for the next of 20 GB of moments of which 14 GB are made: 2 GB in pieces fit that one, and no more."""
    adam = Environment(optimizers=(OptimizerSettings(name="AdamW", package="torch"),))

    def judged(made: int) -> str:
        failed = replace(failure(0.5, 0.1, 2), phase="optimizer", gradient_bytes=10 * GB, optimizer_bytes=made * GB)
        return status(evaluate(make_facts(100, memory=memory(98, 70, out_of_memory=True, failure=failed),
                                          environment=adam)))  # fmt: skip

    assert (judged(14), judged(18)) == ("passed", "fired")
