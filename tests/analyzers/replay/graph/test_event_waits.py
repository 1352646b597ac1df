"""Is the work that a stream waited for found, also where several streams run beside the one that computes?"""

from __future__ import annotations

import numpy as np
import pytest

from llmprof.analyzers.replay.graph.build import build
from llmprof.analyzers.replay.graph.replay import replay
from llmprof.timeline.events import CollectiveCall
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder

MS = 1_000_000
COPY, GATHER = 15, 19
NCCL = "ncclDevKernel_{}_RING_LL(ncclDevKernelArgsStorage<4096ul>)"
LAYERS, EACH = 6, 2 * MS
LATE = 3_000
"""From the end of a gather to what waits for it. A layer computes for a quarter of that, and waits for the next one."""


def sharded(steps: int = 3) -> RankTimeline:
    """FSDP over a slow link: copies into the message, a gather, and a copy out on three streams, then the layer."""
    builder = TraceBuilder()
    begin, computed = 0, 0
    for step in range(steps):
        launch = start = begin
        gathered = begin + 100_000
        for layer in range(LAYERS):
            builder.kernel("copy_in", gathered - 40_000, 10_000, launch_ns=launch, stream=COPY)
            builder.runtime("cudaStreamWaitEvent", launch + 3_000, 500)
            call = CollectiveCall(
                name="allgather", in_elements=1 << 20, out_elements=2 << 20, dtype="BFloat16", group_size=2
            )
            builder.kernel(
                NCCL.format("AllGather"), gathered, EACH, launch_ns=launch + 4_000, stream=GATHER, collective=call
            )
            builder.runtime("cudaStreamWaitEvent", launch + 7_000, 500)
            gathered += EACH
            builder.kernel("copy_out", gathered + LATE, 50_000, launch_ns=launch + 9_000)
            builder.kernel("gemm", gathered + LATE + 51_000, EACH // 4, launch_ns=launch + 12_000)
            computed = gathered + LATE + 51_000 + EACH // 4
            launch += 20_000
            if layer == LAYERS - 1:
                builder.runtime("cudaDeviceSynchronize", launch, computed + 2_000 - launch)
        begin = computed + 10_000
        builder.step(step, start, begin - 1_000)
    return builder.rank()


def test_every_layer_waits_for_its_own_gather() -> None:
    rank = sharded()
    graph = build(rank)
    assert graph is not None
    assert rank.events is not None
    sources = dict(zip(graph.extra_to.tolist(), graph.extra_from.tolist(), strict=True))
    copies = [n for n in np.flatnonzero(graph.on_device) if rank.events.named(int(graph.row[n])) == "copy_out"]
    assert len(copies) == 3 * LAYERS
    for copy in copies:
        source = sources[copy]
        assert "AllGather" in rank.events.named(int(graph.row[source]))
        assert 0 <= graph.recorded_start[copy] - graph.recorded_end[source] <= 5_000


def test_computation_follows_a_slower_link() -> None:
    """With gathers of three times the length a step is that much longer, since nothing else sets its pace."""
    rank = sharded()
    graph = build(rank)
    assert graph is not None
    assert rank.events is not None
    gathers = [n for n in np.flatnonzero(graph.on_device) if "AllGather" in rank.events.named(int(graph.row[n]))]
    before = replay(graph).step_ns
    graph.dur[gathers] *= 3
    assert replay(graph).step_ns - before == pytest.approx(2 * LAYERS * EACH, rel=0.02)


def test_a_collective_whose_row_says_nothing_of_it_is_waited_for_like_one_that_does() -> None:
    """Messages that begin together have no arguments of their own; a gradient that is reduced later has."""
    builder = TraceBuilder()
    call = CollectiveCall(name="allreduce", in_elements=1 << 20, out_elements=1 << 20, dtype="Float", group_size=2)
    kernels = [NCCL.format("AllReduce"), "ncclDevKernel_SendRecv(ncclDevKernelArgsStorage<4096ul>)"]
    for place, (name, known) in enumerate(zip(kernels, (call, None), strict=True)):
        launch, start = 20_000 * (place + 1), MS * (place + 1)
        builder.kernel(name, start - 900_000, 300_000, launch_ns=launch, stream=GATHER, collective=known)
        builder.runtime("cudaStreamWaitEvent", launch + 5_000, 500)
        builder.kernel("gemm", start, 100_000, launch_ns=launch + 10_000)
    builder.kernel("gemm", 2 * MS + 200_000, 100_000, launch_ns=70_000)
    builder.step(0, 0, 3 * MS)
    rank = builder.rank()
    graph = build(rank)
    assert graph is not None
    assert rank.events is not None
    names = {node: rank.events.named(int(graph.row[node])) for node in np.flatnonzero(graph.on_device).tolist()}
    waited = [names[source] for to, source in zip(graph.extra_to, graph.extra_from, strict=True) if source in names]
    assert waited == kernels
