"""Train an encoder-decoder on pairs of texts, whose lengths differ from step to step and from rank to rank."""

from __future__ import annotations

import argparse
import contextlib
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, compiled, optimizer_for, options, place, to_device, train
from models import Attention, token_loader
from ranks import rank_options, wrapped
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

LENGTHS = (1.0, 1.0, 0.25, 0.375, 0.875, 0.3125, 0.25, 0.9375, 0.25, 1.0, 0.3125, 0.25)
"""Of the batches, one after the other, as shares of the longest."""
SHIFT = 5
"""The second rank reads the same lengths so many batches later."""


class Cross(nn.Module):
    """Attention of one sequence to another."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.kv, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """Hidden states of the target to the same."""
        batch, length, width = x.shape
        q = self.q(x).view(batch, length, self.heads, -1).transpose(1, 2)
        k, v = self.kv(source).view(batch, source.shape[1], 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        y: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return y


class Layer(nn.Module):
    """A layer of the encoder, or one of the decoder, which looks at the source too."""

    def __init__(self, args: argparse.Namespace, decodes: bool) -> None:
        super().__init__()
        width = args.width
        self.attention = Attention(args, causal=decodes)
        self.cross = Cross(width, args.heads) if decodes else None
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3 if decodes else 2))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        """Hidden states to hidden states."""
        x = x + self.attention(self.norms[0](x))
        if self.cross is not None and source is not None:
            x = x + self.cross(self.norms[1](x), source)
        y: Tensor = x + self.down(F.relu(self.up(self.norms[-1](x))))
        return y


class Pairs(nn.Module):
    """Source and target to the mean cross-entropy of the target."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(args.vocab, args.width), nn.Embedding(args.seq, args.width)
        self.encoder = nn.ModuleList(Layer(args, decodes=False) for _ in range(args.layers))
        self.decoder = nn.ModuleList(Layer(args, decodes=True) for _ in range(args.layers))
        self.norm, self.head = nn.LayerNorm(args.width), nn.Linear(args.width, args.vocab, bias=False)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Mean cross-entropy of the words after each."""
        x, y = (self.token(ids) + self.position.weight[: ids.shape[1]] for ids in (source, target[:, :-1]))
        for layer in self.encoder:
            x = layer(x)
        for layer in self.decoder:
            y = layer(y, x)
        return F.cross_entropy(self.head(self.norm(y)).flatten(0, 1).float(), target[:, 1:].flatten())


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Pairs(args)
    ddp = wrapped(args, at, model)
    run = compiled(args, ddp)
    optimizer = optimizer_for(args, model.parameters())
    micro = 0

    def step(batch: Any) -> Tensor:
        nonlocal micro
        share = 1.0
        if args.lengths != "equal":
            share = LENGTHS[(micro + (SHIFT * at.rank if args.lengths == "apart" else 0)) % len(LENGTHS)]
        micro += 1
        last = micro % args.accumulate == 0
        length = round(share * args.seq)
        source, target = (part[:, :length] for part in to_device(args, at, batch))
        held_back = isinstance(ddp, DistributedDataParallel) and args.reduce_at == "last" and not last
        with ddp.no_sync() if held_back else contextlib.nullcontext():
            with torch.autocast(at.device.type, torch.bfloat16, enabled=args.precision == "bf16"):
                loss = run(source, target[:, : length // 2 + 1]) / args.accumulate
            loss.backward()
        if last:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        detached: Tensor = loss.detach()
        return detached

    train(args, at, token_loader(args, at), step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    rank_options(parser)
    parser.add_argument("--layers", type=int, default=3, help="of the encoder, and as many of the decoder")
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--seq", type=int, default=1024, help="longest source; a target has half of it")
    parser.add_argument("--vocab", type=int, default=32128)
    parser.add_argument("--lengths", choices=["equal", "together", "apart"], default="equal", help="over the ranks")
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--reduce-at", choices=["every", "last"], default="last", help="micro-steps that reduce")
    parser.set_defaults(attention="sdpa", casts=False)
    args = parser.parse_args(argv)
    if TINY:
        args.layers, args.width, args.heads, args.seq, args.vocab = 1, 32, 2, 32, 256
        args.batch = min(args.batch, 4)
    return args


if __name__ == "__main__":
    main()
