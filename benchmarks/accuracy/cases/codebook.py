"""Train an autoencoder of images whose inner vectors are replaced by the nearest ones of a codebook (VQ-VAE)."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, options, place, train
from parts import sample_loader, step_for
from steps import compiled_function, step_options
from torch import Tensor, nn


class Block(nn.Module):
    """A residual block with two convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1), nn.SiLU(), nn.Conv2d(channels, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images to images."""
        y: Tensor = x + self.body(x)
        return y


def nearest(rows: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For every row its nearest code, how evenly all are used, and sums of the rows of each; in fp32 throughout."""
    apart = rows.square().sum(1, keepdim=True) - 2 * rows @ codes.T + codes.square().sum(1)
    chosen = F.one_hot(apart.argmin(1), len(codes)).to(rows.dtype)
    share = chosen.mean(0)
    evenly = torch.exp(-(share * (share + 1e-10).log()).sum())
    return chosen @ codes, evenly, chosen.T @ rows


class Autoencoder(nn.Module):
    """Images to how badly they come back, and how far their inner vectors are from the codes."""

    codes: Tensor

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        wide = args.channels
        self.enter = nn.Sequential(nn.Conv2d(3, wide, 4, 2, 1), nn.SiLU(), nn.Conv2d(wide, wide, 4, 2, 1))
        self.blocks = nn.ModuleList(Block(wide) for _ in range(4))
        self.narrow, self.widen = nn.Conv2d(wide, args.inner, 1), nn.Conv2d(args.inner, wide, 1)
        self.leave = nn.Sequential(
            nn.ConvTranspose2d(wide, wide, 4, 2, 1), nn.SiLU(), nn.ConvTranspose2d(wide, 3, 4, 2, 1)
        )
        self.register_buffer("codes", torch.randn(args.codes, args.inner))
        self.nearest: Any = compiled_function(nearest) if args.codebook == "compiled" else nearest
        self.evenly = torch.zeros(())

    def forward(self, images: Tensor) -> Tensor:
        """The sum of both errors."""
        x = self.enter(images.contiguous(memory_format=torch.channels_last))
        for block in self.blocks[:2]:
            x = block(x)
        x = self.narrow(x).float()
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            rows = x.movedim(1, -1).flatten(0, 2)
            found, self.evenly, sums = self.nearest(rows, self.codes)
            self.codes.lerp_(sums / len(rows), 0.001)
        found = found.view(len(x), *x.shape[2:], -1).movedim(-1, 1)
        y = self.widen(x + (found - x).detach())
        for block in self.blocks[2:]:
            y = block(y)
        return F.mse_loss(self.leave(y).float(), images) + 0.25 * F.mse_loss(x, found)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    torch.backends.cuda.matmul.allow_tf32 = args.tf32
    with at.device:
        model: Any = Autoencoder(args)
    model = model.to(memory_format=torch.channels_last)
    image = torch.rand(3, args.size, args.size, generator=torch.Generator().manual_seed(8))

    def made(index: int) -> tuple[Tensor]:
        return (image.roll(index % 50, 2),)

    train(args, at, sample_loader(args, at, made), step_for(args, at, model))


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--size", type=int, default=128, help="of an image")
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--inner", type=int, default=256, help="values of a code")
    parser.add_argument("--codes", type=int, default=8192)
    parser.add_argument("--codebook", choices=["plain", "compiled"], default="plain")
    parser.add_argument("--tf32", action=argparse.BooleanOptionalAction, default=False, help="for products in fp32")
    args = parser.parse_args(argv)
    if TINY:
        args.size, args.channels, args.inner, args.codes, args.batch = 16, 8, 8, 32, min(args.batch, 4)
    return args


if __name__ == "__main__":
    main()
