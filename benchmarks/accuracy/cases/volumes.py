"""Train a U-Net that segments volumes: 3x3x3 convolutions with instance norms, at three sizes."""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, options, place, to_device, train
from parts import sample_loader, step_for
from steps import Ahead, autocast, step_options
from torch import Tensor, nn

CLASSES = 4


class Block(nn.Module):
    """A convolution, an instance norm and a leaky ReLU, twice."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for channels in (inside, outside):
            parts += [nn.Conv3d(channels, outside, 3, padding=1), nn.InstanceNorm3d(outside, affine=True)]
            parts.append(nn.LeakyReLU(0.01, inplace=True))
        self.body = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        """Volumes to volumes of the same size."""
        y: Tensor = self.body(x)
        return y


class UNet(nn.Module):
    """Volumes and labels to the mean cross-entropy and the overlap of the classes."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        a, b, c = args.channels, 2 * args.channels, 4 * args.channels
        self.layout = torch.channels_last_3d if args.channels_last else torch.contiguous_format
        self.blocks = nn.ModuleList(Block(*pair) for pair in ((args.bands, a), (a, b), (b, c), (c + b, b), (b + a, a)))
        self.head = nn.Conv3d(a, CLASSES, 1)

    def forward(self, volumes: Tensor, labels: Tensor) -> Tensor:
        """The sum of both losses."""
        first, second, third, up, last = self.blocks
        x = first(volumes.float().contiguous(memory_format=self.layout))
        y = second(F.max_pool3d(x, 2))
        z = third(F.max_pool3d(y, 2))
        y = up(torch.cat([F.interpolate(z, scale_factor=2), y], 1))
        x = last(torch.cat([F.interpolate(y, scale_factor=2), x], 1))
        scores = self.head(x).float()
        chances = scores.softmax(1)
        wanted = F.one_hot(labels.long(), CLASSES).movedim(-1, 1)
        overlap = (chances * wanted).sum((2, 3, 4)) / (chances + wanted).sum((2, 3, 4))
        loss: Tensor = F.cross_entropy(scores, labels.long()) + 1 - 2 * overlap.mean()
        return loss


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = UNet(args)
    model = model.to(memory_format=model.layout)
    update = step_for(args, at, model)
    shape = (args.edge,) * 3
    stored = torch.randn(args.bands, *shape, generator=torch.Generator().manual_seed(6))
    labels = (stored[0] > 0).long() + (stored[0] > 1).long()
    if args.compact:
        stored, labels = stored.half(), labels.byte()
    shown = [stored[None].repeat(args.previews, 1, 1, 1, 1), labels[None].repeat(args.previews, 1, 1, 1)]
    shown = to_device(args, at, shown) if args.previews and at.rank == 0 else []

    def step(batch: Any) -> Tensor:
        loss = update(batch)
        if shown:  # only the first rank writes them down
            with torch.no_grad(), autocast(args, at):
                model(*shown)
        return loss

    def made(_: int) -> tuple[Tensor, Tensor]:
        if args.store_ms:
            time.sleep(args.store_ms / 1000)
        return stored, labels

    plain = sample_loader(args, at, made)

    def make_loader(batches: int) -> Any:
        return Ahead(plain(batches), at) if args.ahead else plain(batches)

    train(args, at, make_loader, step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--edge", type=int, default=96, help="voxels of a volume")
    parser.add_argument("--bands", type=int, default=4, help="values of a voxel")
    parser.add_argument("--channels", type=int, default=32, help="at the full size")
    parser.add_argument("--channels-last", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument(
        "--compact", action=argparse.BooleanOptionalAction, default=False, help="smaller number formats"
    )
    parser.add_argument("--ahead", action="store_true", help="copy the next batch while the device computes")
    parser.add_argument("--store-ms", type=float, default=0.0, help="that a sample waits for the store")
    parser.add_argument("--previews", type=int, default=0, help="volumes that the first rank segments in every step")
    args = parser.parse_args(argv)
    if TINY:
        args.edge, args.channels, args.batch, args.store_ms = 8, 4, min(args.batch, 2), min(args.store_ms, 1.0)
        args.precision = (
            "fp32"  # on a CPU the backward of a bf16 convolution of so small volumes is not always the same
        )
    return args


if __name__ == "__main__":
    main()
