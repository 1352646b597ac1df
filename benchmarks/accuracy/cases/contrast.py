"""Train a network of depthwise convolutions to tell views of an image from those of others, cut and coloured anew."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, options, place, train
from parts import sample_loader, step_for
from steps import step_options
from torch import Tensor, nn

STORED, EDGE = 32, 256
"""Images that there are, and their pixels an edge."""


class Views:
    """Two views by number: cut, turned over, coloured and blurred, or only cut."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.images = torch.randint(
            256, (STORED, 3, EDGE, EDGE), dtype=torch.uint8, generator=torch.Generator().manual_seed(4)
        )

    def __call__(self, index: int) -> tuple[Tensor, Tensor]:
        """Two views of the same image."""
        draw = torch.Generator().manual_seed(index)
        first, second = (self._view(self.images[index % STORED], draw) for _ in range(2))
        return first, second

    def _view(self, image: Tensor, draw: torch.Generator) -> Tensor:
        size = self.args.size
        top, left, edge = (int(torch.randint(4 * size // 3 - size + 1, (), generator=draw)) for _ in range(3))
        if self.args.views == "cut":
            view = image[:, top : top + size, left : left + size]
            return view.contiguous() if self.args.compact else view / 255.0
        whole = image[None, :, top : top + size - edge, left : left + size - edge].float()
        view = F.interpolate(whole, (size, size), mode="bicubic", antialias=True)[0].clamp(0, 255) / 255.0
        light, contrast, colour, blur = torch.rand(4, generator=draw).tolist()
        view = (view * (0.6 + 0.8 * light)).clamp(0, 1)
        grey = view.mean(0, keepdim=True)
        view = (grey + (view - grey) * (0.6 + 0.8 * colour)).clamp(0, 1)
        view = (view.mean() + (view - view.mean()) * (0.6 + 0.8 * contrast)).clamp(0, 1)
        row = torch.exp(-((torch.arange(-11, 12) / (1 + 4 * blur)) ** 2))
        row = (row / row.sum()).expand(3, 1, 1, -1)
        view = F.conv2d(F.conv2d(view[None], row, padding=(0, 11), groups=3), row.mT, padding=(11, 0), groups=3)[0]
        view = view.flip(2) if light > 0.5 else view
        return (view * 255).to(torch.uint8) if self.args.compact else view.contiguous()


class Block(nn.Module):
    """Widened, a depthwise 5x5 convolution, channels weighed by their means, narrowed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 4 * channels
        self.enter, self.norm1 = nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide)
        self.deep, self.norm2 = nn.Conv2d(wide, wide, 5, padding=2, groups=wide, bias=False), nn.BatchNorm2d(wide)
        self.weigh = nn.Sequential(nn.Linear(wide, channels // 4), nn.SiLU(), nn.Linear(channels // 4, wide))
        self.leave, self.norm3 = nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Images to images of the same shape."""
        y = F.silu(self.norm1(self.enter(x)))
        y = F.silu(self.norm2(self.deep(y)))
        y = y * torch.sigmoid(self.weigh(y.mean((2, 3))))[:, :, None, None]
        found: Tensor = x + self.norm3(self.leave(y))
        return found


class Network(nn.Module):
    """Two views of images to how badly they are told from other images."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.layout = torch.channels_last if args.channels_last else torch.contiguous_format
        channels = [args.channels << stage for stage in range(len(args.stages))]
        self.stem = nn.Conv2d(3, channels[0], 4, 4)
        self.blocks = nn.ModuleList(
            Block(one) for one, count in zip(channels, args.stages, strict=True) for _ in range(count)
        )
        self.between = nn.ModuleList(nn.Conv2d(one, 2 * one, 2, 2) for one in channels[:-1])
        self.counts = args.stages
        self.head = nn.Sequential(nn.Linear(channels[-1], 512), nn.ReLU(), nn.Linear(512, 128))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """The mean cross-entropy of the other view of the same image."""
        images = torch.cat([first, second])
        images = images / 255.0 if images.dtype == torch.uint8 else images
        x, blocks = self.stem(images.contiguous(memory_format=self.layout)), iter(self.blocks)
        for stage, count in enumerate(self.counts):
            x = self.between[stage - 1](x) if stage else x
            for _ in range(count):
                x = next(blocks)(x)
        found = F.normalize(self.head(x.mean((2, 3))).float(), dim=-1)
        scores = (found @ found.T / 0.2).fill_diagonal_(-1e4)
        return F.cross_entropy(scores, torch.arange(len(found), device=x.device).roll(len(first)))


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Network(args)
    model = model.to(memory_format=model.layout)
    update = step_for(args, at, model)
    averages = [part.detach().clone() for part in model.parameters()]

    def step(batch: Any) -> Tensor:
        loss = update(batch)
        torch._foreach_lerp_(averages, [part.detach() for part in model.parameters()], 1e-3)
        return loss

    train(args, at, sample_loader(args, at, Views(args)), step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--stages", type=int, nargs="+", default=[3, 3, 3], help="blocks of each")
    parser.add_argument("--views", choices=["cut", "full"], default="cut")
    parser.add_argument("--compact", action=argparse.BooleanOptionalAction, default=False, help="a byte a value")
    parser.add_argument("--channels-last", action=argparse.BooleanOptionalAction, default=False)
    args = parser.parse_args(argv)
    if TINY:
        args.size, args.channels, args.stages, args.batch = 32, 8, [1, 1], min(args.batch, 4)
    return args


if __name__ == "__main__":
    main()
