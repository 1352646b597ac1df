"""Train two towers of embeddings: what a user has seen against the items of the batch, collated from Python lists."""

from __future__ import annotations

import argparse
import random
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, compiled, loader_for, optimizer_for, options, place, train
from ranks import wrapped
from steps import Samples, Update, step_options
from torch import Tensor, nn

LONGEST = 64
"""Items that a user has seen at most."""

Sample = tuple[list[int], int]


class Tower(nn.Module):
    """The mean of rows of a table, and a perceptron."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.rows = nn.EmbeddingBag(args.rows, args.size, mode="mean")
        self.body = nn.Sequential(
            nn.Linear(args.size, args.hidden), nn.ReLU(), nn.Linear(args.hidden, args.hidden), nn.ReLU(),
            nn.Linear(args.hidden, args.size),
        )  # fmt: skip

    def forward(self, numbers: Tensor, begins: Tensor) -> Tensor:
        """A direction for every bag."""
        return F.normalize(self.body(self.rows(numbers, begins)).float(), dim=-1)


class Towers(nn.Module):
    """How well every user fits to its own item among those of the batch."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.user, self.item = Tower(args), Tower(args)

    def forward(self, seen: Tensor, begins: Tensor, items: Tensor) -> Tensor:
        """The mean cross-entropy of a user's item."""
        users = self.user(seen, begins)
        wanted = self.item(items, torch.arange(len(items), device=items.device))
        scores = 20.0 * users @ wanted.T
        return F.cross_entropy(scores.float(), torch.arange(len(items), device=items.device))


def joined(samples: list[Sample]) -> tuple[Tensor, Tensor, Tensor]:
    """All numbers behind each other, where each list begins, the items."""
    numbers: list[int] = []
    begins: list[int] = []
    for seen, _ in samples:
        begins.append(len(numbers))
        numbers.extend(sorted(set(seen))[:LONGEST])
    numbers += [0] * (LONGEST * len(samples) - len(numbers))  # the same shape in every batch
    return torch.tensor(numbers), torch.tensor(begins), torch.tensor([item for _, item in samples])


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Towers(args)
    module = wrapped(args, at, model)
    optimizer = optimizer_for(args, model.parameters())
    step = Update(args, at, module, optimizer, compiled(args, module))

    def made(index: int) -> Sample:
        draw = random.Random(index)
        return [int(args.rows * draw.random()) for _ in range(LONGEST)], draw.randrange(args.rows)

    def make_loader(batches: int) -> Any:
        return loader_for(args, at, Samples(batches * args.batch * at.world, made), collate_fn=joined)

    train(args, at, make_loader, step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--rows", type=int, default=2000000, help="of each of the two tables")
    parser.add_argument("--size", type=int, default=128, help="of a row")
    parser.add_argument("--hidden", type=int, default=4096)
    args = parser.parse_args(argv)
    if TINY:
        args.rows, args.size, args.hidden, args.batch = 100, 8, 16, min(args.batch, 8)
    return args


if __name__ == "__main__":
    main()
