"""Does a device that idles while the host exchanges tensors wait for communication, and only then?"""

from __future__ import annotations

import numpy as np
import pytest

from llmprof.analyzers.facts.partition.host_collectives import (
    host_collectives,
    passes_reduced,
    waits_for_backend,
)
from llmprof.analyzers.facts.reduction import reduce_rank
from llmprof.timeline.intervals import EMPTY
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder

GEMM = "nvjet_tst_128x256_64x4_2x1_v_bz_TNT"
US, MS = 1_000, 1_000_000
TRAINING, BACKEND = 1, 5


def exchanging(name: str = "gloo:all_reduce") -> RankTimeline:
    """A step of 10 ms whose device idles from 1 to 9 ms; from 2 to 8 ms a backend thread is in a collective.

    The training thread works from 1 to 3.5 ms, for 0.1 ms at 4 ms, and from 8 ms on; in between nothing is recorded.
    """
    builder = TraceBuilder()
    builder.step(0, 0, 10 * MS)
    builder.kernel(GEMM, 10 * US, 990 * US, launch_ns=0, tid=TRAINING)
    builder.op("aten::mul", 1 * MS, 2 * MS + 500 * US, tid=TRAINING)
    builder.op("aten::copy_", 4 * MS, 100 * US, tid=TRAINING)
    builder.op("aten::add", 8 * MS, 900 * US, tid=TRAINING)
    builder.annotation(name, 2 * MS, 6 * MS, tid=BACKEND)
    builder.op("aten::copy_", 5 * MS, 1 * MS, tid=BACKEND)  # its own copies are part of the collective
    builder.kernel(GEMM, 9 * MS, 1 * MS, launch_ns=9 * MS - 5 * US, launch_dur_ns=0, tid=TRAINING)
    return builder.rank()


def test_a_thread_that_does_nothing_during_a_collective_of_the_host_waits_for_it() -> None:
    events = exchanging().events
    assert events is not None
    assert host_collectives(events).size == 1
    found = waits_for_backend(events)
    assert list(zip(found.starts.tolist(), found.ends.tolist(), strict=True)) == [
        (3 * MS + 500 * US, 4 * MS),
        (4 * MS + 100 * US, 8 * MS),
    ]


def test_the_idle_device_is_charged_to_what_the_host_did() -> None:
    traced = reduce_rank(exchanging()).facts.traced  # type: ignore[union-attr]
    assert traced is not None
    assert traced.parts["communication"] == 500 * US + 3 * MS + 900 * US
    # The host was late by its own work before, in between and after.
    assert traced.detail["launch"] == pytest.approx(8 * MS - traced.parts["communication"], abs=10 * US)


def test_what_the_partition_charges_to_waits_is_open_to_the_view_of_all_ranks() -> None:
    """Peers split what is exposed into waiting for them and the rest: nothing of it may be lost there."""
    reduced = reduce_rank(exchanging())
    assert int((reduced.exposed.ends - reduced.exposed.starts).sum()) == 4 * MS + 400 * US


def test_without_a_backend_on_the_host_nothing_waits_for_it() -> None:
    events = exchanging("nccl:all_reduce").events
    assert events is not None
    assert waits_for_backend(events) == EMPTY


def test_without_a_device_copies_out_of_buckets_are_those_of_the_host() -> None:
    """Two buckets: the copy out of the first one, 3 ms, begins 2 ms before the second has been reduced."""
    builder = TraceBuilder()
    builder.step(0, 0, 40 * MS)
    builder.op("aten::mm", 1 * MS, 10 * MS, tid=TRAINING)
    builder.annotation("gloo:all_reduce", 8 * MS, 6 * MS, tid=BACKEND)
    builder.annotation("gloo:all_reduce", 14 * MS, 8 * MS, tid=BACKEND)
    for at, took in ((20, 3), (23, 4)):
        builder.op("torch.distributed.ddp.reducer::copy_bucket_to_grad", at * MS, took * MS, tid=TRAINING)
        builder.op("aten::copy_", at * MS + US, took * MS - 2 * US, tid=TRAINING)
    builder.op("aten::copy_", 30 * MS, 5 * MS, tid=TRAINING)  # another one
    found = reduce_rank(builder.rank()).facts.collectives  # type: ignore[union-attr]
    assert found is not None
    assert (found.bucket_copies_ns, found.exposed_bucket_copies_ns) == (7 * MS, 5 * MS)


def accumulated(*reduced_in: int, losses: bool = False) -> float | None:
    """Passes reduced in steps of 40 ms, each of three backward passes over two gradients, of which some reduce both.

    With `losses` each pass is followed by the reduction of its loss.
    """
    builder = TraceBuilder()
    for step in range(2):
        builder.step(step, step * 40 * MS, 40 * MS)
        for number in range(3):
            at = step * 40 * MS + number * 10 * MS
            for gradient in range(2):
                builder.op("torch::autograd::AccumulateGrad", at + (2 + gradient) * MS, 100 * US, tid=TRAINING)
                if number in reduced_in:
                    for call in range(2):
                        when = at + (2 + gradient) * MS + (200 + 50 * call) * US
                        builder.op("c10d::allreduce_", when, 20 * US, tid=TRAINING)
            if losses:
                builder.op("c10d::allreduce_", at + 5 * MS, 20 * US, tid=TRAINING)
    events = builder.rank().events
    assert events is not None
    start = np.array([0, 40 * MS])
    return passes_reduced(events, start, start + 40 * MS, 3.0)


@pytest.mark.parametrize(("reduced_in", "expected"), [((0, 1, 2), 3), ((2,), 1), ((), None)])
def test_the_gradients_accumulated_before_a_call_tell_its_pass(
    reduced_in: tuple[int, ...], expected: float | None
) -> None:
    assert accumulated(*reduced_in) == expected


def test_a_loss_that_every_pass_reduces_is_no_gradient() -> None:
    assert accumulated(2, losses=True) == 1
