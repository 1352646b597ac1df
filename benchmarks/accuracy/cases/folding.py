"""Train on pairs of the parts of a chain: products over triangles, attention along rows and columns of all pairs."""

from __future__ import annotations

import argparse
import math
import random
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, options, place, train
from parts import sample_loader, step_for
from steps import step_options
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

KINDS, BINS = 20, 32
FULL_STEPS = 4
"""Steps of full length before lengths vary."""


class Products(nn.Module):
    """Every pair told by the pairs that both of its parts make with a third one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.enter, self.gates = nn.Linear(width, 2 * width), nn.Linear(width, 2 * width)
        self.leave, self.gate = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, length, width) to the same."""
        y = self.norm(x)
        one, other = (self.enter(y) * torch.sigmoid(self.gates(y))).chunk(2, -1)
        both = torch.einsum("bikc,bjkc->bijc", one, other) / math.sqrt(x.shape[1])
        found: Tensor = self.leave(self.after(both)) * torch.sigmoid(self.gate(y))
        return found


class Attention(nn.Module):
    """Attention along the rows, with a bias that the third side of every triangle gives; written out or fused."""

    def __init__(self, width: int, heads: int, written: bool) -> None:
        super().__init__()
        self.heads, self.written = heads, written
        self.norm, self.bias = nn.LayerNorm(width), nn.Linear(width, heads, bias=False)
        self.qkv, self.gate, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, length, width) to the same."""
        batch, length, _, width = x.shape
        y = self.norm(x)
        q, k, v = self.qkv(y).view(batch, length, length, 3, self.heads, -1).permute(3, 0, 1, 4, 2, 5)
        bias = self.bias(y).permute(0, 3, 1, 2)[:, None]
        if self.written:
            scores = (q @ k.transpose(-1, -2)) * (1 / math.sqrt(width // self.heads)) + bias
            mixed = scores.softmax(-1).to(v.dtype) @ v
        else:
            q, k, v = (part.flatten(0, 1) for part in (q, k, v))
            given = bias.expand(-1, length, -1, -1, -1).flatten(0, 1).to(q.dtype)
            mixed = F.scaled_dot_product_attention(q, k, v, given).unflatten(0, (batch, length))
        mixed = mixed.transpose(2, 3).reshape(batch, length, length, width)
        found: Tensor = self.out(mixed * torch.sigmoid(self.gate(y)))
        return found


class Block(nn.Module):
    """Products, attention along rows, along columns, a perceptron, each with a residual connection."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        width, written = args.width, args.attention == "written"
        self.products = Products(width)
        self.rows, self.columns = (Attention(width, args.heads, written) for _ in range(2))
        self.body = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, length, width) to the same."""
        x = x + self.products(x)
        x = x + self.rows(x)
        x = x + self.columns(x.transpose(1, 2)).transpose(1, 2)
        y: Tensor = x + self.body(x)
        return y


class Network(nn.Module):
    """Chains of kinds and places to the mean cross-entropy of the distances of all pairs."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.left, self.right = nn.Embedding(KINDS, args.width), nn.Embedding(KINDS, args.width)
        self.blocks = nn.ModuleList(Block(args) for _ in range(args.layers))
        self.head, self.recompute = nn.Linear(args.width, BINS), args.recompute

    def forward(self, kinds: Tensor, places: Tensor) -> Tensor:
        """The mean over all pairs."""
        x = self.left(kinds)[:, :, None] + self.right(kinds)[:, None]
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.recompute else block(x)
        apart = (places[:, :, None] - places[:, None]).square().sum(-1).sqrt()
        bins = (4 * apart).long().clamp(max=BINS - 1)
        return F.cross_entropy(self.head(x).float().flatten(0, 2), bins.flatten())


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Network(args)
    lengths, seen = random.Random(7), 0

    def loss_of(kinds: Tensor, places: Tensor) -> Tensor:
        nonlocal seen
        seen += 1
        full = kinds.shape[1]
        length = lengths.randrange(full // 2, full, 4) if args.ragged != "none" and seen > FULL_STEPS else full
        if args.ragged == "bucketed":
            length = -(-length * 4 // full) * full // 4  # rounded up to a quarter of the longest
        loss: Tensor = step.module(kinds[:, :length], places[:, :length])
        return loss

    step = step_for(args, at, model, loss_of)

    def made(index: int) -> tuple[Tensor, Tensor]:
        draw = torch.Generator().manual_seed(index)
        return torch.randint(KINDS, (args.length,), generator=draw), torch.randn(args.length, 3, generator=draw)

    train(args, at, sample_loader(args, at, made), step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--length", type=int, default=256, help="of a chain")
    parser.add_argument("--attention", choices=["sdpa", "written"], default="sdpa")
    parser.add_argument("--recompute", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--ragged", choices=["none", "random", "bucketed"], default="none")
    args = parser.parse_args(argv)
    if TINY:
        args.layers, args.width, args.heads, args.length, args.batch = 1, 16, 2, 12, min(args.batch, 2)
    return args


if __name__ == "__main__":
    main()
