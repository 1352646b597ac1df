"""Train a network on clouds of points: layers that all points share, the largest of each channel, a class."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from common import TINY, compiled, loader_for, optimizer_for, options, place, train
from ranks import wrapped
from steps import Samples, Update, compile_blocks, step_options
from torch import Tensor, nn

CLASSES = 40


class Clouds:
    """Cloud by number: turned, shaken, thinned to one point a cell, or as it is stored."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.raw = np.random.default_rng(4).standard_normal((args.raw, args.features)).astype(np.float32)
        kind = torch.bfloat16 if args.compact else torch.float32
        self.stored = torch.from_numpy(np.resize(self.raw, (args.points, args.features))).to(kind)

    def __call__(self, index: int) -> tuple[Tensor, Tensor]:
        """Points of (points, features) and a class."""
        label = torch.tensor(index % CLASSES)
        return (self._made(index) if self.args.thin else self.stored), label

    def _made(self, index: int) -> Tensor:
        draw = np.random.default_rng(index)
        angle = draw.random() * 2 * np.pi
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]], np.float32)
        cloud = self.raw.copy()
        cloud[:, :3] = cloud[:, :3] @ turn + 0.01 * draw.standard_normal((len(cloud), 3), np.float32)
        cells = np.floor(cloud[:, :3] * 10).astype(np.int64)
        _, first = np.unique((cells - cells.min(0)) @ np.array([1000000, 1000, 1]), return_index=True)
        return torch.from_numpy(cloud[np.resize(first, self.args.points)])


class Shared(nn.Module):
    """The same layer for every point, with batch norm; the largest of the cloud is told to each point."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.point, self.cloud = nn.Linear(inside, outside), nn.Linear(outside, outside)
        self.norm = nn.BatchNorm1d(outside)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, points, channels) to the same."""
        y = self.point(x)
        y = F.relu(self.norm(y.flatten(0, 1)).view_as(y))
        told: Tensor = y + self.cloud(y.amax(1, keepdim=True))
        return told


class Network(nn.Module):
    """Shared layers, the largest over the points, a classifier."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        sizes = [args.features, *args.widths]
        self.layers = nn.Sequential(*(Shared(a, b) for a, b in zip(sizes, args.widths, strict=False)))
        self.head = nn.Sequential(nn.Linear(sizes[-1], sizes[-1]), nn.ReLU(), nn.Linear(sizes[-1], CLASSES))

    def forward(self, cloud: Tensor) -> Tensor:
        """A score for every class."""
        scores: Tensor = self.head(self.layers(cloud).amax(1))
        return scores


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Network(args)
    compile_blocks(args, model.layers)
    module = wrapped(args, at, model)
    run = compiled(args, module)
    optimizer = optimizer_for(args, model.parameters())

    def loss_of(cloud: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(run(cloud.float()).float(), labels)

    clouds = Clouds(args)

    def make_loader(batches: int) -> Any:
        return loader_for(args, at, Samples(batches * args.batch * at.world, clouds))

    train(args, at, make_loader, Update(args, at, module, optimizer, loss_of))


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--features", type=int, default=6, help="of a point")
    parser.add_argument("--points", type=int, default=8192)
    parser.add_argument("--raw", type=int, default=30000, help="points before they are thinned")
    parser.add_argument("--thin", action=argparse.BooleanOptionalAction, default=False, help="clouds made by workers")
    parser.add_argument("--compact", action="store_true", help="clouds in half of the bytes")
    parser.add_argument("--widths", type=int, nargs="+", default=[512, 1024, 1024, 2048])
    args = parser.parse_args(argv)
    if TINY:
        args.points, args.raw, args.widths, args.batch = 64, 100, [8, 16], min(args.batch, 4)
    return args


if __name__ == "__main__":
    main()
