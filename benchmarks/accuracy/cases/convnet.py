"""Train a residual network on images that are decoded and augmented while training."""

from __future__ import annotations

import argparse
import random
import time
import zlib
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from common import TINY, compiled, loader_for, optimizer_for, options, place, to_device, train
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset


class Images(Dataset[tuple[Tensor, Tensor]]):
    """Compressed images in memory; a sample is decoded, cropped, flipped and scaled, `views` times averaged.

    `io_ms` is the time that a sample takes to arrive from storage; with `tail` some samples take much longer; with
    `compact` they come in half of the bytes.
    """

    def __init__(self, samples: int, size: int, views: int, io_ms: float, tail: float, compact: bool = False) -> None:
        self.kind = torch.bfloat16 if compact else torch.float32
        self.samples, self.size, self.views, self.io_s, self.tail = samples, size, views, io_ms / 1000, tail
        self.edge = size + size // 8
        self.stored = [self._made(number) for number in range(8)]

    def _made(self, number: int) -> bytes:
        draw = np.random.default_rng(number)
        smooth = draw.integers(0, 255, (3, self.edge // 8 + 1, self.edge // 8 + 1)).repeat(8, 1).repeat(8, 2)
        noisy = smooth[:, : self.edge, : self.edge] + draw.integers(0, 8, (3, self.edge, self.edge))
        return zlib.compress(noisy.astype(np.uint8).tobytes(), 4)

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        draw = random.Random(index)
        longer = draw.lognormvariate(-(self.tail**2) / 2, self.tail) if self.tail else 1.0  # of mean 1
        if self.io_s:
            time.sleep(self.io_s * longer)
        views = max(1, round(self.views * longer)) if self.views else 0
        image = torch.zeros(3, self.size, self.size)
        for _ in range(views):
            image += self._view(draw) / views
        return image.to(self.kind), torch.tensor(index % 100)

    def _view(self, draw: random.Random) -> Tensor:
        raw = np.frombuffer(zlib.decompress(self.stored[draw.randrange(8)]), np.uint8)
        image = torch.from_numpy(raw.reshape(3, self.edge, self.edge).copy())
        top, left = draw.randrange(self.edge - self.size), draw.randrange(self.edge - self.size)
        part = image[:, top : top + self.size, left : left + self.size].float()
        part = F.interpolate(part[None], scale_factor=1.25, mode="bilinear", antialias=True)[0]
        part = part[:, : self.size, : self.size]
        return ((part.flip(-1) if draw.random() < 0.5 else part) - 128.0) / 64.0


class Indices(Dataset[tuple[Tensor, Tensor]]):
    """Which samples to load, for a loop that loads them itself."""

    def __init__(self, samples: int) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return torch.tensor(index), torch.tensor(index % 100)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 with a residual connection."""

    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        middle = outside // 4
        self.body = nn.Sequential(
            nn.Conv2d(inside, middle, 1, bias=False), nn.BatchNorm2d(middle), nn.ReLU(inplace=True),
            nn.Conv2d(middle, middle, 3, stride, 1, bias=False), nn.BatchNorm2d(middle), nn.ReLU(inplace=True),
            nn.Conv2d(middle, outside, 1, bias=False), nn.BatchNorm2d(outside),
        )  # fmt: skip
        self.bridge: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.bridge = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x: Tensor) -> Tensor:
        """One block."""
        return F.relu(self.body(x) + self.bridge(x), inplace=True)


def network(args: argparse.Namespace) -> nn.Module:
    """A stem, four stages of bottlenecks, a classifier."""
    width = args.channels
    layers: list[nn.Module] = [nn.Conv2d(3, width // 4, 7, 2, 3, bias=False), nn.MaxPool2d(3, 2, 1)]
    inside = width // 4
    for stage, blocks in enumerate(args.stages):
        for block in range(blocks):
            layers.append(Bottleneck(inside, width << stage, 2 if block == 0 and stage else 1))
            inside = width << stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, 100))


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    torch.backends.cudnn.benchmark = args.tuned
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    with at.device:
        model: Any = network(args).to(memory_format=layout)  # type: ignore[call-overload]
    wrapped: Any = model
    if at.world > 1:
        wrapped = DistributedDataParallel(
            model,
            device_ids=[at.device] if at.cuda else None,
            static_graph=not args.broadcast,
            broadcast_buffers=args.broadcast,
        )
    run = compiled(args, wrapped)
    optimizer = optimizer_for(args, model.parameters())

    pictures = Images(1, args.size, args.views, args.io_ms, args.tail)

    def step(batch: Any) -> Tensor:
        if args.load == "loop":
            batch = [torch.stack([pictures[index][0] for index in batch[0].tolist()]), batch[1]]
        images, labels = to_device(args, at, batch)
        images = images.float().contiguous(memory_format=layout)
        with torch.autocast(at.device.type, torch.bfloat16, enabled=args.precision == "bf16"):
            loss = F.cross_entropy(run(images).float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def make_loader(batches: int) -> Any:
        samples = batches * args.batch * at.world
        if args.load == "loop":
            return loader_for(args, at, Indices(samples))
        return loader_for(args, at, Images(samples, args.size, args.views, args.io_ms, args.tail, args.compact))

    train(args, at, make_loader, step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--views", type=int, default=1, help="augmented views that a sample averages; 0: zeros")
    parser.add_argument("--io-ms", type=float, default=0.0)
    parser.add_argument("--tail", type=float, default=0.0, help="sigma of the lognormal work a sample")
    parser.add_argument("--compact", action="store_true", help="batches of bf16, converted on the device")
    parser.add_argument("--load", choices=["workers", "loop"], default="workers", help="who decodes the images")
    parser.add_argument("--broadcast", action=argparse.BooleanOptionalAction, default=False, help="buffers, every step")
    parser.add_argument("--tuned", action="store_true", help="let cuDNN try its algorithms")
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--stages", type=int, nargs="+", default=[3, 4, 6, 3])
    parser.add_argument("--channels-last", action=argparse.BooleanOptionalAction, default=False)
    args = parser.parse_args(argv)
    if TINY:
        args.size, args.channels, args.stages, args.batch = 32, 16, [1, 1], min(args.batch, 4)
        args.workers, args.views = min(args.workers, 4), min(args.views, 2)
    return args


if __name__ == "__main__":
    main()
