"""Train a speech encoder with a convolution front end: features from waveforms, words of frames or of a lattice."""

from __future__ import annotations

import argparse
import random
import time
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, Place, compiled, loader_for, optimizer_for, options, place, train
from ranks import wrapped
from steps import Samples, Update, compile_blocks, compiled_function, step_options
from torch import Tensor, nn

RATE, HOP, WINDOW, MELS = 16000, 160, 400, 80
SHORTER = 4
"""Frames that the front end makes one of."""
COLD_OF = 21
"""Batches in which so many samples are cold as the options say; odd, so that every worker meets them in turn."""


class Sounds:
    """Sample by number: log-mel features, made of a waveform or stored, and its words."""

    def __init__(self, args: argparse.Namespace, at: Place) -> None:
        self.args, self.frames = args, args.frames
        draw = torch.Generator().manual_seed(3)
        self.wave = torch.randn(2 * self.frames * HOP + RATE, generator=draw)
        self.bank = torch.rand(WINDOW // 2 + 1, MELS, generator=draw)
        self.window = torch.hann_window(WINDOW)
        self.stored = torch.randn(self.frames, MELS, generator=draw)
        self.around = COLD_OF * args.batch * at.world
        self.cold = set(random.Random(5).sample(range(self.around), args.cold * at.world))

    def __call__(self, index: int) -> tuple[Tensor, Tensor]:
        """Features of (frames, mels) and words."""
        args = self.args
        if args.store_ms or index % self.around in self.cold:
            time.sleep((args.cold_ms if index % self.around in self.cold else args.store_ms) / 1000)
        count = args.words or self.frames // SHORTER
        words = torch.randint(min(args.vocab, 100), (count,), generator=torch.Generator().manual_seed(index))
        return (self.stored if args.features == "stored" else self._features(index)), words

    def _features(self, index: int) -> Tensor:
        draw = random.Random(index)
        faster = 0.9 + 0.2 * draw.random()
        begin, length = draw.randrange(RATE), int(self.frames * HOP * faster)
        wave = self.wave[begin : begin + length] + 0.01 * torch.randn(length)
        wave = F.interpolate(wave[None, None], size=self.frames * HOP, mode="linear")[0, 0]
        spectrum = torch.stft(wave, WINDOW, HOP, window=self.window, return_complex=True).abs().square()
        mels = (spectrum.T[: self.frames] @ self.bank).clamp_min(1e-6).log()
        mels = (mels - mels.mean(0)) / mels.std(0)
        at = draw.randrange(MELS - 10)
        mels[:, at : at + 10] = 0.0
        return mels


class Block(nn.Module):
    """Half a perceptron, attention, a convolution over time, half a perceptron."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(5))
        self.first, self.second = (
            nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width)) for _ in range(2)
        )
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.enter, self.leave = nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.over_time, self.norm = nn.Conv1d(width, width, 15, padding=7, groups=width), nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Frames to frames."""
        batch, length, width = x.shape
        x = x + 0.5 * self.first(self.norms[0](x))
        q, k, v = self.qkv(self.norms[1](x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, width))
        y = F.glu(self.enter(self.norms[2](x))).transpose(1, 2)
        x = x + self.leave(F.silu(self.norm(self.over_time(y))).transpose(1, 2))
        result: Tensor = self.norms[4](x + 0.5 * self.second(self.norms[3](x)))
        return result


class Encoder(nn.Module):
    """Features of (batch, frames, mels) to a quarter of the frames."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.front = nn.Sequential(
            nn.Conv2d(1, args.channels, 3, 2, 1), nn.ReLU(), nn.Conv2d(args.channels, args.channels, 3, 2, 1), nn.ReLU()
        )
        self.enter = nn.Linear(args.channels * MELS // 4, args.width)
        self.blocks = nn.Sequential(*(Block(args.width, args.heads) for _ in range(args.layers)))

    def forward(self, features: Tensor) -> Tensor:
        """Hidden states of (batch, frames / 4, width)."""
        x: Tensor = self.blocks(self.enter(self.front(features[:, None]).transpose(1, 2).flatten(2)))
        return x


class Recognizer(nn.Module):
    """Features and words to a loss: of every frame, or of every cell of the lattice of frames and words."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.encoder = Encoder(args)
        self.head = nn.Linear(args.joint if args.words else args.width, args.vocab, bias=False)
        self.narrow = nn.Linear(args.width, args.joint) if args.words else None
        self.before = nn.Embedding(args.vocab, args.joint) if args.words else None
        self.lattice: Any = compiled_function(lattice_loss) if args.loss == "fused" else lattice_loss

    def forward(self, features: Tensor, words: Tensor) -> Tensor:
        """The mean loss."""
        x = self.encoder(features)
        if self.narrow is not None and self.before is not None:
            loss: Tensor = self.lattice(self.narrow(x), self.before(words), self.head.weight, words)
            return loss
        return F.cross_entropy(self.head(x).flatten(0, 1).float(), words[:, : x.shape[1]].flatten())


def lattice_loss(heard: Tensor, said: Tensor, weight: Tensor, words: Tensor) -> Tensor:
    """Mean cross-entropy of the next word at every pair of a frame and a word before it."""
    both = torch.tanh(heard[:, :, None] + said[:, None])
    wanted = words[:, None].expand(-1, heard.shape[1], -1)
    return F.cross_entropy(F.linear(both, weight).flatten(0, 2).float(), wanted.flatten())


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Recognizer(args)
    compile_blocks(args, model.encoder.blocks)
    module = wrapped(args, at, model)
    run = compiled(args, module)
    optimizer = optimizer_for(args, model.parameters())
    lengths, seen = random.Random(5), 0

    def loss_of(features: Tensor, words: Tensor) -> Tensor:
        nonlocal seen
        seen += 1
        full = features.shape[1]
        length = lengths.randrange(full // 2, full, SHORTER) if args.ragged != "none" and seen > 4 else full
        if args.ragged == "bucketed":
            length = -(-length * 4 // full) * full // 4  # rounded up to a quarter of the longest
        if args.ragged == "padded":
            length = full
        loss: Tensor = run(features[:, :length].contiguous(), words)
        return loss

    sounds = Sounds(args, at)

    def make_loader(batches: int) -> Any:
        return loader_for(args, at, Samples(batches * args.batch * at.world, sounds))

    train(args, at, make_loader, Update(args, at, module, optimizer, loss_of))


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--frames", type=int, default=800, help="of 10 ms")
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--vocab", type=int, default=1024)
    parser.add_argument("--features", choices=["stored", "made"], default="stored", help="made: of waveforms")
    parser.add_argument("--store-ms", type=float, default=0.0, help="that a sample waits for the store")
    parser.add_argument("--cold", type=int, default=0, help=f"samples of {COLD_OF} batches that wait for --cold-ms")
    parser.add_argument("--cold-ms", type=float, default=0.0)
    parser.add_argument("--ragged", choices=["none", "random", "bucketed", "padded"], default="none")
    parser.add_argument("--words", type=int, default=0, help="of a text scored at every frame; 0: none")
    parser.add_argument("--joint", type=int, default=512, help="width of a cell of the lattice")
    parser.add_argument("--loss", choices=["plain", "fused"], default="plain", help="of the lattice")
    args = parser.parse_args(argv)
    if TINY:
        args.frames, args.channels, args.layers, args.width, args.heads = 64, 4, 1, 32, 2
        args.vocab, args.joint, args.words, args.batch = 64, 16, min(args.words, 6), min(args.batch, 4)
        args.cold_ms = min(args.cold_ms, 5.0)
    return args


if __name__ == "__main__":
    main()
