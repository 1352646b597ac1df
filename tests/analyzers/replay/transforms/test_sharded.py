"""Do parameters that stay whole save the gathers of every backward pass, and the line in which these stand?"""

from __future__ import annotations

import pytest

from llmprof.timeline.events import CollectiveCall
from llmprof.timeline.timeline import RankTimeline
from tests.analyzers.replay.programs import asked
from tests.scenarios.builder import TraceBuilder

MS = 1_000_000
MAIN, AUTOGRAD = 1, 2
COMPUTE, GATHER, REDUCE = 7, 17, 18
BLOCKS, MICRO = 4, 2
FORWARD, BACKWARD, COPY, GATHERED, REDUCED = MS, 2 * MS, MS // 5, MS, 5 * MS // 2
NAMES = {GATHER: "ncclDevKernel_AllGather_RING_LL", REDUCE: "ncclDevKernel_ReduceScatter_Sum_f32_RING_LL"}


class Device:
    """A compute stream and two of one communicator, on which messages go one at a time, and a host far ahead."""

    def __init__(self) -> None:
        self.builder = TraceBuilder()
        self.compute = self.link = self.host = 0

    def work(self, name: str, ns: int, after: int, tid: int, op: str | None = None) -> int:
        """A kernel that waits for `after`; returns its end."""
        begin = max(self.compute, after)
        at = self._called(after > self.compute, tid, op)
        self.builder.kernel(name, begin, ns, launch_ns=at, launch_dur_ns=500, stream=COMPUTE, tid=tid)
        self.compute = begin + ns
        return self.compute

    def message(self, stream: int, ns: int, after: int, tid: int) -> int:
        """A message that waits for `after` and the one before; returns its end."""
        begin = max(self.link, after)
        call = CollectiveCall(name=NAMES[stream], in_elements=ns, dtype="Float", group_size=2, ranks=(0, 1))
        at = self._called(after >= self.link, tid, None)
        self.builder.kernel(
            NAMES[stream], begin, ns, launch_ns=at, launch_dur_ns=500, stream=stream, tid=tid, collective=call
        )
        self.link = begin + ns
        return self.link

    def _called(self, waits: bool, tid: int, op: str | None) -> int:
        if tid == AUTOGRAD:
            self.builder.op("autograd::engine::evaluate_function: AddmmBackward0", self.host, 3_800, tid)
        if op is not None:
            self.builder.op(op, self.host + 100, 3_600, tid)
        if waits:
            self.builder.runtime("cudaStreamWaitEvent", self.host + 500, 200, tid)
        self.host += 4_000
        return self.host - 3_000


def laid_out(*, whole: bool) -> tuple[TraceBuilder, float]:
    """4 steps of two micro-batches, and how long each is; whether parameters stay whole after the forward pass."""
    device, now = Device(), 0
    for step in range(4):
        device.compute = device.link = now + 200_000
        device.host = now + 1_000
        for _ in range(MICRO):
            began = device.compute
            ready = [device.message(GATHER, GATHERED, began if block == 0 else 0, MAIN) for block in range(BLOCKS)]
            for each in ready:
                device.work("gemm_bf16", FORWARD, each, MAIN)
            done = 0
            for block in range(BLOCKS):
                if not whole:  # the next gather stands behind the reduction of the block before
                    there = device.message(GATHER, GATHERED, device.compute if block == 0 else done, AUTOGRAD)
                    device.work("split_copy", COPY, there, AUTOGRAD, "fsdp::split_with_sizes_copy")
                done = device.work("gemm_bf16", BACKWARD, 0, AUTOGRAD)
                last = device.message(REDUCE, REDUCED, done, AUTOGRAD)
            device.compute = max(device.compute, last)
        device.work("adam", MS, last + 1, MAIN)
        end = device.compute + 5_000
        device.builder.runtime("cudaDeviceSynchronize", device.host, end - 2_000 - device.host)
        device.builder.step(step, now, end)
        now = end
    return device.builder, now / 4


def recorded(number: int) -> RankTimeline:
    return laid_out(whole=False)[0].rank(number)


def test_kept_parameters_spare_each_micro_batch_its_second_gathers_and_the_wait_behind_reductions() -> None:
    found = asked(*(recorded(number) for number in range(2)))
    before, after = laid_out(whole=False)[1], laid_out(whole=True)[1]
    assert found.model.step_ns == pytest.approx(before, rel=0.01)
    # More than the gathers and their copies: the backward pass no longer stands behind the reductions.
    assert before - after > MICRO * BLOCKS * (GATHERED + COPY)
    assert found.predict(["fsdp-keep-unsharded"]).step_ns == pytest.approx(after, rel=0.02)
