"""Train two networks against each other: an optimizer for each, both in every step."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, compiled, loader_for, optimizer_for, options, place, to_device, train
from convnet import Images
from torch import Tensor, nn

NOISE = 128


def generator(channels: int, doublings: int) -> nn.Module:
    """Noise to images of 4 << doublings pixels an edge."""
    wide = channels << (doublings - 1)
    layers: list[nn.Module] = [nn.ConvTranspose2d(NOISE, wide, 4), nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
    for _ in range(doublings - 1):
        layers += [nn.ConvTranspose2d(wide, wide // 2, 4, 2, 1), nn.BatchNorm2d(wide // 2), nn.ReLU(inplace=True)]
        wide //= 2
    return nn.Sequential(*layers, nn.ConvTranspose2d(wide, 3, 4, 2, 1), nn.Tanh())


def discriminator(channels: int, doublings: int) -> nn.Module:
    """Images to one score."""
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 4, 2, 1), nn.LeakyReLU(0.2)]
    for _ in range(doublings - 1):
        layers += [nn.Conv2d(channels, 2 * channels, 4, 2, 1), nn.BatchNorm2d(2 * channels), nn.LeakyReLU(0.2)]
        channels *= 2
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, 4), nn.Flatten())


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    doublings = (args.size // 4).bit_length() - 1
    with at.device:
        models: list[Any] = [generator(args.channels, doublings), discriminator(args.channels, doublings)]
    models = [model.to(memory_format=torch.channels_last) for model in models]
    make, judge = (compiled(args, model) for model in models)
    makes, judges = (optimizer_for(args, model.parameters()) for model in models)
    half = args.precision == "bf16"

    def step(batch: Any) -> Tensor:
        images, _ = to_device(args, at, batch)
        images = images.contiguous(memory_format=torch.channels_last)
        noise = torch.randn(len(images), NOISE, 1, 1, device=at.device)
        with torch.autocast(at.device.type, torch.bfloat16, enabled=half):
            made = make(noise)
            real, false = judge(images).float(), judge(made.detach()).float()
        doubt = F.softplus(-real).mean() + F.softplus(false).mean()
        doubt.backward()
        judges.step()
        with torch.autocast(at.device.type, torch.bfloat16, enabled=half):
            shown = judge(made).float()
        loss = F.softplus(-shown).mean()
        loss.backward()
        makes.step()
        judges.zero_grad(set_to_none=True)
        makes.zero_grad(set_to_none=True)
        return loss.detach()

    train(args, at, lambda batches: loader_for(args, at, Images(batches * args.batch, args.size, 0, 0.0, 0.0)), step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--channels", type=int, default=128)
    args = parser.parse_args(argv)
    if TINY:
        args.size, args.channels, args.batch = 16, 4, min(args.batch, 4)
    return args


if __name__ == "__main__":
    main()
