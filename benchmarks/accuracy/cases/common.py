"""What do the training scripts of the planted cases share? Options, devices and ranks, the loop, its timing in blocks.

Run plainly a script trains for `--steps` steps. With `--measure FOLDER` it waits for the files go.NAME.0, go.NAME.1, …
in that folder, each with a number of steps, trains them, and says in block.NAME.K.json how long they took. The sides of
a case take turns so, and none inherits a setting of another.
ACCURACY_TINY=1 shrinks every model so far that a CPU trains it. With ACCURACY_GATE a process that has imported
everything waits for that file, then moves to the cores in ACCURACY_CORES.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

TINY = os.environ.get("ACCURACY_TINY") == "1"
PATIENCE_S = 240.0
"""A side that is not told to go, or a gate that stays shut, for so long ends the process."""

WITHOUT_WORKERS = 4
"""Batches of a new loader that are not timed where the training process makes them."""
NEW_WORKERS = 24
"""The same with workers, at least. Of 2 workers that sampled graphs on 15 cores the first two batches took 143 ms, the
next 22 ones 71 by mean, later ones 63; here the first two had 22000 page faults each, later ones some 6000."""

Step = Callable[[Any], Tensor]
MakeLoader = Callable[[int], DataLoader[Any]]


@dataclass(frozen=True)
class Place:
    """Where this process trains."""

    device: torch.device
    rank: int
    world: int

    @property
    def cuda(self) -> bool:
        """Whether it is a GPU."""
        return self.device.type == "cuda"

    def synchronize(self) -> None:
        """Wait until the device has done what it was given."""
        if self.cuda:
            torch.cuda.synchronize(self.device)


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that every script has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--steps", type=int, default=110)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--prefetch", type=int, default=2)
    parser.add_argument(
        "--pageable", action=argparse.BooleanOptionalAction, default=False, help="blocking copies of unpinned batches"
    )
    parser.add_argument("--blocking", action="store_true", help="copies that the host waits for, of pinned batches too")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--precision", choices=["fp32", "tf32", "bf16"], default="bf16")
    parser.add_argument("--compile", choices=["off", "default", "reduce-overhead"], default="off")
    parser.add_argument("--optimizer", choices=["loop", "foreach", "fused", "sgd"], default="fused")
    parser.add_argument("--epoch", type=int, default=0, help="steps after which the loader starts again; 0: one epoch")
    parser.add_argument("--persistent", action=argparse.BooleanOptionalAction, default=False, help="persistent workers")
    parser.add_argument("--measure", type=Path, help="folder in which blocks are ordered and answered")
    parser.add_argument("--name", default="side")
    parser.add_argument("--rebuild", action="store_true", help="a new loader for every block")
    return parser


def place(args: argparse.Namespace) -> Place:
    """Join the other ranks, choose the device, set what holds for the whole process."""
    wait_at_gate()
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if world > 1 and not dist.is_initialized():
        dist.init_process_group(getattr(args, "backend", "nccl") if cuda else "gloo")
    if not cuda:
        torch.set_num_threads(1)
    torch.manual_seed(17)
    torch.backends.cuda.matmul.allow_tf32 = args.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = args.precision == "tf32"
    device = torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")
    return Place(device, rank, world)


def wait_at_gate() -> None:
    """Wait until the device is free, and move to the cores that are meant for training."""
    gate = os.environ.get("ACCURACY_GATE")
    since = time.monotonic()
    while gate and not Path(gate).exists():
        if time.monotonic() - since > PATIENCE_S:
            raise SystemExit("the gate stayed shut")
        time.sleep(0.01)
    if gate and os.environ.get("ACCURACY_CORES"):
        os.sched_setaffinity(0, [int(core) for core in os.environ["ACCURACY_CORES"].split(",")])


def optimizer_for(args: argparse.Namespace, parameters: Any) -> torch.optim.Optimizer:
    """AdamW as the options want it, or plain SGD."""
    if args.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=1e-3)
    kinds = {"loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
    return torch.optim.AdamW(parameters, lr=1e-4, **kinds[args.optimizer])


def compiled(args: argparse.Namespace, thing: Any) -> Any:
    """The model or function, compiled when the options say so."""
    if args.compile == "off":
        return thing
    if not torch.cuda.is_available():
        return torch.compile(thing, backend="eager")  # as far as a machine without a compiler goes
    return torch.compile(thing, mode=None if args.compile == "default" else args.compile)


def loader_for(args: argparse.Namespace, at: Place, dataset: Dataset[Any], **more: Any) -> DataLoader[Any]:
    """A loader as the options want it; every rank reads its own part."""
    sampler = DistributedSampler(dataset, at.world, at.rank, shuffle=False) if at.world > 1 else None  # type: ignore[var-annotated]
    if args.workers:
        more |= {"prefetch_factor": args.prefetch, "persistent_workers": args.persistent}
    return DataLoader(
        dataset, args.batch, sampler=sampler, num_workers=args.workers, pin_memory=at.cuda and not args.pageable,
        drop_last=True, **more,
    )  # fmt: skip


def to_device(args: argparse.Namespace, at: Place, batch: Sequence[Tensor]) -> list[Tensor]:
    """The batch on the device."""
    return [part.to(at.device, non_blocking=not (args.pageable or args.blocking)) for part in batch]


def train(args: argparse.Namespace, at: Place, make_loader: MakeLoader, step: Step) -> None:
    """Train for `--steps` steps, or block by block as the folder of `--measure` says."""
    if args.measure is not None:
        _measure(args, at, make_loader, step)
    else:
        for number, batch in enumerate(batches_of(args, make_loader, args.steps * micro_steps(args))):
            loss = step(batch)
            if at.rank == 0 and (number + 1) % 50 == 0:
                print(f"step {number + 1} loss {loss.item():.4f}", flush=True)
        at.synchronize()
    if dist.is_initialized():
        dist.destroy_process_group()


def micro_steps(args: argparse.Namespace) -> int:
    """Batches of a step."""
    return int(getattr(args, "accumulate", 1))


def batches_of(args: argparse.Namespace, make_loader: MakeLoader, count: int) -> Iterator[Any]:
    """So many batches, of one loader, in epochs of `--epoch` steps where that is set."""
    if not args.epoch:
        yield from make_loader(count)
        return
    loader = make_loader(args.epoch)
    for _ in range(-(-count // args.epoch)):
        yield from loader


def warm_batches(args: argparse.Namespace) -> int:
    """Batches of a new loader that are not timed.

    A queue begins empty, and a run that goes on has filled it: with 8 batches a worker on order one of half a second is
    waited for among the first ones, and never later. The first ones of a new process also take longer to make: their
    memory is new, page by page, and Linux has yet to find it a core.
    """
    return max(NEW_WORKERS, 2 * args.prefetch * args.workers) if args.workers else WITHOUT_WORKERS


def _whole(batches: int, micro: int) -> int:
    return -(-batches // micro) * micro


def _measure(args: argparse.Namespace, at: Place, make_loader: MakeLoader, step: Step) -> None:
    micro, begun, done = micro_steps(args), time.perf_counter(), 0
    stream = iter(make_loader(3000)) if not (args.rebuild or args.epoch) else None
    for block, steps in _orders(args.measure, args.name):
        timed = steps * micro
        queued = 2 * args.prefetch * args.workers
        warm = 2 * micro if stream is not None else args.epoch * micro or _whole(warm_batches(args), micro)
        batches = stream if stream is not None else batches_of(args, make_loader, warm + timed + queued)
        for _ in range(warm):
            loss = step(next(batches))
        at.synchronize()
        begin = time.perf_counter()
        for _ in range(timed):
            loss = step(next(batches))
        at.synchronize()
        end = time.perf_counter()
        done += warm + timed
        del batches
        gc.collect()
        if at.rank == 0:
            answer = {"ms": (end - begin) * 1000 / steps, "steps": steps, "loss": float(loss), "done": done}
            answer |= {"start_s": begin - begun, "memory": torch.cuda.max_memory_reserved() if at.cuda else None}
            path = args.measure / f"block.{args.name}.{block}.json"
            path.with_suffix(".part").write_text(json.dumps(answer))
            path.with_suffix(".part").rename(path)


def _orders(folder: Path, name: str) -> Iterator[tuple[int, int]]:
    """Number and steps of the blocks, each when it is wanted; ends with the file `stop`, or when nobody asks."""
    block, since = 0, time.monotonic()
    while time.monotonic() - since < PATIENCE_S:
        order = folder / f"go.{name}.{block}"
        if order.exists():
            yield block, int(order.read_text())
            block, since = block + 1, time.monotonic()
        elif (folder / "stop").exists():
            return
        time.sleep(0.002)
