"""Train a decoder whose experts live on different ranks: tokens are sent to them and back in every layer."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from common import TINY, Place, optimizer_for, options, place, train
from models import Attention, Decoder, token_loader
from ranks import wrapped
from steps import Update, step_options
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


class Exchange(torch.autograd.Function):
    """Rows to the ranks that they are for; gradients take the way back."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, sent: list[int], received: list[int]) -> Tensor:
        """Rows of this rank to rows for this rank."""
        ctx.sent, ctx.received = sent, received
        return exchanged(rows, sent, received)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Gradients of what came to gradients of what was sent."""
        return exchanged(gradient, ctx.received, ctx.sent), None, None


def exchanged(rows: Tensor, sent: list[int], received: list[int]) -> Tensor:
    """Rows sent to every rank in turn, for those that come from every rank in turn."""
    result = rows.new_empty((sum(received), rows.shape[1]))
    dist.all_to_all_single(result, rows.contiguous(), received, sent)
    return result


class Expert(nn.Module):
    """One perceptron."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Rows to rows."""
        y: Tensor = self.down(F.gelu(self.up(x)))
        return y


class Routed(nn.Module):
    """The tokens that the router likes most go to the first rank, the others to the second; each has some experts."""

    def __init__(self, args: argparse.Namespace, at: Place) -> None:
        super().__init__()
        self.at, self.share, self.copies = at, args.share, args.copies
        self.router = nn.Linear(args.width, args.copies)
        self.experts = nn.ModuleList(Expert(args.width, args.hidden) for _ in range(args.experts))

    def forward(self, x: Tensor) -> Tensor:
        """Hidden states to hidden states."""
        rows = x.flatten(0, 1).repeat(self.copies, 1)
        weights = torch.sigmoid(self.router(x.flatten(0, 1))).T.flatten()
        order = weights.argsort(descending=True)
        first = round(self.share * len(rows))
        shares = [first, len(rows) - first]
        sent, received = shares, [shares[self.at.rank]] * 2
        there = Exchange.apply(rows.index_select(0, order).to(torch.bfloat16), sent, received)
        parts = [expert(part) for expert, part in zip(self.experts, there.tensor_split(len(self.experts)), strict=True)]
        back = Exchange.apply(torch.cat(parts).to(torch.bfloat16), received, sent)
        found = torch.zeros_like(rows).index_copy(0, order, (back * weights[order, None]).to(rows.dtype))
        result: Tensor = found.view(self.copies, *x.shape).sum(0)
        return result


class Block(nn.Module):
    """Attention and experts, each with a residual connection."""

    def __init__(self, args: argparse.Namespace, at: Place) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(args.width), nn.LayerNorm(args.width)
        self.attention, self.routed = Attention(args, causal=True), Routed(args, at)

    def forward(self, x: Tensor) -> Tensor:
        """Hidden states to hidden states."""
        x = x + self.attention(self.norm1(x))
        y: Tensor = x + self.routed(self.norm2(x))
        return y


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Decoder(args, (Block(args, at) for _ in range(args.layers)))
    own = [name for name, _ in model.named_parameters() if ".experts." in name]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, own)  # every rank has other experts
    module = wrapped(args, at, model)
    optimizer = optimizer_for(args, model.parameters())

    train(args, at, token_loader(args, at), Update(args, at, module, optimizer, module))


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=2048, help="of an expert")
    parser.add_argument("--experts", type=int, default=4, help="of a rank")
    parser.add_argument("--copies", type=int, default=1, help="experts that a token goes to")
    parser.add_argument("--share", type=float, default=0.5, help="of the tokens, that goes to the first rank")
    parser.add_argument("--seq", type=int, default=1024)
    parser.add_argument("--vocab", type=int, default=16384)
    parser.set_defaults(attention="sdpa", casts=False)
    args = parser.parse_args(argv)
    if TINY:
        args.layers, args.width, args.heads, args.hidden, args.experts, args.seq, args.vocab = 1, 32, 2, 32, 2, 16, 256
        args.batch = min(args.batch, 4)
    return args


if __name__ == "__main__":
    main()
