"""Train a decoder-only transformer on one GPU, or on several with DDP."""

from __future__ import annotations

import argparse
import contextlib
import gc
import random
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from common import TINY, Place, compiled, loader_for, optimizer_for, options, place, to_device, train
from habits import Habits, habit_options
from models import Tokens, Transformer, model_options, shrink
from ranks import rank_options, wrapped
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

FULL_STEPS = 3
"""Steps of full length before lengths vary and memory is made tight."""


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    if args.memory_fraction and at.cuda:
        torch.cuda.set_per_process_memory_fraction(args.memory_fraction)
    with at.device:
        model: Any = Transformer(args, causal=not args.bidirectional)
    module = model if args.reduce == "manual" else wrapped(args, at, model)
    optimizer = optimizer_for(args, model.parameters())
    run = Training(args, at, model, compiled(args, module), optimizer)

    def make_loader(batches: int) -> Any:
        dataset = Tokens(batches * args.batch * at.world, args.seq, args.vocab)
        return loader_for(args, at, Slow(dataset, args.slow_loader_ms if at.rank == at.world - 1 else 0.0))

    train(args, at, make_loader, run.step)


class Slow(torch.utils.data.Dataset[Any]):
    """The dataset; on a rank with a slow disk every sample takes longer."""

    def __init__(self, inner: Tokens, ms: float) -> None:
        self.inner, self.seconds = inner, ms / 1000

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if self.seconds:
            time.sleep(self.seconds)
        return self.inner[index]


class Training:
    """One step after the other, with what the options want to happen beside it."""

    def __init__(self, args: argparse.Namespace, at: Place, model: Any, wrapped: Any, optimizer: Any) -> None:
        self.args, self.at, self.model, self.wrapped, self.optimizer = args, at, model, wrapped, optimizer
        self.cast = args.precision == "bf16"
        self.habits = Habits(args, at, model)
        self.done = self.micro = 0
        self.lengths = random.Random(5)
        self.log: list[float] = []
        self.folder = Path(tempfile.mkdtemp())
        self.ballast = [[{"row": i, "tags": [i]} for i in range(1000)] for _ in range(args.objects // 1000)]
        edge = 8192 if at.cuda else 32
        self.extra = torch.randn(edge, edge, device=at.device, dtype=torch.bfloat16) if args.slow_rank else None
        self.held = self._checked_batches() if args.evaluate_every else []

    def step(self, batch: Any) -> Tensor:
        """One micro-step; every `--accumulate`-th of them is the last of a step."""
        args = self.args
        self.micro += 1
        ids, targets = to_device(args, self.at, batch)
        last = self.micro % args.accumulate == 0
        if args.ragged != "none":
            ids, targets = self._cut(ids, targets)
        if args.slow_rank and self.at.rank == self.at.world - 1:
            self._slow_rank()
        held_back = isinstance(self.wrapped, DistributedDataParallel) and args.reduce_at == "last" and not last
        with self.wrapped.no_sync() if held_back else contextlib.nullcontext():
            with torch.autocast(self.at.device.type, torch.bfloat16, enabled=self.cast):
                loss = self.wrapped(ids, targets) / args.accumulate
            loss.backward()
        if last:
            self._update()
        if args.sync == "step":
            self.log.append(loss.item())
        return loss.detach()

    def _update(self) -> None:
        args = self.args
        if args.reduce == "manual" and self.at.world > 1:
            for parameter in self.model.parameters():
                dist.all_reduce(parameter.grad)
                parameter.grad /= self.at.world
        self.habits.after_backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.done += 1
        if args.flush_cache and self.at.cuda:
            torch.cuda.empty_cache()
        if args.collect_every and self.done % args.collect_every == 0:
            gc.collect()
        if args.tight and self.at.cuda and self.done in (1, FULL_STEPS):
            self._tighten()
        if args.checkpoint_every and self.done % args.checkpoint_every == 0:
            self._checkpoint()
        if args.evaluate_every and self.done % args.evaluate_every == 0:
            self._evaluate()

    def _cut(self, ids: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        full = ids.shape[1]
        length = self.lengths.randint(full // 2, full) if self.done >= FULL_STEPS else full
        if self.args.ragged == "growing":
            length = min(full, full // 2 + self.done)
        if self.args.ragged == "bucketed":
            length = -(-length * 4 // full) * full // 4  # rounded up to a quarter of the longest
        return ids[:, :length].contiguous(), targets[:, :length].contiguous()

    def _tighten(self) -> None:
        """Leave so little memory that the longest step just fits; the first one has no optimizer states yet."""
        if self.done == 1:
            torch.cuda.reset_peak_memory_stats()
            return
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(self.at.device).total_memory
        torch.cuda.set_per_process_memory_fraction(self.args.tight * torch.cuda.max_memory_allocated() / total)

    def _slow_rank(self) -> None:
        for _ in range(self.args.slow_rank):
            self.extra @ self.extra

    def _checkpoint(self) -> None:
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "done": self.done}
        if self.args.checkpoint == "async":
            copy = to_host(state)
            threading.Thread(target=torch.save, args=(copy, self.folder / "last.pt")).start()
        else:
            torch.save(state, self.folder / "last.pt")

    def _checked_batches(self) -> list[list[Tensor]]:
        data = Tokens(16 * self.args.batch, self.args.seq, self.args.vocab)
        loader = torch.utils.data.DataLoader(data, self.args.batch)
        return [to_device(self.args, self.at, batch) for batch in loader]

    def _evaluate(self) -> None:
        self.model.eval()
        with torch.no_grad(), torch.autocast(self.at.device.type, torch.bfloat16, enabled=self.cast):
            losses = [self.model(ids, targets) for ids, targets in self.held]
        self.log.append(torch.stack(losses).mean().item())
        self.model.train()


def to_host(state: Any) -> Any:
    """A copy of the state in host memory."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {key: to_host(value) for key, value in state.items()}
    return [to_host(value) for value in state] if isinstance(state, list) else state


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    model_options(parser)
    habit_options(parser)
    parser.add_argument("--flush-cache", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--objects", type=int, default=0, help="live objects that every full collection walks")
    parser.add_argument("--collect-every", type=int, default=0, help="steps between full garbage collections")
    parser.add_argument("--checkpoint-every", type=int, default=0)
    parser.add_argument("--checkpoint", choices=["blocking", "async"], default="blocking")
    parser.add_argument("--evaluate-every", type=int, default=0)
    parser.add_argument("--ragged", choices=["none", "random", "bucketed", "growing"], default="none")
    parser.add_argument("--memory-fraction", type=float, default=0.0)
    parser.add_argument("--bidirectional", action="store_true", help="an encoder: attention to both sides")
    parser.add_argument(
        "--tight", type=float, default=0.0, help="memory, as a multiple of the peak of the longest step"
    )
    parser.add_argument("--reduce", choices=["ddp", "manual"], default="ddp")
    rank_options(parser)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--reduce-at", choices=["every", "last"], default="last", help="micro-steps that reduce")
    parser.add_argument("--slow-rank", type=int, default=0, help="extra matrix products a step on the last rank")
    parser.add_argument("--slow-loader-ms", type=float, default=0.0, help="extra time a sample on the last rank")
    args = parser.parse_args(argv)
    if TINY:
        shrink(args)
        args.objects = min(args.objects, 2000)
        args.slow_loader_ms = min(args.slow_loader_ms, 1.0)
    return args


if __name__ == "__main__":
    main()
