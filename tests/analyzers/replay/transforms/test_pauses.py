"""Do collections of garbage, calls of the driver's allocator and blocking copies go when their fix is applied?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.replay.what_if import WhatIf
from tests.analyzers.replay.programs import what_if_of
from tests.scenarios.builder import TraceBuilder

STEP = 2_000_000
PAUSE = 500_000


def paused(pause: str) -> TraceBuilder:
    """Launch-bound steps of 2 ms, in each of which the host pauses for half a millisecond."""
    builder = TraceBuilder()
    for step in range(4):
        begin = step * STEP
        for place in range(10):
            at = begin + 20_000 + place * 130_000
            builder.kernel("gemm_bf16", at + 8_000, 20_000, launch_ns=at)
        at = begin + 1_400_000
        if pause == "gc":
            builder.annotation("llmprof.gc", at, PAUSE)
        elif pause == "copy":
            builder.memcpy(
                "HtoD (Pageable -> Device)", at + 5_000, PAUSE - 10_000, 1 << 20, launch_ns=at, launch_dur_ns=PAUSE
            )
        else:
            builder.runtime("cudaFree", at, PAUSE)
        builder.kernel("gemm_bf16", begin + 1_950_000, 20_000, launch_ns=begin + 1_930_000)
        builder.step(step, begin, begin + STEP)
    return builder


def asked(pause: str) -> WhatIf:
    return what_if_of(paused(pause))


@pytest.mark.parametrize(("pause", "fix"), [("gc", "gc-policy"), ("free", "stop-cache-flush")])
def test_a_pause_of_the_host_is_won_back(pause: str, fix: str) -> None:
    found = asked(pause)
    assert found.model.step_ns - found.predict([fix]).step_ns == pytest.approx(PAUSE, rel=0.1)


def test_a_copy_from_pinned_memory_does_not_block() -> None:
    found = asked("copy")
    assert found.model.step_ns - found.predict(["pin-memory"]).step_ns > 0.8 * PAUSE


@pytest.mark.parametrize(("pause", "fix"), [("free", "gc-policy"), ("gc", "stop-cache-flush"), ("gc", "pin-memory")])
def test_what_is_not_there_is_not_promised(pause: str, fix: str) -> None:
    assert fix in asked(pause).predict([fix]).left_out


def test_what_the_allocator_does_between_two_frees_goes_with_them() -> None:
    """Two calls of 200 µs with 300 µs of its own in between, in launch-bound steps of 2 ms."""
    builder = TraceBuilder()
    for step in range(4):
        begin = step * STEP
        for place in range(10):
            at = begin + 20_000 + place * 100_000
            builder.kernel("gemm_bf16", at + 8_000, 20_000, launch_ns=at)
        for at in (1_100_000, 1_600_000):
            builder.runtime("cudaFree", begin + at, 200_000)
        builder.kernel("gemm_bf16", begin + 1_950_000, 20_000, launch_ns=begin + 1_930_000)
        builder.step(step, begin, begin + STEP)
    found = what_if_of(builder)
    assert found.model.step_ns - found.predict(["stop-cache-flush"]).step_ns == pytest.approx(700_000, rel=0.1)
