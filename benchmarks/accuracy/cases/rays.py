"""Train a field of colours on rays through pixels of photographs: waves of points, a perceptron, sums along rays."""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from common import TINY, options, place, train
from parts import batch_loader, step_for
from steps import step_options
from torch import Tensor, nn

WAVES, PHOTOGRAPHS = 10, 8


class Rays:
    """A batch by number: where rays begin, where they go and what they see, from some photographs each."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        draw = np.random.default_rng(3)
        self.pixels = draw.random((PHOTOGRAPHS, args.edge * args.edge, 3), dtype=np.float32)

    def __call__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """(rays, 3) each."""
        args, draw = self.args, np.random.RandomState(index)
        count = args.batch // args.views
        parts = []
        for number in range(args.views):
            if args.chosen == "drawn":  # no ray twice: all pixels are shuffled
                chosen = draw.choice(args.edge * args.edge, count, replace=False)
            else:
                chosen = np.arange(count) + draw.randint(args.edge * args.edge - count)
            places = np.stack([chosen // args.edge, chosen % args.edge], 1) / args.edge - 0.5
            toward = np.concatenate([places, np.ones((count, 1))], 1)
            toward /= np.linalg.norm(toward, axis=1, keepdims=True)
            begin = np.broadcast_to(np.array([0.1 * number, 0.0, -1.0]), toward.shape)
            parts.append((begin, toward, self.pixels[number % PHOTOGRAPHS, chosen]))
        rays = [torch.from_numpy(np.concatenate(part)).float() for part in zip(*parts, strict=True)]
        return rays[0], rays[1], rays[2]


class Layer(nn.Module):
    """A linear layer with ReLU."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inside, outside)

    def forward(self, x: Tensor) -> Tensor:
        """Points to points."""
        return F.relu(self.linear(x))


def waves(points: Tensor) -> Tensor:
    """Points and sines and cosines of their multiples, one after the other."""
    parts = [points]
    for power in range(WAVES):
        parts += [torch.sin(points * (2.0**power * math.pi)), torch.cos(points * (2.0**power * math.pi))]
    return torch.cat(parts, -1)


class Field(nn.Module):
    """Rays to the error of their colours."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.points, inside = args.points, 3 * (2 * WAVES + 1)
        sizes = [inside, *[args.width] * 4, args.width + inside, *[args.width] * 3]
        self.blocks = nn.ModuleList(Layer(size, args.width) for size in sizes[:-1])
        self.head = nn.Linear(args.width, 4)

    def forward(self, begin: Tensor, toward: Tensor, seen: Tensor) -> Tensor:
        """The mean squared error."""
        depth = torch.linspace(0.5, 3.0, self.points, device=begin.device)
        points = begin[:, None] + toward[:, None] * depth[:, None]
        told = waves(points)
        x = told
        for number, block in enumerate(self.blocks):
            x = block(torch.cat([x, told], -1) if number == 5 else x)
        found = self.head(x).float()
        held = 1 - torch.exp(-F.softplus(found[..., 3]) * (2.5 / self.points))
        left = torch.cumprod(torch.cat([torch.ones_like(held[:, :1]), 1 - held + 1e-10], 1), 1)[:, :-1]
        colours = ((held * left)[..., None] * torch.sigmoid(found[..., :3])).sum(1)
        return F.mse_loss(colours, seen)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Field(args)
    train(args, at, batch_loader(args, at, Rays(args)), step_for(args, at, model))


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--edge", type=int, default=800, help="pixels of a photograph")
    parser.add_argument("--views", type=int, default=4, help="photographs of a batch")
    parser.add_argument("--points", type=int, default=128, help="along a ray")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--chosen", choices=["drawn", "stored"], default="stored", help="stored: shuffled long before")
    args = parser.parse_args(argv)
    if TINY:
        args.edge, args.points, args.width, args.batch = 24, 8, 16, 32
    return args


if __name__ == "__main__":
    main()
