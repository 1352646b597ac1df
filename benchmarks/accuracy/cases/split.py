"""Train a residual network with group norms that is split by hand: some blocks on one rank, the rest on another."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from common import TINY, Place, optimizer_for, options, place, to_device, train
from steps import Samples, autocast, step_options
from torch import Tensor, nn
from torch.utils.data import DataLoader

CLASSES = 10


class Residual(nn.Module):
    """Two 3x3 convolutions with group norms."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for _ in range(2):
            parts += [nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.GroupNorm(8, channels), nn.ReLU()]
        self.body = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        """One block."""
        y: Tensor = self.body(x)
        return x + y


class Stage(nn.Module):
    """The part of the network that a rank holds."""

    def __init__(self, args: argparse.Namespace, at: Place) -> None:
        super().__init__()
        count = args.first if at.rank == 0 else args.blocks - args.first
        self.stem = nn.Conv2d(3, args.channels, 4, 4) if at.rank == 0 else nn.Identity()
        self.body = nn.Sequential(*(Residual(args.channels) for _ in range(count)))
        self.head = nn.Linear(args.channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Images or what the first rank made of them to the same for the second one."""
        y: Tensor = self.body(self.stem(x))
        return y


class Halves:
    """A step of the rank's half: all forwards, then all backwards, one for each micro-batch."""

    def __init__(self, args: argparse.Namespace, at: Place, model: Any, optimizer: torch.optim.Optimizer) -> None:
        self.args, self.at, self.model, self.optimizer = args, at, model, optimizer
        self.shape = (args.channels, args.size // 4, args.size // 4)
        self.kind = torch.bfloat16 if args.precision == "bf16" else torch.float32

    def __call__(self, batch: Any) -> Tensor:
        """The loss on the second rank, nothing on the first."""
        images, labels = to_device(self.args, self.at, batch)
        count = self.args.microbatches
        loss = self._first(images.chunk(count)) if self.at.rank == 0 else self._second(labels.chunk(count))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss

    def _first(self, parts: tuple[Tensor, ...]) -> Tensor:
        made = []
        for part in parts:
            with autocast(self.args, self.at):
                made.append(self.model(part).to(self.kind).contiguous())
            dist.send(made[-1].detach(), 1)
        for one in made:
            gradient = torch.empty_like(one)
            dist.recv(gradient, 1)
            one.backward(gradient)
        return torch.zeros(())

    def _second(self, parts: tuple[Tensor, ...]) -> Tensor:
        entered, losses = [], []
        for labels in parts:
            x = torch.empty((len(labels), *self.shape), dtype=self.kind, device=self.at.device)
            dist.recv(x, 0)
            entered.append(x.requires_grad_())
            with autocast(self.args, self.at):
                scores = self.model.head(self.model(x).mean((2, 3)))
            losses.append(F.cross_entropy(scores.float(), labels) / len(parts))
        for x, loss in zip(entered, losses, strict=True):
            loss.backward()
            assert x.grad is not None
            dist.send(x.grad.contiguous(), 0)
        return torch.stack(losses).sum().detach()


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Stage(args, at)
    optimizer = optimizer_for(args, model.parameters())

    def made(index: int) -> tuple[Tensor, Tensor]:
        return torch.full((3, args.size, args.size), index % 7 / 7), torch.tensor(index % CLASSES)

    def make_loader(batches: int) -> Any:
        data = Samples(batches * args.batch, made)  # both ranks need the same batches
        return DataLoader(data, args.batch, num_workers=args.workers, pin_memory=at.cuda, drop_last=True)

    train(args, at, make_loader, Halves(args, at, model, optimizer))


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--first", type=int, default=6, help="blocks of the first rank")
    parser.add_argument("--microbatches", type=int, default=1)
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--size", type=int, default=224)
    args = parser.parse_args(argv)
    if TINY:
        args.channels, args.size, args.batch = 8, 16, 16
    return args


if __name__ == "__main__":
    main()
