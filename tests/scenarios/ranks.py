"""Rank files of one run in which everything is known: who is late, by how much, and how wrong each clock is."""

from __future__ import annotations

import random
from pathlib import Path

from llmprof.timeline.events import CollectiveCall
from tests.scenarios.builder import ORIGIN_NS, TraceBuilder

__all__ = ["LATE_NS", "STEP_NS", "rank_builder", "write_ranks"]

MS = 1_000_000
STEP_NS = 100 * MS
LATE_NS = 40 * MS
"""By how much the late rank comes to the all-reduce of each step."""
GEMM = "nvjet_tst_128x256_64x4_2x1_v_bz_TNT"
ALL_REDUCE = "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)"


def rank_builder(rank: int, world: int, *, late: int | None, steps: int = 4) -> TraceBuilder:
    """Steps of 100 ms: 40 ms of work, then an all-reduce; on the late rank the batch and all else come 40 ms later."""
    chance = random.Random(rank)
    b = TraceBuilder()
    call = CollectiveCall(
        name="allreduce", in_elements=1 << 20, out_elements=1 << 20, dtype="Float", group_size=world, group_name="0"
    )
    for step in range(steps):
        start = step * STEP_NS
        b.step(step, start, start + STEP_NS)
        ready = start + 2 * MS
        if rank == late:
            b.annotation("enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__", ready, LATE_NS)
            ready += LATE_NS
        for part in range(4):
            b.op("aten::mm", ready + part * 10 * MS, MS // 10)
            b.kernel(GEMM, ready + part * 10 * MS + MS // 10, 99 * MS // 10, launch_ns=ready + part * 10 * MS + 5_000)
        begin = ready + 40 * MS + chance.randint(0, 20_000)
        end = start + 95 * MS + chance.randint(-2_000, 2_000)
        b.kernel(ALL_REDUCE, begin, end - begin, launch_ns=begin - 20_000, stream=9, collective=call)
        b.kernel(GEMM, start + 96 * MS, 3 * MS, launch_ns=start + 95 * MS)
    return b


def write_ranks(folder: Path, world: int, *, late: int | None = 1, clock_ns: int = 300 * MS) -> list[int]:
    """Write rank0000.json.gz and so on; returns by how much the clock of each rank is ahead of that of rank 0."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(7)
    ahead = [0, *(chance.randint(-clock_ns, clock_ns) for _ in range(1, world))]
    for rank, shift in enumerate(ahead):
        path = folder / f"rank{rank:04d}.json.gz"
        builder = rank_builder(rank, world, late=late)
        builder.write_kineto(path, rank=rank, world_size=world, baseTimeNanoseconds=ORIGIN_NS + shift)
    return ahead
