"""Train the denoising network of a diffusion model: a transformer on latents, or a U-Net with group norms."""

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
from torch.utils.checkpoint import checkpoint


class DiTBlock(nn.Module):
    """Attention and a perceptron, shifted, scaled and gated by what the step of the noise says."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = (nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.modulation = nn.Linear(width, 6 * width)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """Hidden states to hidden states."""
        batch, length, width = x.shape
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(F.silu(told))[:, None].chunk(6, -1)
        y = self.norm1(x) * (1 + scale1) + shift1
        q, k, v = self.qkv(y).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, width)
        x = x + gate1 * self.out(mixed)
        y = self.norm2(x) * (1 + scale2) + shift2
        result: Tensor = x + gate2 * self.down(F.gelu(self.up(y), approximate="tanh"))
        return result


def waves(times: Tensor, width: int) -> Tensor:
    """Sines and cosines of the time."""
    rates = torch.exp(-math.log(10000.0) * torch.arange(width // 2, device=times.device) / (width // 2))
    angles = times[:, None].float() * rates
    return torch.cat([angles.cos(), angles.sin()], -1)


class DiT(nn.Module):
    """Patches of 2x2 latents, blocks, the noise."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.width, self.recompute = args.width, args.recompute
        self.patches = nn.Conv2d(args.latents, args.width, 2, 2)
        self.position = nn.Parameter(torch.zeros((args.size // 2) ** 2, args.width))
        self.told = nn.Linear(args.width, args.width)
        self.blocks = nn.ModuleList(DiTBlock(args.width, args.heads) for _ in range(args.depth))
        self.head = nn.Linear(args.width, 4 * args.latents)

    def forward(self, noisy: Tensor, times: Tensor) -> Tensor:
        """Noise of (batch, latents, size, size)."""
        x = self.patches(noisy).flatten(2).transpose(1, 2) + self.position
        told = self.told(waves(times, self.width))
        for block in self.blocks:
            x = checkpoint(block, x, told, use_reentrant=False) if self.recompute else block(x, told)
        edge = noisy.shape[-1] // 2
        found: Tensor = F.pixel_shuffle(self.head(x).transpose(1, 2).unflatten(2, (edge, edge)), 2)
        return found


class Residual(nn.Module):
    """Group norm, SiLU and a 3x3 convolution, twice, told the time between them."""

    def __init__(self, inside: int, outside: int, told: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(8, inside), nn.GroupNorm(8, outside)
        self.conv1, self.conv2 = nn.Conv2d(inside, outside, 3, 1, 1), nn.Conv2d(outside, outside, 3, 1, 1)
        self.told = nn.Linear(told, outside)
        self.bridge = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """Images to images of the same size."""
        y = self.conv1(F.silu(self.norm1(x))) + self.told(F.silu(told))[:, :, None, None]
        result: Tensor = self.bridge(x) + self.conv2(F.silu(self.norm2(y)))
        return result


class UNet(nn.Module):
    """Residual blocks at three sizes down and up again, the noise."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.width = args.channels
        a, b, c = args.channels, 2 * args.channels, 4 * args.channels
        self.stem, self.head = nn.Conv2d(args.latents, a, 3, 1, 1), nn.Conv2d(a, args.latents, 3, 1, 1)
        self.told = nn.Linear(a, c)
        pairs = ((a, a), (a, b), (b, c), (c, c), (c + b, b), (b + a, a))
        self.blocks = nn.ModuleList(Residual(*pair, c) for pair in pairs)

    def forward(self, noisy: Tensor, times: Tensor) -> Tensor:
        """Noise of the shape of the images."""
        told = self.told(waves(times, self.width))
        first, second, third, middle, up, last = self.blocks
        x = first(self.stem(noisy), told)
        y = second(F.avg_pool2d(x, 2), told)
        z = middle(third(F.avg_pool2d(y, 2), told), told)
        z = up(torch.cat([F.interpolate(z, scale_factor=2), y], 1), told)
        noise: Tensor = self.head(last(torch.cat([F.interpolate(z, scale_factor=2), x], 1), told))
        return noise


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    with at.device:
        model: Any = UNet(args) if args.net == "unet" else DiT(args)
    model = model.to(memory_format=layout)
    compile_blocks(args, model.blocks)
    module = wrapped(args, at, model)
    run = compiled(args, module)
    optimizer = optimizer_for(args, model.parameters())
    averages = [part.detach().clone() for part in model.parameters()] if args.average else []
    draw = torch.Generator(at.device).manual_seed(at.rank)

    def loss_of(latents: Tensor, times: Tensor) -> Tensor:
        noise = torch.randn(latents.shape, device=at.device, generator=draw)
        share = (times / 1000.0)[:, None, None, None]
        noisy = ((1 - share) * latents + share * noise).contiguous(memory_format=layout)
        return F.mse_loss(run(noisy, times).float(), noise)

    update = Update(args, at, module, optimizer, loss_of)

    def step(batch: Any) -> Tensor:
        loss = update(batch)
        if averages:
            torch._foreach_lerp_(averages, [part.detach() for part in model.parameters()], 1e-3)
        return loss

    shape = (args.latents, args.size, args.size)

    def made(index: int) -> tuple[Tensor, Tensor]:
        return torch.full(shape, float(index % 7)), torch.tensor(index * 37 % 1000)

    train(args, at, lambda batches: loader_for(args, at, Samples(batches * args.batch * at.world, made)), step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--net", choices=["dit", "unet"], default="dit")
    parser.add_argument("--latents", type=int, default=4)
    parser.add_argument("--size", type=int, default=32, help="of the latents")
    parser.add_argument("--width", type=int, default=1536)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--channels", type=int, default=256, help="of the U-Net at its full size")
    parser.add_argument("--channels-last", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--recompute", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--average", action="store_true", help="keep a moving average of the parameters")
    args = parser.parse_args(argv)
    if TINY:
        args.size, args.width, args.depth, args.heads, args.channels = 8, 32, 2, 2, 8
        args.batch = min(args.batch, 4)
    return args


if __name__ == "__main__":
    main()
