"""Train a deep, narrow network on rows of a table, with what people do in Python around it."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, compiled, loader_for, optimizer_for, options, place, to_device, train
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset


class Rows(Dataset[tuple[Tensor, Tensor]]):
    """Random rows."""

    def __init__(self, samples: int, features: int) -> None:
        self.samples, self.values = samples, torch.randn(512, features)

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        row = self.values[index % 512]
        return row, row[:1]


class Layer(nn.Module):
    """A gated residual layer of many small operations."""

    def __init__(self, width: int, watch: bool) -> None:
        super().__init__()
        self.norm, self.up, self.gate = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)
        self.scale, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.watch = watch
        self.norms: list[float] = []

    def forward(self, x: Tensor) -> Tensor:
        """One layer."""
        y = self.norm(x)
        y = F.silu(self.up(y)) * torch.sigmoid(self.gate(y))
        y = x + y * self.scale + self.shift
        if self.watch:
            self.norms.append(y.norm().item())
        return y


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        layers = [Layer(args.width, args.sync == "layer") for _ in range(args.layers)]
        model: Any = nn.Sequential(nn.Linear(args.features, args.width), *layers, nn.Linear(args.width, 1))
    wrapped = model
    if at.world > 1:
        devices = [at.device] if at.cuda else None
        wrapped = DistributedDataParallel(model, device_ids=devices, find_unused_parameters=args.find_unused)
    run = compiled(args, wrapped)
    optimizer = optimizer_for(args, model.parameters())
    history: list[dict[str, float]] = []

    def step(batch: Any) -> Tensor:
        rows, wanted = to_device(args, at, batch)
        with torch.autocast(at.device.type, torch.bfloat16, enabled=args.precision == "bf16"):
            guess = run(rows)
        loss = F.mse_loss(guess.float(), wanted)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        for layer in layers:
            layer.norms.clear()
        if args.statistics:
            history[:] = [statistics_of(args.statistics)]
        if args.sync == "step":
            loss.item()
        return loss.detach()

    train(args, at, lambda batches: loader_for(args, at, Rows(batches * args.batch * at.world, args.features)), step)


def statistics_of(rows: int) -> dict[str, float]:
    """What a metrics class in plain Python does every step: loops over rows and keys."""
    totals: dict[str, float] = {}
    for row in range(rows):
        for name in ("loss", "accuracy", "length", "weight"):
            key = f"{name}/{row % 7}"
            totals[key] = totals.get(key, 0.0) + row * 0.5
    return totals


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--layers", type=int, default=64)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--sync", choices=["none", "step", "layer"], default="none")
    parser.add_argument("--find-unused", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--statistics", type=int, default=0, help="rows that plain Python goes over in every step")
    args = parser.parse_args(argv)
    if TINY:
        args.layers, args.width, args.features, args.batch = 3, 16, 16, min(args.batch, 4)
        args.statistics = min(args.statistics, 50)
    return args


if __name__ == "__main__":
    main()
