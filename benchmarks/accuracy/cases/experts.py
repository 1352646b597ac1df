"""Train a decoder whose perceptrons are a mixture of experts, visited one after the other."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, compiled, loader_for, optimizer_for, options, place, to_device, train
from models import Attention, Decoder, Tokens
from torch import Tensor, nn


class Expert(nn.Module):
    """One perceptron."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Rows to rows."""
        y: Tensor = self.down(F.gelu(self.up(x)))
        return y


class Experts(nn.Module):
    """Every token goes to one expert: by its state, so that only the device knows how many come, or by its place."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.router = nn.Linear(args.width, args.experts)
        self.experts = nn.ModuleList(Expert(args.width) for _ in range(args.experts))
        self.by_place = args.routing == "place"

    def forward(self, x: Tensor) -> Tensor:
        """Hidden states to hidden states."""
        rows = x.flatten(0, 1)
        shares = self.router(rows).softmax(-1)
        best, choice = shares.max(-1)
        result = torch.zeros_like(rows)
        for number, expert in enumerate(self.experts):
            if self.by_place:
                mine = torch.arange(number, len(rows), len(self.experts), device=x.device)
            else:
                mine = (choice == number).nonzero().squeeze(1)
            result = result.index_add(0, mine, (expert(rows[mine]) * best[mine, None]).to(rows.dtype))
        return result.view_as(x)


class Block(nn.Module):
    """Attention and experts, each with a residual connection."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(args.width), nn.LayerNorm(args.width)
        self.attention, self.experts = Attention(args, causal=True), Experts(args)

    def forward(self, x: Tensor) -> Tensor:
        """Hidden states to hidden states."""
        x = x + self.attention(self.norm1(x))
        y: Tensor = x + self.experts(self.norm2(x))
        return y


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Decoder(args, (Block(args) for _ in range(args.layers)))
    run = compiled(args, model)
    optimizer = optimizer_for(args, model.parameters())

    def step(batch: Any) -> Tensor:
        ids, targets = to_device(args, at, batch)
        with torch.autocast(at.device.type, torch.bfloat16):
            loss = run(ids, targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        detached: Tensor = loss.detach()
        return detached

    train(args, at, lambda batches: loader_for(args, at, Tokens(batches * args.batch, args.seq, args.vocab)), step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--experts", type=int, default=8)
    parser.add_argument("--seq", type=int, default=512)
    parser.add_argument("--vocab", type=int, default=32768)
    parser.add_argument("--routing", choices=["state", "place"], default="state")
    parser.set_defaults(attention="sdpa", casts=False)
    args = parser.parse_args(argv)
    if TINY:
        args.layers, args.width, args.heads, args.seq, args.vocab = 2, 32, 2, 16, 256
        args.experts, args.batch = 4, min(args.batch, 4)
    return args


if __name__ == "__main__":
    main()
