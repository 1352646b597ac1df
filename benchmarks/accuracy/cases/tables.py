"""Train a recommender: large embedding tables with dense gradients, and a small perceptron."""

from __future__ import annotations

import argparse
import itertools
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, Place, compiled, optimizer_for, options, place, to_device, train
from ranks import rank_options, wrapped
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

FEATURES = 13


class Clicks(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Whole batches: numbers, a row of every table, and whether there was a click."""

    def __init__(self, args: argparse.Namespace, at: Place, batches: int) -> None:
        self.batches, self.rank, self.world = batches, at.rank, at.world
        self.rows, self.tables, self.batch = args.rows, args.tables, args.batch

    def __len__(self) -> int:
        return self.batches

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        draw = torch.Generator().manual_seed(index * self.world + self.rank)
        numbers = torch.rand(self.batch, FEATURES, generator=draw)
        chosen = torch.randint(self.rows, (self.tables, self.batch), generator=draw)
        return numbers, chosen, (numbers[:, 0] > 0.7).float()


def perceptron(*sizes: int) -> nn.Sequential:
    """Linear layers with ReLU after each."""
    pairs = itertools.pairwise(sizes)
    return nn.Sequential(*(part for a, b in pairs for part in (nn.Linear(a, b), nn.ReLU(inplace=True))))


class Recommender(nn.Module):
    """Tables, products of all pairs of rows, a perceptron."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(args.rows, args.size) for _ in range(args.tables))
        self.bottom = perceptron(FEATURES, 512, args.size)
        pairs = (args.tables + 1) ** 2
        self.top = nn.Sequential(perceptron(pairs + args.size, 1024, 512), nn.Linear(512, 1))

    def forward(self, numbers: Tensor, chosen: Tensor) -> Tensor:
        """Logits of a click."""
        first = self.bottom(numbers)
        rows = torch.stack([first, *(table(one) for table, one in zip(self.tables, chosen, strict=True))], 1)
        products = (rows @ rows.transpose(1, 2)).flatten(1)
        logits: Tensor = self.top(torch.cat([first, products], 1)).squeeze(1)
        return logits


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Recommender(args)
    run = compiled(args, wrapped(args, at, model))
    optimizer = optimizer_for(args, model.parameters())

    def step(batch: Any) -> Tensor:
        numbers, chosen, clicked = to_device(args, at, batch)
        with torch.autocast(at.device.type, torch.bfloat16, enabled=args.precision == "bf16"):
            logits = run(numbers, chosen)
        loss = F.binary_cross_entropy_with_logits(logits.float(), clicked)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def make_loader(batches: int) -> Any:
        more = {"prefetch_factor": args.prefetch} if args.workers else {}
        data = Clicks(args, at, batches)
        return DataLoader(data, batch_size=None, num_workers=args.workers, pin_memory=at.cuda, **more)

    train(args, at, make_loader, step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    rank_options(parser)
    parser.add_argument("--tables", type=int, default=26)
    parser.add_argument("--rows", type=int, default=400000, help="of every table")
    parser.add_argument("--size", type=int, default=128, help="of a row")
    args = parser.parse_args(argv)
    if TINY:
        args.tables, args.rows, args.size, args.batch = 4, 100, 8, min(args.batch, 8)
    return args


if __name__ == "__main__":
    main()
