"""Train a forecaster of many series: a small gated network for every variable, a choice among them, LSTM, attention."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, options, place, train
from parts import batch_loader, step_for
from steps import step_options
from torch import Tensor, nn


class Gated(nn.Module):
    """A perceptron whose result a gate lets through, beside a shortcut."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.enter, self.bend = nn.Linear(inside, outside), nn.Linear(outside, outside)
        self.gate, self.norm = nn.Linear(outside, 2 * outside), nn.LayerNorm(outside)
        self.shortcut = nn.Linear(inside, outside)

    def forward(self, x: Tensor) -> Tensor:
        """Values to values."""
        y = F.glu(self.gate(self.bend(F.elu(self.enter(x)))), -1)
        found: Tensor = self.norm(self.shortcut(x) + y)
        return found


class Choice(nn.Module):
    """The variables of every moment, each through a network of its own, weighed and summed."""

    def __init__(self, variables: int, width: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(Gated(1, width) for _ in range(variables))
        self.weigh = Gated(variables, variables)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, moments, variables) to (batch, moments, width)."""
        told = torch.stack([part(one) for part, one in zip(self.parts, x.split(1, -1), strict=True)], -1)
        found: Tensor = (told * self.weigh(x).softmax(-1)[..., None, :]).sum(-1)
        return found


class Forecaster(nn.Module):
    """Past values to the error of three quantiles of the next ones."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.choice = Choice(args.variables, args.width)
        self.blocks = nn.ModuleList([*self.choice.parts, self.choice.weigh])
        self.over_time = nn.LSTM(args.width, args.width, batch_first=True)
        self.attention = nn.MultiheadAttention(args.width, 4, batch_first=True)
        self.after, self.head = Gated(args.width, args.width), nn.Linear(args.width, 3)

    def forward(self, past: Tensor, following: Tensor) -> Tensor:
        """The mean over all moments and quantiles."""
        x, _ = self.over_time(self.choice(past))
        x = x + self.attention(x, x, x, need_weights=False)[0]
        missed = following[..., None] - self.head(self.after(x)).float()
        share = torch.tensor([0.1, 0.5, 0.9], device=x.device)
        return torch.maximum(share * missed, (share - 1) * missed).mean()


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Forecaster(args)
    step = step_for(args, at, model)
    if args.graphs and at.cuda:
        example = torch.zeros(args.batch, args.moments, args.variables, device=at.device)
        torch.cuda.make_graphed_callables(model.choice, (example,))  # replaces its forward

    def made(index: int) -> tuple[Tensor, Tensor]:
        series = torch.randn(
            args.batch, args.moments + 1, args.variables, generator=torch.Generator().manual_seed(index)
        ).cumsum(1)
        series = series / args.moments**0.5
        return series[:, :-1], series[:, 1:, 0]

    train(args, at, batch_loader(args, at, made), step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--variables", type=int, default=40)
    parser.add_argument("--moments", type=int, default=96)
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--graphs", action="store_true", help="the choice among variables as a CUDA graph")
    args = parser.parse_args(argv)
    if TINY:
        args.variables, args.moments, args.width, args.batch = 3, 8, 16, min(args.batch, 4)
    return args


if __name__ == "__main__":
    main()
