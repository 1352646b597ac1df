"""Is garbage collection in every step told once: by the measured steps, and not by the traced ones as well?"""

from __future__ import annotations

import numpy as np
import pytest

from llmprof.analyzers.replay.unprofiled.garbage import collecting_ns, without_collections
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.timeline.steps import StepPhase, StepTimes
from tests.analyzers.replay.programs import what_if_of
from tests.scenarios.builder import TraceBuilder

STEP = 10_000_000
WORK = 4_000_000
PAUSE = 6_000_000
FLUSH = 1_000_000
LONGER = 3_000_000
"""What the collections of the traced steps take more than those of the measured ones."""


def steps() -> StepTimes:
    """Twenty measured steps of 10 ms on average, 6 of them collecting garbage; then three traced ones."""
    more = np.tile([-1_000_000, 500_000, 1_000_000, -500_000], 5)
    gc = np.concatenate([PAUSE + more, np.full(3, PAUSE + LONGER)])
    jitter = np.concatenate([np.tile([3_000, -3_000, 2_000, -2_000, 0], 4), np.zeros(3, dtype=np.int64)])
    wall = gc + WORK + jitter
    phase = np.array([StepPhase.BASELINE] * 20 + [StepPhase.TRACED] * 3, dtype=np.uint8)
    start = np.concatenate([[0], np.cumsum(wall)[:-1]])
    return StepTimes(number=np.arange(23), start_ns=start, wall_ns=wall, phase=phase, parts={"gc": gc})


def collected() -> WhatIf:
    """Launch-bound steps whose host works for 4 ms, 1 ms of it in cudaFree, and collects garbage."""
    builder = TraceBuilder()
    length = WORK + PAUSE + LONGER
    for place in range(3):
        begin = place * length
        for launch in range(30):
            at = begin + 50_000 + launch * 95_000
            builder.kernel("gemm_bf16", at + 8_000, 20_000, launch_ns=at)
        builder.runtime("cudaFree", begin + 2_900_000, FLUSH)
        builder.annotation("llmprof.gc", begin + 3_950_000, PAUSE + LONGER)
        builder.kernel("gemm_bf16", begin + length - 40_000, 20_000, launch_ns=begin + length - 48_000)
        builder.step(20 + place, begin, begin + length)
    return what_if_of(builder, times=steps())


@pytest.fixture(scope="module")
def found() -> WhatIf:
    return collected()


def test_collections_of_the_traced_steps_are_found_before_the_launch_that_follows(found: WhatIf) -> None:
    traced = found.model.traced
    assert collecting_ns(traced, found.model.ranks).sum() == pytest.approx(3 * (PAUSE + LONGER), rel=0.01)
    left = without_collections(traced, found.model.ranks)
    assert (traced.before_lag - left.before_lag).sum() == pytest.approx(3 * (PAUSE + LONGER), rel=0.01)


def test_longer_collections_in_the_traced_steps_do_not_spoil_the_replay(found: WhatIf) -> None:
    assert found.model.faithful
    assert found.model.stalls_ns == pytest.approx(PAUSE, rel=0.05)


def test_without_collections_the_rest_of_the_step_is_left(found: WhatIf) -> None:
    told = found.predict(["gc-policy"])
    assert told.step_ns == pytest.approx(WORK, rel=0.1)
    assert told.least_ns < WORK < told.most_ns


def test_a_fix_beside_it_brings_as_much_and_both_together_the_sum(found: WhatIf) -> None:
    flush, both = found.predict(["stop-cache-flush"]), found.predict(["gc-policy", "stop-cache-flush"])
    assert both.left_out == {}
    assert STEP - flush.step_ns == pytest.approx(FLUSH, rel=0.2)
    assert both.step_ns == pytest.approx(WORK - FLUSH, rel=0.1)


def test_what_is_left_of_the_step_is_told_without_the_stall(found: WhatIf) -> None:
    after = found.parts(found.outcome(["gc-policy"]))
    before = found.parts(found.model.outcome)
    assert before is not None and after is not None
    assert before["stalls"] == pytest.approx(PAUSE, rel=0.05)
    # The host's other work on the way to the same launch cannot be told from what the collection was.
    assert after["stalls"] < 0.02 * PAUSE


def test_one_after_another_the_larger_comes_first(found: WhatIf) -> None:
    order = found.greedy(["stop-cache-flush", "gc-policy"])
    assert [fix for fix, _ in order] == ["gc-policy", "stop-cache-flush"]
    assert order[0][1] == pytest.approx(WORK, rel=0.1)
