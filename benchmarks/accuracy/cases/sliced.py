"""Train a decoder whose matrices are sliced over the ranks: each has some of the heads and of the hidden units."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from common import TINY, optimizer_for, options, place, train
from models import Decoder, Tokens
from steps import Update, step_options
from torch import Tensor, nn
from torch.utils.data import DataLoader


class Spread(torch.autograd.Function):
    """The same values on all ranks; their gradients are summed."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """The values."""
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Sum over the ranks."""
        return summed(gradient)


class Sum(torch.autograd.Function):
    """Values summed over the ranks; all get the same gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Sum over the ranks."""
        return summed(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The gradient."""
        return gradient


def summed(x: Tensor) -> Tensor:
    """The sum over all ranks."""
    x = x.contiguous().clone()
    dist.all_reduce(x)
    return x


class Block(nn.Module):
    """One rank's part of attention and of a perceptron."""

    def __init__(self, args: argparse.Namespace, world: int) -> None:
        super().__init__()
        self.heads, self.size, part = args.heads // world, args.width // args.heads, args.width // world
        self.norm1, self.norm2 = nn.LayerNorm(args.width), nn.LayerNorm(args.width)
        self.qkv, self.out = nn.Linear(args.width, 3 * part), nn.Linear(part, args.width, bias=False)
        self.up, self.down = nn.Linear(args.width, 4 * part), nn.Linear(4 * part, args.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Hidden states to hidden states."""
        batch, length, _ = x.shape
        y = Spread.apply(self.norm1(x).to(torch.bfloat16))
        q, k, v = self.qkv(y).view(batch, length, 3, self.heads, self.size).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, length, -1)
        x = x + Sum.apply(self.out(mixed))
        y = Spread.apply(self.norm2(x).to(torch.bfloat16))
        result: Tensor = x + Sum.apply(self.down(F.gelu(self.up(y))))
        return result


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Decoder(args, (Block(args, at.world) for _ in range(args.layers)))
    optimizer = optimizer_for(args, model.parameters())

    def make_loader(batches: int) -> Any:
        data = Tokens(batches * args.batch, args.seq, args.vocab)  # all ranks need the same batches
        return DataLoader(data, args.batch, num_workers=args.workers, pin_memory=at.cuda, drop_last=True)

    train(args, at, make_loader, Update(args, at, model, optimizer, model))


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--seq", type=int, default=1024)
    parser.add_argument("--vocab", type=int, default=8192)
    args = parser.parse_args(argv)
    if TINY:
        args.layers, args.width, args.heads, args.seq, args.vocab = 1, 32, 2, 16, 256
        args.batch = min(args.batch, 4)
    return args


if __name__ == "__main__":
    main()
