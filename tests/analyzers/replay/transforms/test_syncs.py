"""Do waits for values that are copied to the host go, and what was computed for the log alone with them?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.replay.transforms.base import Level
from llmprof.analyzers.replay.what_if import WhatIf
from tests.analyzers.replay.programs import what_if_of
from tests.scenarios.builder import TraceBuilder

US = 1_000
GEMM, NORM, COPY = 300 * US, 20 * US, 2 * US
REDUCE = "void at::native::reduce_kernel<512, 1, at::native::ReduceOp<float, at::native::NormTwoOps<float> > >"
READS = 5


def read_in_every_step(memory: str = "Pageable", before: str = REDUCE) -> WhatIf:
    """Ten products of 300 µs, launched in 200 µs; then five times a kernel and a copy to the host, which waits for it.

    With the host's own 40 µs between one read and the next launch, the device is idle once for each.
    """
    builder = TraceBuilder()
    now, free = 100 * US, 0
    for step in range(4):
        begin = now
        for _ in range(10):
            now += 20 * US
            free = max(free + 1 * US, now + 8 * US)
            builder.kernel("nvjet_sm90_tst_192x192_64x3_1x2_h_bz_coopB_NTN", free, GEMM, launch_ns=now)
            free += GEMM
        for _ in range(READS):
            now += 30 * US
            start = max(free + 1 * US, now + 8 * US)
            builder.kernel(before, start, NORM, launch_ns=now)
            now, free = now + 10 * US, start + NORM + 1 * US
            ends = max(free, now + 8 * US) + COPY
            builder.memcpy(
                f"DtoH (Device -> {memory})", ends - COPY, COPY, 4, launch_ns=now, launch_dur_ns=ends + 5 * US - now
            )
            now, free = ends + 5 * US, ends
        builder.step(step, begin, now)
    return what_if_of(builder)


def test_a_copy_to_the_host_is_a_wait_that_goes() -> None:
    """Without waits the device never rests, and still computes and copies what nobody reads."""
    busy = 10 * (GEMM + 1 * US) + READS * (NORM + COPY + 2 * US)
    found = read_in_every_step()
    assert found.model.outcome.step_ns > busy + 150 * US
    assert found.outcome(["remove-sync"]).step_ns == pytest.approx(busy, rel=0.005)


def test_what_is_not_logged_is_not_computed() -> None:
    found = read_in_every_step()
    assert found.outcome(["log-less-often"]).step_ns == pytest.approx(10 * (GEMM + 1 * US), rel=0.005)


def test_what_others_need_is_computed_all_the_same() -> None:
    """Before each copy stands a kernel that is no reduction: its result may be what training goes on with."""
    busy = 10 * (GEMM + 1 * US) + READS * (NORM + 1 * US)
    found = read_in_every_step(before="void at::native::vectorized_elementwise_kernel<4, at::native::AddFunctor>")
    assert found.outcome(["log-less-often"]).step_ns == pytest.approx(busy, rel=0.005)


def test_pinned_memory_keeps_nobody_from_reading() -> None:
    assert "pin-memory" in read_in_every_step().predict(["pin-memory"]).left_out


def test_at_worst_one_read_stays() -> None:
    found = read_in_every_step()
    expected, worst = (found.outcome(["log-less-often"], level).step_ns for level in (Level.EXPECTED, Level.LOW))
    assert expected < worst < found.model.outcome.step_ns


def test_a_wait_for_a_batch_on_its_way_in_goes_with_pinned_memory_and_breaks_no_graph() -> None:
    """Copies from pageable memory end with a call that waits for the stream; three batches a step arrive that way."""
    builder = TraceBuilder()
    now, free = 100 * US, 0
    for step in range(4):
        begin = now
        for _ in range(3):
            free = max(free + 1 * US, now + 8 * US) + COPY
            builder.memcpy("HtoD (Pageable -> Device)", free - COPY, COPY, 4096, launch_ns=now)
            builder.runtime("cudaStreamSynchronize", now + 5 * US, free + 3 * US - now - 5 * US)
            now = free + 3 * US
            for _ in range(10):
                now += 20 * US
                free = max(free + 1 * US, now + 8 * US) + NORM
                builder.kernel("nvjet_sm90_tst_192x192_64x3_1x2_h_bz_coopB_NTN", free - NORM, NORM, launch_ns=now)
        builder.step(step, begin, now)
    found = what_if_of(builder)
    assert found.predict(["pin-memory"]).fixes == ("pin-memory",)
    assert "remove-sync" in found.predict(["remove-sync"]).left_out  # that is for what the script waits for
    assert found.predict(["cuda-graphs"]).fixes == ("cuda-graphs",)
