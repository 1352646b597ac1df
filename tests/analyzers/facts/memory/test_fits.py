"""Do the plans leave the bytes that the formulas of ZeRO and of recomputation say?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.memory.composition import Composition
from llmprof.analyzers.facts.memory.fits import batch_that_fits, plans, smallest_stage

HELD = Composition(parameters=16, gradients=16, optimizer=32, activations=36)
"""AdamW in fp32: 4 + 4 + 8 bytes a parameter, 64 in all, and 36 of activations."""


def left(ranks: int, blocks: int | None = None) -> dict[str, int]:
    return {plan.name: plan.bytes for plan in plans(HELD, ranks=ranks, blocks=blocks)}


def test_each_stage_shards_one_thing_more() -> None:
    """Of 4 ranks: 16 + 16 + 8, 16 + 4 + 8, 4 + 4 + 8 with two of 16 blocks gathered; activations stay."""
    found = left(4, blocks=16)
    assert (found["zero-1"], found["zero-2"], found["zero-3"]) == (40 + 36, 28 + 36, 16 + 2 + 36)


def test_alone_there_is_nothing_to_shard() -> None:
    assert set(left(1)) == {"8bit-optimizer", "checkpointing", "half-batch"}


def test_other_changes() -> None:
    found = left(1, blocks=32)
    assert (found["8bit-optimizer"], found["half-batch"]) == (16 + 16 + 8 + 36, 64 + 18)
    assert found["checkpointing"] == int(64 + 36 * (2 / 34 + (32 / 34) / 32))


def test_freed_and_left_make_the_whole() -> None:
    assert all(plan.bytes + plan.freed == HELD.total for plan in plans(HELD, ranks=8))


@pytest.mark.parametrize(("room", "stage"), [(80, "zero-1"), (70, "zero-2"), (60, "zero-3"), (40, None)])
def test_the_lowest_stage_that_is_enough(room: int, stage: str | None) -> None:
    found = smallest_stage(HELD, ranks=4, room=room)
    assert (None if found is None else found.name) == stage


def test_how_much_larger_the_batch_could_be() -> None:
    assert batch_that_fits(HELD, room=64 + 72) == 2.0
    assert batch_that_fits(HELD, room=10) == 0.0
    assert batch_that_fits(Composition(parameters=1, gradients=0, optimizer=0, activations=0), room=10) is None
