"""Train a vision transformer, a U-Net or a network of depthwise convolutions on images."""

from __future__ import annotations

import argparse
import math
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, compiled, loader_for, optimizer_for, options, place, to_device, train
from convnet import Images
from ranks import rank_options, wrapped
from torch import Tensor, nn

CLASSES = 10


class ViTBlock(nn.Module):
    """Attention over patches, fused or written out, and a perceptron."""

    def __init__(self, width: int, heads: int, written: bool) -> None:
        super().__init__()
        self.heads, self.written = heads, written
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.body = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Patches to patches."""
        batch, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if self.written:
            scores = (q @ k.transpose(-1, -2)) * (1 / math.sqrt(width // self.heads))
            mixed = scores.softmax(-1).to(v.dtype) @ v
        else:
            mixed = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        y: Tensor = x + self.body(self.norm2(x))
        return y


class ViT(nn.Module):
    """Patches, blocks, the mean, a classifier."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, args.width, args.patch, args.patch)
        self.position = nn.Parameter(torch.zeros((args.size // args.patch) ** 2, args.width))
        written = args.attention == "written"
        self.blocks = nn.Sequential(*(ViTBlock(args.width, args.heads, written) for _ in range(args.depth)))
        self.norm, self.head = nn.LayerNorm(args.width), nn.Linear(args.width, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """A score for every class."""
        x = self.patches(images).flatten(2).transpose(1, 2) + self.position
        scores: Tensor = self.head(self.norm(self.blocks(x)).mean(1))
        return scores


def twice(inside: int, outside: int) -> nn.Sequential:
    """Two 3x3 convolutions with batch norm."""
    parts: list[nn.Module] = []
    for channels in (inside, outside):
        parts += [nn.Conv2d(channels, outside, 3, 1, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)]
    return nn.Sequential(*parts)


class UNet(nn.Module):
    """Down and up again with bridges between; a score for every class at every pixel."""

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__()
        sizes = [channels << level for level in range(levels + 1)]
        self.downs = nn.ModuleList(twice(a, b) for a, b in zip([3, *sizes], sizes, strict=False))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(2 * a, a, 2, 2) for a in reversed(sizes[:-1]))
        self.joins = nn.ModuleList(twice(2 * a, a) for a in reversed(sizes[:-1]))
        self.head = nn.Conv2d(channels, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of (batch, classes, height, width)."""
        bridges: list[Tensor] = []
        for level, down in enumerate(self.downs):
            x = down(F.max_pool2d(x, 2) if level else x)
            bridges.append(x)
        bridges.pop()
        for up, join in zip(self.ups, self.joins, strict=True):
            x = join(torch.cat([up(x), bridges.pop()], 1))
        scores: Tensor = self.head(x)
        return scores


class Depthwise(nn.Module):
    """7x7 a channel, then a perceptron over the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 7, 1, 3, groups=channels), nn.BatchNorm2d(channels),
            nn.Conv2d(channels, 4 * channels, 1), nn.GELU(), nn.Conv2d(4 * channels, channels, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """One block."""
        y: Tensor = self.body(x)
        return x + y


def depthwise(channels: int, stages: list[int]) -> nn.Module:
    """A stem, stages that halve the image, a classifier."""
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 4, 4)]
    for stage, blocks in enumerate(stages):
        if stage:
            layers.append(nn.Conv2d(channels << (stage - 1), channels << stage, 2, 2))
        layers += [Depthwise(channels << stage) for _ in range(blocks)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels << (len(stages) - 1), 10))


def network(args: argparse.Namespace) -> nn.Module:
    """The network that the options name."""
    if args.net == "vit":
        return ViT(args)
    return UNet(args.channels, len(args.stages)) if args.net == "unet" else depthwise(args.channels, args.stages)


def overlap(scores: Tensor, wanted: Tensor) -> float:
    """Mean intersection over union, image by image and class by class, on the host."""
    found, wanted = scores.argmax(1).cpu(), wanted.cpu()
    ratios: list[float] = []
    for image, truth in zip(found, wanted, strict=True):
        for kind in range(CLASSES):
            mine, theirs = image == kind, truth == kind
            union = int((mine | theirs).sum())
            if union:
                ratios.append(int((mine & theirs).sum()) / union)
    return sum(ratios) / max(1, len(ratios))


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    torch.backends.cudnn.benchmark = args.tuned
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    with at.device:
        model: Any = network(args).to(memory_format=layout)  # type: ignore[call-overload]
    run = compiled(args, wrapped(args, at, model))
    optimizer = optimizer_for(args, model.parameters())
    log: list[float] = []
    done = 0

    def scored(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        wanted = labels % CLASSES
        if args.net == "unet":
            wanted = wanted[:, None, None].expand(-1, args.size, args.size).contiguous()
        with torch.autocast(at.device.type, torch.bfloat16, enabled=args.precision == "bf16"):
            return run(images.contiguous(memory_format=layout)), wanted

    def step(batch: Any) -> Tensor:
        nonlocal done
        images, labels = to_device(args, at, batch)
        scores, wanted = scored(images, labels)
        loss = F.cross_entropy(scores.float(), wanted)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        done += 1
        if args.overlap_every and done % args.overlap_every == 0:
            log[:] = [overlap(scores.detach(), wanted)]
        if args.evaluate_every and done % args.evaluate_every == 0:
            evaluate(images, labels)
        return loss.detach()

    def evaluate(images: Tensor, labels: Tensor) -> None:
        model.eval()
        with torch.no_grad():
            pairs = [scored(images, labels) for _ in range(args.evaluate_batches)]
        log[:] = [sum(float(F.cross_entropy(scores.float(), wanted)) for scores, wanted in pairs)]
        model.train()

    def make_loader(batches: int) -> Any:
        samples = batches * args.batch * at.world
        return loader_for(args, at, Images(samples, args.size, args.views, args.io_ms, args.tail))

    train(args, at, make_loader, step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    rank_options(parser)
    parser.add_argument("--net", choices=["vit", "unet", "depthwise"], default="vit")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--patch", type=int, default=14)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--attention", choices=["sdpa", "written"], default="sdpa")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--stages", type=int, nargs="+", default=[3, 3, 9, 3], help="blocks; of a U-Net only how many")
    parser.add_argument("--channels-last", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--tuned", action="store_true", help="let cuDNN try its algorithms")
    parser.add_argument("--views", type=int, default=0, help="augmented views that a sample averages; 0: zeros")
    parser.add_argument("--io-ms", type=float, default=0.0)
    parser.add_argument("--tail", type=float, default=0.0, help="sigma of the lognormal work a sample")
    parser.add_argument("--overlap-every", type=int, default=0, help="steps between metrics computed on the host")
    parser.add_argument("--evaluate-every", type=int, default=0)
    parser.add_argument("--evaluate-batches", type=int, default=8)
    args = parser.parse_args(argv)
    if TINY:
        args.size, args.patch, args.width, args.depth, args.heads = 32, 8, 32, min(args.depth, 2), 2
        args.channels, args.stages, args.batch, args.views = 8, [1, 1], min(args.batch, 4), min(args.views, 1)
        args.workers, args.evaluate_batches = min(args.workers, 4), 2
    return args


if __name__ == "__main__":
    main()
