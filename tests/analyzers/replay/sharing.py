"""Ranks whose kernels and collectives slow each other by planted factors: simulated event by event, and recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from llmprof.timeline.events import CollectiveCall
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder

__all__ = ["Program", "Simulated", "built", "recorded", "simulate"]

HOST_NS = 4_000
"""A launch; the host is always early."""
GAP, HAND_OVER, BEGIN = 1_000, 1_000, 40_000
COMPUTE, EXCHANGE = 7, 20
GEMM = "nvjet_tst_128x256_64x4_2x1_v_bz_TNT"
ALL_REDUCE = "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)"


@dataclass(frozen=True)
class Program:
    """A step: kernels of `work` ns each, a collective after each `every`-th of them, an optimizer, and a collective.

    scale     by rank, how much longer its kernels are
    elements      of each message, fp32
    kernels, collectives   how many times as long these take beside the others
    """

    scale: Sequence[float] = (1.0, 1.0)
    count: int = 32
    every: int = 4
    work: float = 200_000.0
    transfer: float = 300_000.0
    elements: int = 1 << 20
    kernels: float = 1.0
    collectives: float = 1.0


@dataclass
class Simulated:
    """Begin and end of every kernel and collective of one step by rank, and the length of the step."""

    kernels: list[list[tuple[float, float]]]
    exchanges: list[list[tuple[float, float]]]
    step_ns: float = field(default=0.0)


class _Rank:
    """One rank's device: what runs, and what of it is left."""

    def __init__(self, program: Program, scale: float) -> None:
        self.left = [program.work * scale] * (program.count + 1)
        self.begun: list[float] = []
        self.ended: list[float] = []
        self.arrived: list[float] = []
        self.last = program.count

    def starts(self, meetings: int, left_at: Sequence[float]) -> float | None:
        """When the next kernel begins; None while one runs, or when it is not known yet."""
        if len(self.begun) > len(self.ended) or len(self.begun) == len(self.left):
            return None
        free = self.ended[-1] + GAP if self.ended else BEGIN
        if len(self.begun) < self.last:
            return free
        return max(free, left_at[-1] + HAND_OVER) if len(left_at) == meetings - 1 else None


def simulate(program: Program) -> Simulated:
    """One step of all ranks, from event to event; between two of them all rates are constant."""
    ranks = [_Rank(program, scale) for scale in program.scale]
    meetings = program.count // program.every + 1
    left_at: list[float] = []
    transfer, now = program.transfer, 0.0
    while len(left_at) < meetings:
        for rank in ranks:
            due = rank.starts(meetings, left_at)
            if due is not None and due <= now:
                rank.begun.append(now)
        running = [rank for rank in ranks if len(rank.begun) > len(rank.ended)]
        place = len(left_at)
        arrivals = [_arrival(rank, place, left_at, program) for rank in ranks] if place < meetings else [None]
        meets = max(one for one in arrivals if one is not None) if None not in arrivals else None
        moving = meets is not None and meets <= now
        beside = [one is not None and one <= now for one in arrivals] if place < meetings else [False] * len(ranks)
        rate = {id(rank): 1 / program.kernels if beside[ranks.index(rank)] else 1.0 for rank in running}
        speed = 1 / program.collectives if any(rank.left[len(rank.ended)] > 0 for rank in running) else 1.0
        times = [now + rank.left[len(rank.ended)] / rate[id(rank)] for rank in running]
        times += [now + transfer / speed] if moving else []
        times += [one for one in (*arrivals, meets) if one is not None and one > now]
        times += [one for rank in ranks if (one := rank.starts(meetings, left_at)) is not None and one > now]
        then = min(times)
        for rank in running:
            rank.left[len(rank.ended)] -= (then - now) * rate[id(rank)]
            if rank.left[len(rank.ended)] < 1e-6:
                rank.ended.append(then)
        if moving:
            transfer -= (then - now) * speed
            if transfer < 1e-6:
                for rank, one in zip(ranks, arrivals, strict=True):
                    rank.arrived.append(one or 0.0)
                left_at.append(then)
                transfer = program.transfer
        now = then
    kernels = [list(zip(rank.begun, rank.ended, strict=True)) for rank in ranks]
    exchanges = [list(zip(rank.arrived, left_at, strict=True)) for rank in ranks]
    return Simulated(kernels, exchanges, left_at[-1] + GAP)


def _arrival(rank: _Rank, place: int, left_at: Sequence[float], program: Program) -> float | None:
    """When the rank comes to this collective; None while the kernel before it has not ended."""
    needs = min((place + 1) * program.every, program.count + (place == program.count // program.every))
    if len(rank.ended) < needs:
        return None
    free = left_at[-1] + GAP if left_at else 0.0
    return max(rank.ended[needs - 1] + HAND_OVER, free)


def recorded(program: Program, steps: int = 4) -> tuple[RankTimeline, ...]:
    """The recordings of all ranks."""
    return tuple(builder.rank(number) for number, builder in enumerate(built(program, steps)))


def built(program: Program, steps: int = 4) -> list[TraceBuilder]:
    """What the ranks record; every step waits for its device before the next one begins."""
    found = simulate(program)
    builders = [TraceBuilder() for _ in program.scale]
    for step in range(steps):
        origin = round(step * (found.step_ns + BEGIN))
        for builder, kernels, exchanges in zip(builders, found.kernels, found.exchanges, strict=True):
            _step(builder, program, origin, kernels, exchanges)
            builder.step(step, origin, round((step + 1) * (found.step_ns + BEGIN)))
    return builders


def _step(
    builder: TraceBuilder,
    program: Program,
    origin: int,
    kernels: Sequence[tuple[float, float]],
    exchanges: Sequence[tuple[float, float]],
) -> None:
    host = origin + BEGIN - HOST_NS  # the first kernel waits for its launch
    waiting, size = iter(exchanges), program.elements
    exchange = CollectiveCall(
        name="allreduce", in_elements=size, out_elements=size, dtype="Float", group_size=2, group_name="0"
    )

    def kernel(name: str, span: tuple[float, float], stream: int, call: CollectiveCall | None = None) -> None:
        nonlocal host
        begin, end = (origin + round(moment) for moment in span)
        builder.kernel(
            name, begin, end - begin, launch_ns=host, launch_dur_ns=HOST_NS - 500, stream=stream, collective=call
        )
        host += HOST_NS

    def wait() -> None:
        nonlocal host
        builder.runtime("cudaStreamWaitEvent", host, 200)
        host += 300

    wait()
    for place, span in enumerate(kernels[:-1]):
        kernel(GEMM, span, COMPUTE)
        if (place + 1) % program.every == 0:
            wait()
            kernel(ALL_REDUCE, next(waiting), EXCHANGE, exchange)
    for _ in exchanges[:-1]:
        wait()
    kernel("adam", kernels[-1], COMPUTE)
    wait()
    kernel(ALL_REDUCE, next(waiting), EXCHANGE, exchange)
    end = origin + round(exchanges[-1][1]) + GAP
    builder.runtime("cudaDeviceSynchronize", host, end - host)
