"""Train on raw sound: convolutions over time with norms of the channels, a transformer, letters by CTC."""

from __future__ import annotations

import argparse
import random
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from common import TINY, options, place, train
from models import Block
from parts import sample_loader, step_for
from steps import step_options
from torch import Tensor, nn

RATE, LETTERS, SPOKEN = 16000, 32, 40
STRIDES = (5, 2, 2, 2, 2, 2, 2)
LENGTHS = 12
"""Lengths that sounds have in turn; as many steps are a period."""
AROUND = 21
"""Batches after which decoding takes as long again; odd, so that every worker meets each of them in turn."""


class Sounds:
    """Sound by number, decoded piece by piece where the options say so, and its letters."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.length = args, args.seconds * RATE
        self.stored = np.random.default_rng(2).standard_normal(self.length, dtype=np.float32)
        draw = random.Random(9)
        self.pieces = [args.decode * draw.lognormvariate(0.0, args.tail) for _ in range(AROUND * args.batch)]

    def __call__(self, index: int) -> tuple[Tensor, Tensor]:
        """(samples,) and (letters,)."""
        letters = torch.randint(1, LETTERS, (SPOKEN,), generator=torch.Generator().manual_seed(index))
        sound = self.stored
        for _ in range(round(self.pieces[index % len(self.pieces)])):
            spectrum = np.fft.rfft(sound[: 2 * RATE])
            sound = np.concatenate([np.fft.irfft(spectrum).astype(np.float32), sound[2 * RATE :]])
        return torch.from_numpy(sound), letters


class Front(nn.Module):
    """A convolution over time, a norm of the channels at every moment, GELU."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(inside, outside, kernel, stride), nn.LayerNorm(outside)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, moments) to fewer moments."""
        y: Tensor = self.norm(self.conv(x).transpose(1, 2)).transpose(1, 2)
        return F.gelu(y)


class Listener(nn.Module):
    """Sounds and letters to the mean loss of all ways to say them."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        kernels = (10, 3, 3, 3, 3, 2, 2)
        inside = (1, *[args.channels] * 6)
        self.blocks = nn.ModuleList(
            Front(*one) for one in zip(inside, [args.channels] * 7, kernels, STRIDES, strict=True)
        )
        self.enter = nn.Linear(args.channels, args.width)
        self.layers = nn.ModuleList(Block(args, causal=False) for _ in range(args.layers))
        self.norm, self.head = nn.LayerNorm(args.width), nn.Linear(args.width, LETTERS)

    def forward(self, sounds: Tensor, letters: Tensor) -> Tensor:
        """The mean over the letters."""
        x = sounds[:, None]
        for block in self.blocks:
            x = block(x)
        x = self.enter(x.transpose(1, 2))
        for layer in self.layers:
            x = layer(x)
        chances = self.head(self.norm(x)).float().log_softmax(-1).transpose(0, 1)
        heard, said = [len(chances)] * len(sounds), [letters.shape[1]] * len(sounds)
        loss: Tensor = F.ctc_loss(chances, letters, heard, said, zero_infinity=True)  # type: ignore[arg-type]
        return loss


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Listener(args)
    longest = args.seconds * RATE
    lengths = [longest * (LENGTHS + 3 * number + 3) // (4 * LENGTHS) for number in range(LENGTHS)]
    random.Random(at.rank if args.lengths == "apart" else 0).shuffle(lengths)
    seen = 0

    def loss_of(sounds: Tensor, letters: Tensor) -> Tensor:
        nonlocal seen
        length = longest if args.lengths == "full" else lengths[seen % LENGTHS]
        seen += 1
        loss: Tensor = step.module(sounds[:, :length], letters)
        return loss

    step = step_for(args, at, model, loss_of)
    train(args, at, sample_loader(args, at, Sounds(args)), step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--channels", type=int, default=512)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--decode", type=float, default=0.0, help="pieces of a sound that are decoded, in the middle")
    parser.add_argument("--tail", type=float, default=0.0, help="sigma of how many pieces there are, lognormal")
    parser.add_argument("--lengths", choices=["full", "apart", "together"], default="full", help="of the ranks")
    parser.set_defaults(attention="sdpa", casts=False, activation="gelu")
    args = parser.parse_args(argv)
    if TINY:
        args.seconds, args.channels, args.layers, args.width, args.heads = 3, 8, 1, 32, 2
        args.batch, args.decode = min(args.batch, 2), min(args.decode, 1.0)
    return args


if __name__ == "__main__":
    main()
