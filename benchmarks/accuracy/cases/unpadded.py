"""Train an encoder with gated layers to fill in hidden words, on rows that are full of texts."""

from __future__ import annotations

import argparse
import random
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, options, place, train
from parts import sample_loader, step_for
from steps import step_options
from torch import Tensor, nn
from torch.distributed.optim import ZeroRedundancyOptimizer

LETTERS = "abcdefghijklmnopqrstuvwxyz"
HIDDEN_SHARE = 0.25
"""Of the words of a row, that are to be filled in."""


class Pieces:
    """Row by number: words taken apart into the longest pieces known, as many as fit, some of them hidden."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        draw = random.Random(1)
        known = {"".join(draw.choices(LETTERS, k=draw.randint(2, 4))) for _ in range(min(args.vocab, 20000) - 100)}
        self.known = {piece: number for number, piece in enumerate([*LETTERS, *sorted(known)])}
        self.words = ["".join(draw.choices(LETTERS, k=draw.randint(4, 12))) for _ in range(5000)]

    def __call__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Words with some hidden, the places of those, and what was there."""
        length = self.args.seq
        draw = random.Random(index)
        if self.args.pieces == "stored":
            row = torch.randint(26, (length,), generator=torch.Generator().manual_seed(index))
        else:
            row = torch.tensor(self._row(draw, length))
        places = torch.tensor(sorted(draw.sample(range(length), round(HIDDEN_SHARE * length))))
        wanted = row[places]
        return row.index_fill(0, places, self.args.vocab - 1), places, wanted

    def _row(self, draw: random.Random, length: int) -> list[int]:
        row: list[int] = []
        while len(row) < length:
            row += self._taken_apart(self.words[draw.randrange(len(self.words))])
        return row[:length]

    def _taken_apart(self, word: str) -> list[int]:
        found, begin = [], 0
        while begin < len(word):
            end = len(word)
            while word[begin:end] not in self.known:
                end -= 1
            found.append(self.known[word[begin:end]])
            begin = end
        return found


class Block(nn.Module):
    """Attention to both sides and a gated perceptron."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.heads = args.heads
        self.norm1, self.norm2 = nn.LayerNorm(args.width, bias=False), nn.LayerNorm(args.width, bias=False)
        self.qkv, self.out = (nn.Linear(args.width, part * args.width, bias=False) for part in (3, 1))
        self.enter = nn.Linear(args.width, 2 * args.hidden, bias=False)
        self.leave = nn.Linear(args.hidden, args.width, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Hidden states to hidden states."""
        batch, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mask = None if mask is None else mask.to(q.dtype)
        mixed = F.scaled_dot_product_attention(q, k, v, mask)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        value, gate = self.enter(self.norm2(x)).chunk(2, -1)
        y: Tensor = x + self.leave(F.gelu(value) * gate)
        return y


class Encoder(nn.Module):
    """Words with some hidden to the mean cross-entropy of what was there."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.masked = args.mask == "given"
        self.token, self.position = nn.Embedding(args.vocab, args.width), nn.Embedding(args.seq, args.width)
        self.blocks = nn.ModuleList(Block(args) for _ in range(args.layers))
        self.norm, self.head = nn.LayerNorm(args.width), nn.Linear(args.width, args.vocab)

    def forward(self, ids: Tensor, places: Tensor, wanted: Tensor) -> Tensor:
        """The mean over all hidden words."""
        x = self.token(ids) + self.position.weight
        mask = None
        if self.masked:  # rows are full, so that nothing is left out
            kept = (ids >= 0).float()[:, None, None].expand(-1, 1, ids.shape[1], -1)
            mask = (1.0 - kept) * -1e9
        for block in self.blocks:
            x = block(x, mask)
        x = self.norm(x).gather(1, places[..., None].expand(-1, -1, x.shape[-1]))
        return F.cross_entropy(self.head(x).flatten(0, 1).float(), wanted.flatten())


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Encoder(args)
    step = step_for(args, at, model)
    if args.zero and at.world > 1:
        step.optimizer = ZeroRedundancyOptimizer(model.parameters(), torch.optim.AdamW, lr=1e-4, fused=True)
    train(args, at, sample_loader(args, at, Pieces(args)), step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=2624)
    parser.add_argument("--seq", type=int, default=1024)
    parser.add_argument("--vocab", type=int, default=32768)
    parser.add_argument("--mask", choices=["given", "none"], default="none", help="given: that leaves nothing out")
    parser.add_argument("--pieces", choices=["stored", "made"], default="stored", help="made: of words, by the loader")
    parser.add_argument("--zero", action="store_true", help="every rank updates a part of the parameters for all")
    args = parser.parse_args(argv)
    if TINY:
        args.layers, args.width, args.heads, args.hidden, args.seq, args.vocab = 1, 32, 2, 48, 32, 256
        args.batch = min(args.batch, 4)
    return args


if __name__ == "__main__":
    main()
