"""Train a decoder on texts of which every rank has a part: it gathers the keys and values of all in every layer."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from common import TINY, Place, options, place, train
from models import Tokens
from parts import step_for
from steps import step_options
from torch import Tensor, nn
from torch.nn.attention.bias import causal_lower_right
from torch.utils.data import DataLoader


class Gather(torch.autograd.Function):
    """What all ranks have, one behind the other; gradients are summed where they belong."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """(parts, ...) to (ranks * parts, ...)."""
        found = x.new_empty((dist.get_world_size() * len(x), *x.shape[1:]))
        dist.all_gather_into_tensor(found, x.contiguous())
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The sum of the gradients of this rank's part."""
        found = gradient.new_empty((len(gradient) // dist.get_world_size(), *gradient.shape[1:]))
        dist.reduce_scatter_tensor(found, gradient.contiguous())
        return found


class Parts:
    """Which parts of a text are whose: neighbours, or one from the front and one from the back."""

    def __init__(self, args: argparse.Namespace, at: Place) -> None:
        world = at.world
        pairs = [(2 * rank, 2 * rank + 1) for rank in range(world)]
        if args.order == "folded":
            pairs = [(rank, 2 * world - 1 - rank) for rank in range(world)]
        self.own, self.size = pairs[at.rank], args.seq // (2 * world)
        everything = [part for pair in pairs for part in pair]
        self.places = [everything.index(part) for part in range(2 * world)]

    def of(self, x: Tensor) -> Tensor:
        """The own part of (batch, length, ...)."""
        return torch.cat([x[:, part * self.size : (part + 1) * self.size] for part in self.own], 1)


class Block(nn.Module):
    """Attention of the own words to all before them, with grouped heads, and a gated perceptron."""

    def __init__(self, args: argparse.Namespace, parts: Parts) -> None:
        super().__init__()
        self.parts, self.heads, self.groups = parts, args.heads, args.kv_heads
        self.norm1, self.norm2 = nn.RMSNorm(args.width), nn.RMSNorm(args.width)
        size = args.width // args.heads
        self.q, self.kv = nn.Linear(args.width, args.width), nn.Linear(args.width, 2 * args.kv_heads * size)
        self.out, self.enter = nn.Linear(args.width, args.width), nn.Linear(args.width, 2 * args.hidden)
        self.leave = nn.Linear(args.hidden, args.width)

    def forward(self, x: Tensor) -> Tensor:
        """Hidden states to hidden states."""
        y = self.norm1(x)
        x = x + self.out(self._mixed(self.q(y), self.kv(y)).to(x.dtype))
        value, gate = self.enter(self.norm2(x)).chunk(2, -1)
        z: Tensor = x + self.leave(value * F.silu(gate))
        return z

    def _mixed(self, q: Tensor, kv: Tensor) -> Tensor:
        batch, length, width = q.shape
        half, size = length // 2, self.parts.size
        kv = kv.view(batch, 2, half, 2, self.groups, -1).permute(1, 3, 0, 4, 2, 5)  # parts, k and v, batch, heads
        everything: Tensor = Gather.apply(kv.to(torch.bfloat16))  # type: ignore[no-untyped-call]
        k, v = torch.cat([everything[place] for place in self.parts.places], 3)
        k, v = (part.repeat_interleave(self.heads // self.groups, 1) for part in (k, v))
        found = []
        for part, mine in zip(self.parts.own, q.to(torch.bfloat16).chunk(2, 1), strict=True):
            end = (part + 1) * size
            mine = mine.view(batch, half, self.heads, -1).transpose(1, 2)
            mask: Any = causal_lower_right(half, end)
            found.append(F.scaled_dot_product_attention(mine, k[:, :, :end], v[:, :, :end], mask))
        return torch.cat(found, 2).transpose(1, 2).reshape(batch, length, width)


class Decoder(nn.Module):
    """Whole texts to the mean cross-entropy of this rank's words."""

    def __init__(self, args: argparse.Namespace, parts: Parts) -> None:
        super().__init__()
        self.parts = parts
        self.token, self.position = nn.Embedding(args.vocab, args.width), nn.Embedding(args.seq, args.width)
        self.blocks = nn.ModuleList(Block(args, parts) for _ in range(args.layers))
        self.norm, self.head = nn.RMSNorm(args.width), nn.Linear(args.width, args.vocab, bias=False)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        """The mean over the own words."""
        x = self.token(self.parts.of(ids)) + self.parts.of(self.position.weight[None])
        for block in self.blocks:
            x = block(x)
        return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1).float(), self.parts.of(targets).flatten())


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model = Decoder(args, Parts(args, at))

    def make_loader(batches: int) -> Any:
        data = Tokens(batches * args.batch, args.seq, args.vocab)  # all ranks need the same batches
        return DataLoader(data, args.batch, num_workers=args.workers, pin_memory=at.cuda, drop_last=True)

    train(args, at, make_loader, step_for(args, at, model))


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--kv-heads", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=4096)
    parser.add_argument("--seq", type=int, default=16384, help="of all ranks together")
    parser.add_argument("--vocab", type=int, default=8192)
    parser.add_argument("--order", choices=["neighbours", "folded"], default="neighbours", help="of a text's parts")
    args = parser.parse_args(argv)
    if TINY:
        args.layers, args.width, args.heads, args.kv_heads, args.hidden = 1, 32, 4, 2, 48
        args.seq, args.vocab, args.batch = 32, 256, min(args.batch, 2)
    return args


if __name__ == "__main__":
    main()
