"""Train a vision network whose attention looks at windows of 8x8 patches, shifted in every other block."""

from __future__ import annotations

import argparse
import math
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, compiled, loader_for, optimizer_for, options, place, train
from ranks import wrapped
from steps import Samples, Update, compile_blocks, step_options
from torch import Tensor, nn

EDGE = 8
CLASSES = 10


class Windows(nn.Module):
    """Attention inside of windows with a bias for every pair of places, written out or fused."""

    def __init__(self, width: int, heads: int, written: bool) -> None:
        super().__init__()
        self.heads, self.written = heads, written
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.near = nn.Parameter(torch.zeros(heads, EDGE * EDGE, EDGE * EDGE))

    def forward(self, x: Tensor, apart: Tensor | None) -> Tensor:
        """(windows, places, width) to the same; `apart` is added for pairs that the shift joined."""
        count, length, width = x.shape
        q, k, v = self.qkv(x).view(count, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        bias = self.near[None]
        if apart is not None:
            bias = bias + apart[:, None]
        bias = bias.repeat(count // len(bias), 1, 1, 1)
        if self.written:
            scores = (q @ k.transpose(-1, -2)) * (1 / math.sqrt(width // self.heads)) + bias
            mixed = scores.softmax(-1).to(v.dtype) @ v
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, bias.to(q.dtype))
        y: Tensor = self.out(mixed.transpose(1, 2).reshape(count, length, width))
        return y


class Block(nn.Module):
    """Attention in windows, shifted or not, and a perceptron."""

    def __init__(self, args: argparse.Namespace, shifted: bool) -> None:
        super().__init__()
        self.shift = EDGE // 2 if shifted else 0
        self.norm1, self.norm2 = nn.LayerNorm(args.width), nn.LayerNorm(args.width)
        self.windows = Windows(args.width, args.heads, args.attention == "written")
        self.body = nn.Sequential(
            nn.Linear(args.width, 4 * args.width), nn.GELU(), nn.Linear(4 * args.width, args.width)
        )

    def forward(self, x: Tensor, apart: Tensor) -> Tensor:
        """(batch, height, width, channels) to the same."""
        batch, height, width, channels = x.shape
        y = self.norm1(x)
        if self.shift:
            y = y.roll((-self.shift, -self.shift), (1, 2))
        y = y.view(batch, height // EDGE, EDGE, width // EDGE, EDGE, channels).transpose(2, 3)
        y = self.windows(y.reshape(-1, EDGE * EDGE, channels), apart if self.shift else None)
        y = y.view(batch, height // EDGE, width // EDGE, EDGE, EDGE, channels).transpose(2, 3)
        y = y.reshape(batch, height, width, channels)
        if self.shift:
            y = y.roll((self.shift, self.shift), (1, 2))
        x = x + y
        result: Tensor = x + self.body(self.norm2(x))
        return result


def pairs_apart(edge: int) -> Tensor:
    """For every window of a shifted image, -100 for pairs of places that were not neighbours."""
    part = torch.zeros(edge)
    part[edge - EDGE : edge - EDGE // 2], part[edge - EDGE // 2 :] = 1.0, 2.0
    areas = (part[:, None] * 3 + part).view(edge // EDGE, EDGE, edge // EDGE, EDGE).transpose(1, 2)
    areas = areas.reshape(-1, EDGE * EDGE)
    return torch.where(areas[:, :, None] == areas[:, None], 0.0, -100.0)


class Network(nn.Module):
    """Patches, blocks, a classifier."""

    apart: Tensor

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, args.width, 4, 4)
        self.blocks = nn.ModuleList(Block(args, number % 2 == 1) for number in range(args.depth))
        self.norm, self.head = nn.LayerNorm(args.width), nn.Linear(args.width, CLASSES)
        self.register_buffer("apart", pairs_apart(args.size // 4))

    def forward(self, images: Tensor) -> Tensor:
        """A score for every class."""
        x = self.patches(images).permute(0, 2, 3, 1)
        for block in self.blocks:
            x = block(x, self.apart)
        scores: Tensor = self.head(self.norm(x).mean((1, 2)))
        return scores


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Network(args)
    compile_blocks(args, model.blocks)
    module = wrapped(args, at, model)
    run = compiled(args, module)
    optimizer = optimizer_for(args, model.parameters())
    step = Update(args, at, module, optimizer, lambda images, labels: F.cross_entropy(run(images).float(), labels))

    def made(index: int) -> tuple[Tensor, Tensor]:
        return torch.full((3, args.size, args.size), index % 7 / 7), torch.tensor(index % CLASSES)

    train(args, at, lambda batches: loader_for(args, at, Samples(batches * args.batch * at.world, made)), step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--attention", choices=["sdpa", "written"], default="sdpa")
    args = parser.parse_args(argv)
    if TINY:
        args.size, args.width, args.depth, args.heads, args.batch = 64, 16, 2, 2, min(args.batch, 2)
    return args


if __name__ == "__main__":
    main()
