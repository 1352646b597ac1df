"""What do the scripts of sixth.py share? The ordinary step, compiled blocks, made samples, and habits around them."""

from __future__ import annotations

import argparse
import contextlib
import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from common import Place, to_device
from ranks import rank_options
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset

__all__ = ["Ahead", "Samples", "Update", "autocast", "compile_blocks", "compiled_function", "step_options"]

FULL_STEPS = 3
"""Steps after which memory is made tight; they have the full size."""


def step_options(parser: argparse.ArgumentParser) -> None:
    """The options of `Update`, and those of DDP."""
    rank_options(parser)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--reduce-at", choices=["every", "last"], default="last", help="micro-steps that reduce")
    parser.add_argument("--reduce", choices=["ddp", "flat"], default="ddp", help="flat: all gradients, after backward")
    parser.add_argument("--compile-blocks", action="store_true", help="compile the repeated blocks, each as a whole")
    parser.add_argument("--collect", action=argparse.BooleanOptionalAction, default=False, help="gc in every step")
    parser.add_argument("--flush-cache", action=argparse.BooleanOptionalAction, default=False, help="every step")
    parser.add_argument("--tight", type=float, default=0.0, help="memory, as a multiple of the peak of a full step")


def autocast(args: argparse.Namespace, at: Place) -> torch.autocast:
    """Matrix products in bf16 where the options say so."""
    return torch.autocast(at.device.type, torch.bfloat16, enabled=args.precision == "bf16")


def compiled_function(function: Callable[..., Any]) -> Any:
    """The function, compiled; without a GPU only as far as tracing goes."""
    return torch.compile(function) if torch.cuda.is_available() else torch.compile(function, backend="eager")


def compile_blocks(args: argparse.Namespace, blocks: Iterable[nn.Module]) -> None:
    """Compile each block where the options say so; those of the same kind and size share the code."""
    for block in blocks if args.compile_blocks else ():
        block.compile(dynamic=False, **({} if torch.cuda.is_available() else {"backend": "eager"}))


class Samples(Dataset[Any]):
    """Samples that are made from their number, or whole batches where the loader does not collate."""

    def __init__(self, count: int, make: Callable[[int], Any]) -> None:
        self.count, self.make = count, make

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return self.make(index)


class Ahead:
    """A loader whose next batch is copied on a stream of its own while the device computes."""

    def __init__(self, loader: Iterable[Sequence[Tensor]], at: Place) -> None:
        self.loader, self.at = loader, at

    def __iter__(self) -> Iterator[list[Tensor]]:
        if not self.at.cuda:
            yield from map(list, self.loader)
            return
        stream = torch.cuda.Stream(self.at.device)
        current: list[Tensor] | None = None
        for batch in self.loader:
            with torch.cuda.stream(stream):
                following = [part.to(self.at.device, non_blocking=True) for part in batch]
            copied = stream.record_event()
            if current is not None:
                yield current
            torch.cuda.current_stream().wait_event(copied)
            for part in following:
                part.record_stream(torch.cuda.current_stream())
            current = following
        if current is not None:
            yield current


class Update:
    """Forward and backward of a micro-step; after the last one of a step the update, and what people do beside it."""

    def __init__(
        self, args: argparse.Namespace, at: Place, module: Any, optimizer: torch.optim.Optimizer,
        loss_of: Callable[..., Tensor],
    ) -> None:  # fmt: skip
        self.args, self.at, self.module, self.optimizer, self.loss_of = args, at, module, optimizer, loss_of
        self.micro = self.done = 0

    def __call__(self, batch: Any) -> Tensor:
        """The loss of a batch that the loader gave."""
        self.micro += 1
        last = self.micro % self.args.accumulate == 0
        parts = to_device(self.args, self.at, batch)
        with self._reducing(last or self.args.reduce_at == "every"):
            with autocast(self.args, self.at):
                loss = self.loss_of(*parts) / self.args.accumulate
            loss.backward()
        if last:
            self._update()
        detached: Tensor = loss.detach()
        return detached.float()

    def _reducing(self, wanted: bool) -> Any:
        if hasattr(self.module, "set_requires_gradient_sync"):  # FSDP2
            self.module.set_requires_gradient_sync(wanted)
        elif isinstance(self.module, DistributedDataParallel) and not wanted:
            return self.module.no_sync()
        return contextlib.nullcontext()

    def _update(self) -> None:
        if self.args.reduce == "flat" and self.at.world > 1:
            self._reduce_flat()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.done += 1
        if self.args.collect:
            gc.collect()
        if self.args.flush_cache and self.at.cuda:
            torch.cuda.empty_cache()
        if self.args.tight and self.at.cuda and self.done in (1, FULL_STEPS):
            self._tighten()

    def _reduce_flat(self) -> None:
        """Join all gradients, sum them over the ranks, and take them apart again."""
        gradients = [part.grad for part in self.module.parameters() if part.grad is not None]
        kind = torch.bfloat16 if self.args.compress else torch.float32
        flat = torch.cat([gradient.flatten() for gradient in gradients]).to(kind)
        dist.all_reduce(flat)
        flat /= self.at.world
        for gradient, part in zip(gradients, flat.split([one.numel() for one in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def _tighten(self) -> None:
        """Leave so little memory that a full step just fits; the first one has no optimizer states yet."""
        if self.done == 1:
            torch.cuda.reset_peak_memory_stats()
            return
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(self.at.device).total_memory
        torch.cuda.set_per_process_memory_fraction(self.args.tight * torch.cuda.max_memory_allocated() / total)
