"""Ranks that exchange data as DDP, FSDP and pipelines do, on a link whose latency and bandwidth are known.

Every builder lays out whole steps by the rules of the device: streams run in order, collectives one at a time, and a
step ends with its optimizer. So the length of a step with other buckets, another link or an earlier all-gather can be
built too, and is the truth that a prediction is held against.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmprof.timeline.events import CollectiveCall
from tests.scenarios.builder import TraceBuilder

__all__ = [
    "GEMM",
    "MIB",
    "MS",
    "Link",
    "Message",
    "Run",
    "batched_run",
    "ddp_run",
    "fsdp_run",
    "hand_run",
    "one_forward_one_backward",
    "pipeline_run",
    "split_run",
    "tensor_run",
]

MS = 1_000_000
MIB = 1 << 20
GEMM = "nvjet_tst_128x256_64x4_2x1_v_bz_TNT"
MAIN, AUTOGRAD = 1, 2
COMPUTE, EXCHANGE = 7, 9
_KERNELS = {
    "allreduce": "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)",
    "_allgather_base": "ncclDevKernel_AllGather_RING_LL(ncclDevKernelArgsStorage<4096ul>)",
    "_reduce_scatter_base": "ncclDevKernel_ReduceScatter_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)",
    "send": "ncclDevKernel_SendRecv(ncclDevKernelArgsStorage<4096ul>)",
    "recv": "ncclDevKernel_SendRecv(ncclDevKernelArgsStorage<4096ul>)",
}


@dataclass(frozen=True, slots=True)
class Link:
    """A message of n bytes takes latency_ns + n / bytes_per_s."""

    latency_ns: int = 20_000
    bytes_per_s: float = 300e9

    def ns(self, size: int) -> int:
        return self.latency_ns + round(size / self.bytes_per_s * 1e9)


@dataclass(frozen=True, slots=True)
class Run:
    """A recording of one rank and how long each of its steps took."""

    builder: TraceBuilder
    step_ns: int


Message = tuple[str, int]
"""`send` or `recv`, and the rank at the other side."""


class _Device:
    """Two streams of a device that start at `now`; all launches come from the host early enough."""

    def __init__(self, link: Link, *, world: int = 2, dtype: str = "Float") -> None:
        self.b, self.link, self.world, self.dtype = TraceBuilder(), link, world, dtype
        self.compute = self.exchange = self.host = 0

    def kernel(self, ns: int, *, after: int = 0, tid: int = MAIN) -> int:
        """Compute for so long, not before `after`; returns its end."""
        begin = max(self.compute, after)
        self.b.kernel(GEMM, begin, ns, launch_ns=self._launch(), stream=COMPUTE, tid=tid)
        self.compute = begin + ns
        return self.compute

    def computed(self, ns: int, *, backward: bool) -> None:
        """A pass, launched by the thread of the autograd engine if it goes backward."""
        self.kernel(ns, tid=AUTOGRAD if backward else MAIN)
        if backward:
            self.b.op("autograd::engine::evaluate_function: AddmmBackward0", self.host - 100, 5_000, AUTOGRAD)

    def collective(self, name: str, size: int, *, ready: int, tid: int = MAIN, waited_ns: int = 0) -> int:
        """Exchange a message of `size` bytes of fp32 or bf16, not before `ready`; returns its end."""
        begin = max(self.exchange, ready)
        elements = size // (2 if self.dtype == "BFloat16" else 4)
        small = elements if name in ("allreduce", "send", "recv") else elements // self.world
        call = CollectiveCall(
            name=name,
            in_elements=elements if name == "_reduce_scatter_base" else small,
            out_elements=small if name == "_reduce_scatter_base" else elements,
            dtype=self.dtype,
            group_size=self.world,
            group_name="0",
            ranks=tuple(range(self.world)),
        )
        ns = waited_ns + self.link.ns(size)
        at = self._launch()
        if tid == AUTOGRAD:
            self.b.op("autograd::engine::evaluate_function: AddmmBackward0", at - 100, 5_000, tid)
        self.b.kernel(_KERNELS[name], begin, ns, launch_ns=at, stream=EXCHANGE, tid=tid, collective=call)
        self.exchange = begin + ns
        return self.exchange

    def together(self, messages: Sequence[Message], size: int, *, waited_ns: int) -> int:
        """Messages begun together, as ProcessGroupNCCL notes them: a row each, and one kernel that says nothing.

        The program waits for them at once: what is computed next begins when they are done.
        """
        for name, peer in messages:
            call = CollectiveCall(
                name=name,
                in_elements=size // 4,
                out_elements=size // 4,
                dtype=self.dtype,
                group_size=self.world,
                group_name="0",
                ranks=tuple(range(self.world)),
                peer=peer,
            )
            at = self._launch()
            self.b.op("c10d::send" if name == "send" else "c10d::recv_", at, 900, MAIN)
            self.b.op("record_param_comms", at + 100, 700, MAIN, collective=call)
        at = self._launch()
        self.b.runtime("cudaStreamWaitEvent", at - 50, 40, MAIN)
        self.b.annotation("nccl:coalesced", at, 600, MAIN)
        begin, ns = self.compute, waited_ns + self.link.ns(size)
        self.b.kernel(_KERNELS["send"], begin, ns, launch_ns=at + 100, launch_dur_ns=400, stream=EXCHANGE, tid=MAIN)
        self.b.op("record_param_comms", at + 700, 100, MAIN, collective=CollectiveCall(name="wait", group_size=1))
        self.b.runtime("cudaStreamWaitEvent", at + 720, 40, MAIN)
        self.compute = self.exchange = begin + ns
        return self.exchange

    def begin(self, now: int) -> None:
        self.compute = self.exchange = now
        self.host = now

    def _launch(self) -> int:
        self.host += 1_000  # a fast host: never what the device waits for
        return self.host


def ddp_run(
    sizes: Sequence[int],
    *,
    link: Link = Link(),
    backward_ns: int = 40 * MS,
    microbatches: int = 1,
    synchronised: int | None = None,
    dtype: str = "Float",
    steps: int = 3,
) -> Run:
    """Forward, then a backward pass that reduces buckets of `sizes` bytes, each when its share of the pass is done.

    synchronised    how many of the micro-batches reduce their gradients, the last ones; all when not given
    """
    device, now = _Device(link, dtype=dtype), 0
    total = sum(sizes)
    for step in range(steps):
        device.begin(now)
        ends = [now]
        for micro in range(microbatches):
            device.kernel(backward_ns // 2, after=max(ends))
            for size in sizes:
                done = device.kernel(backward_ns * size // total, tid=AUTOGRAD)
                if micro >= microbatches - (microbatches if synchronised is None else synchronised):
                    ends.append(device.collective("allreduce", size, ready=done, tid=AUTOGRAD))
        end = device.kernel(2 * MS, after=max(ends))
        device.b.step(step, now, end)
        now = end
    return Run(device.b, now // steps)


def hand_run(size: int, *, link: Link = Link(), compute_ns: int = 20 * MS, steps: int = 3) -> Run:
    """Kernels, then one all-reduce of `size` bytes by the training thread, which the optimizer waits for."""
    device, now = _Device(link), 0
    for step in range(steps):
        device.begin(now)
        device.b.op("autograd::engine::evaluate_function: AddmmBackward0", device.host + 500, 5_000, AUTOGRAD)
        done = device.kernel(compute_ns, after=now, tid=AUTOGRAD)
        end = device.kernel(2 * MS, after=device.collective("allreduce", size, ready=done))
        device.b.step(step, now, end)
        now = end
    return Run(device.b, now // steps)


def fsdp_run(
    sizes: Sequence[int],
    *,
    link: Link = Link(),
    layer_ns: int = 2 * MS,
    prefetch: bool = True,
    reshard: bool = True,
    steps: int = 3,
) -> Run:
    """Layers of `sizes` bytes that are gathered before each pass and whose gradients are reduced and scattered."""
    device, now = _Device(link), 0
    for step in range(steps):
        device.begin(now)
        for tid, length in ((MAIN, layer_ns), (AUTOGRAD, 2 * layer_ns)):
            gathers = [*sizes] if tid == MAIN or reshard else []
            ready = [_gather(device, size, prefetch, tid) for size in gathers[:1]]
            for place, size in enumerate(sizes):
                if prefetch:  # the next one stands in line before the gradients of this one
                    ready += [_gather(device, one, prefetch, tid) for one in gathers[place + 1 : place + 2]]
                done = device.kernel(length, after=ready[place] if ready else now, tid=tid)
                if tid == AUTOGRAD:
                    device.collective("_reduce_scatter_base", size, ready=done, tid=tid)
                if not prefetch:
                    ready += [_gather(device, one, prefetch, tid) for one in gathers[place + 1 : place + 2]]
        end = device.kernel(MS, after=device.exchange)
        device.b.step(step, now, end)
        now = end
    return Run(device.b, now // steps)


def _gather(device: _Device, size: int, prefetch: bool, tid: int) -> int:
    earliest = device.exchange if prefetch else max(device.exchange, device.compute)
    return device.collective("_allgather_base", size, ready=earliest, tid=tid)


def tensor_run(
    layers: int, size: int, *, link: Link = Link(), layer_ns: int = 2 * MS, dtype: str = "BFloat16", steps: int = 3
) -> Run:
    """Layers that all-reduce activations of `size` bytes after each pass; the next layer waits for them."""
    device, now = _Device(link, dtype=dtype), 0
    for step in range(steps):
        device.begin(now)
        arrived = now
        for tid, length in ((MAIN, layer_ns), (AUTOGRAD, 2 * layer_ns)):
            for _ in range(layers):
                done = device.kernel(length, after=arrived, tid=tid)
                arrived = device.collective("allreduce", size, ready=done, tid=tid)
        end = device.kernel(MS, after=arrived)
        device.b.step(step, now, end)
        now = end
    return Run(device.b, now // steps)


def pipeline_run(stage: int, microbatches: int, *, forward_ns: Sequence[int] = (4 * MS, 4 * MS), steps: int = 3) -> Run:
    """One of two stages under GPipe: all forward passes, then all backward passes, twice as long.

    A stage that has nothing to do sits in the receive that it waits in.
    """
    device, now = _Device(Link(latency_ns=10_000)), 0
    turns = _turns(microbatches, forward_ns)
    length = max(end for ends in turns.values() for _, end in ends) + MS
    for step in range(steps):
        device.begin(now)
        free = now
        for begin, end in turns[stage]:
            begins = now + begin
            if begins > free:
                device.collective("send", MIB, ready=free, waited_ns=begins - free - device.link.ns(MIB))
            device.kernel(end - begin, after=begins)
            free = now + end
        device.b.step(step, now, now + length)
        if now + length - MS > free:
            device.collective("send", MIB, ready=free, waited_ns=now + length - MS - free - device.link.ns(MIB))
        device.kernel(MS, after=now + length - MS)
        now += length
    return Run(device.b, length)


def split_run(microbatches: int, *, forward_ns: Sequence[int] = (4 * MS, 4 * MS), steps: int = 3) -> tuple[Run, Run]:
    """Two stages written by hand: all forward passes, then all backward passes, twice as long.

    A message goes when one stage sends and the other receives; neither does anything else until it has gone. A stage
    that is done goes on with its next step.
    """
    link = Link(latency_ns=10_000)
    devices, begins = (_Device(link), _Device(link)), [0, 0]
    for step in range(steps):
        for device, begin in zip(devices, begins, strict=True):
            device.begin(begin)
        for sender, factor in ((0, 1), (1, 2)):
            for _ in range(microbatches):
                devices[sender].computed(factor * forward_ns[sender], backward=sender == 1)
                ready = [device.compute for device in devices]
                for rank, device in enumerate(devices):
                    name, waited = "send" if rank == sender else "recv", max(ready) - ready[rank]
                    device.compute = device.collective(name, MIB, ready=ready[rank], waited_ns=waited)
                devices[1 - sender].computed(factor * forward_ns[1 - sender], backward=sender == 1)
        for rank, device in enumerate(devices):
            end = device.kernel(MS)
            device.b.step(step, begins[rank], end)
            begins[rank] = end
    first, second = (Run(device.b, begins[0] // steps) for device in devices)
    return first, second


def batched_run(
    programs: Sequence[Sequence[str | Sequence[Message]]],
    *,
    forward_ns: Sequence[int],
    link: Link = Link(latency_ns=10_000),
    steps: int = 3,
) -> list[Run]:
    """Ranks that pass (`F`, and `B`, twice as long) and exchange batches of messages of 1 MiB by these programs.

    A batch goes when all those with which it exchanges messages have come to theirs; a step ends when its rank is done.
    """
    devices = [_Device(link, world=len(programs)) for _ in programs]
    begins = [0] * len(devices)
    for step in range(steps):
        for device, begin in zip(devices, begins, strict=True):
            device.begin(begin)
        places, posted = [0] * len(devices), dict[tuple[int, int], int]()
        while any(place < len(program) for place, program in zip(places, programs, strict=True)):
            for rank, (device, program) in enumerate(zip(devices, programs, strict=True)):
                while places[rank] < len(program):
                    item = program[places[rank]]
                    if isinstance(item, str):
                        device.computed((2 if item == "B" else 1) * forward_ns[rank], backward=item == "B")
                    else:
                        posted[rank, places[rank]] = device.compute
                        others = [_partner(programs, rank, places[rank], message) for message in item]
                        if any(other not in posted for other in others):
                            break
                        last = max(posted[other] for other in (*others, (rank, places[rank])))
                        device.together(item, MIB, waited_ns=last - device.compute)
                    places[rank] += 1
        for rank, device in enumerate(devices):
            end = device.kernel(MS)
            device.b.runtime("cudaDeviceSynchronize", device.host + 1_000, end - device.host - 1_000)
            device.b.step(step, begins[rank], end)
            begins[rank] = end
    return [Run(device.b, begin // steps) for device, begin in zip(devices, begins, strict=True)]


def _partner(
    programs: Sequence[Sequence[str | Sequence[Message]]], rank: int, place: int, message: Message
) -> tuple[int, int]:
    """Where the other side of a message stands: the k-th one to a rank is the k-th that it takes from there."""
    way, peer = message
    other = ("recv" if way == "send" else "send", rank)

    def batches(of: int, wanted: Message) -> list[int]:
        return [at for at, item in enumerate(programs[of]) if not isinstance(item, str) and wanted in item]

    return peer, batches(peer, other)[batches(rank, message).index(place)]


def one_forward_one_backward(stage: int, stages: int, microbatches: int) -> list[str | list[Message]]:
    """What a stage does in turns, as Megatron-LM does it: forward passes first until the last stage has work."""
    below, above, ahead = stage - 1, stage + 1, min(stages - stage - 1, microbatches)

    def batch(*messages: Message) -> list[str | list[Message]]:
        inner = [message for message in messages if 0 <= message[1] < stages]
        return [inner] if inner else []

    done: list[str | list[Message]] = []
    for _ in range(ahead):
        done += [*batch(("recv", below)), "F", *batch(("send", above))]
    done += batch(("recv", below))
    for number in range(microbatches - ahead):
        last = number == microbatches - ahead - 1
        done += ["F", *batch(("send", above), ("recv", above)), "B"]
        done += batch(("send", below)) if last else batch(("send", below), ("recv", below))
    for _ in range(ahead):
        done += [*batch(("recv", above)), "B", *batch(("send", below))]
    return done


def _turns(microbatches: int, forward_ns: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    """Begin and end of each pass on both stages, from the begin of the step."""
    first, second = forward_ns
    turns: dict[int, list[tuple[int, int]]] = {0: [], 1: []}
    free = [0, 0]
    for _ in range(microbatches):
        turns[0].append((free[0], free[0] + first))
        free[0] += first
        begin = max(free[1], free[0])
        turns[1].append((begin, begin + second))
        free[1] = begin + second
    for _ in range(microbatches):
        turns[1].append((free[1], free[1] + 2 * second))
        free[1] += 2 * second
        begin = max(free[0], free[1])
        turns[0].append((begin, begin + 2 * first))
        free[0] = begin + 2 * first
    return turns
