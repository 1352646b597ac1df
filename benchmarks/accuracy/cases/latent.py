"""Train a decoder whose keys and values come from a narrow latent, with positions in dimensions of their own."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, optimizer_for, options, place, train
from llama import Norm, sharded, turned
from models import token_loader
from parts import step_for
from steps import Update, compile_blocks, step_options
from torch import Tensor, nn


class Block(nn.Module):
    """Attention through narrow latents and a gated perceptron."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        width, self.heads, self.size, self.turns = args.width, args.heads, args.size, args.turns
        self.latent, self.widened = args.latent, args.widened
        self.norm1, self.norm2, self.norm_q, self.norm_kv = (
            Norm(size, written=False) for size in (width, width, args.latent_q, args.latent)
        )
        self.q_down = nn.Linear(width, args.latent_q, bias=False)
        self.q_up = nn.Linear(args.latent_q, args.heads * (args.size + args.turns), bias=False)
        self.kv_down = nn.Linear(width, args.latent + args.turns, bias=False)
        self.kv_up = nn.Linear(args.latent, args.heads * 2 * args.size, bias=False)
        self.out = nn.Linear(args.heads * args.size, width, bias=False)
        self.gate, self.up = (nn.Linear(width, args.hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(args.hidden, width, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Hidden states to hidden states."""
        x = x + self._mixed(self.norm1(x), (cosine, sine))
        y = self.norm2(x)
        found: Tensor = x + self.down(F.silu(self.gate(y)) * self.up(y))
        return found

    def _mixed(self, y: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        batch, length, _ = y.shape
        q = self.q_up(self.norm_q(self.q_down(y))).view(batch, length, self.heads, -1).transpose(1, 2)
        latent, turned_k = self.kv_down(y).split([self.latent, self.turns], -1)
        kv = self.kv_up(self.norm_kv(latent)).view(batch, length, self.heads, -1).transpose(1, 2)
        k, v = kv.chunk(2, -1)
        q = torch.cat([q[..., : self.size], turned(q[..., self.size :], turn)], -1)
        turned_k = turned(turned_k[:, None], turn).expand(-1, self.heads, -1, -1)
        k = torch.cat([k, turned_k.to(k.dtype)], -1)
        if self.widened:  # the fastest kernels want keys and values of the same size
            v = F.pad(v, (0, self.turns))
        mixed = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, is_causal=True)[..., : self.size]
        found: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, length, -1))
        return found


class Decoder(nn.Module):
    """Words to their mean cross-entropy."""

    cosine: Tensor
    sine: Tensor

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.token = nn.Embedding(args.vocab, args.width)
        self.blocks = nn.ModuleList(Block(args) for _ in range(args.layers))
        self.norm, self.head = Norm(args.width, written=False), nn.Linear(args.width, args.vocab, bias=False)
        rates = 10000.0 ** (-torch.arange(0, args.turns, 2) / args.turns)
        angles = torch.outer(torch.arange(args.seq), rates).repeat(1, 2)
        self.register_buffer("cosine", angles.cos().to(torch.bfloat16))
        self.register_buffer("sine", angles.sin().to(torch.bfloat16))

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        """The mean over all words."""
        x = self.token(ids)
        for block in self.blocks:
            x = block(x, self.cosine, self.sine)
        return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1).float(), targets.flatten())


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Decoder(args)
    if args.fsdp and at.world > 1:
        compile_blocks(args, model.blocks)
        model = sharded(args, at, model)
        step = Update(args, at, model, optimizer_for(args, model.parameters()), model)
    else:
        step = step_for(args, at, model)
    train(args, at, token_loader(args, at), step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--size", type=int, default=128, help="of a head, without positions")
    parser.add_argument("--turns", type=int, default=64, help="dimensions of a head for positions")
    parser.add_argument("--latent", type=int, default=512, help="of keys and values")
    parser.add_argument("--latent-q", type=int, default=768, help="of queries")
    parser.add_argument("--hidden", type=int, default=4096)
    parser.add_argument("--seq", type=int, default=4096)
    parser.add_argument("--vocab", type=int, default=16384)
    parser.add_argument("--widened", action="store_true", help="values with zeros, as wide as keys")
    parser.add_argument("--fsdp", action="store_true")
    parser.add_argument("--reshard", action=argparse.BooleanOptionalAction, default=True, help="after the forward")
    parser.add_argument("--reduce-dtype", choices=["fp32", "bf16"], default="fp32")
    args = parser.parse_args(argv)
    if TINY:
        args.layers, args.width, args.heads, args.size, args.turns = 1, 32, 2, 16, 8
        args.latent, args.latent_q, args.hidden, args.seq, args.vocab = 16, 24, 48, 16, 256
        args.batch = min(args.batch, 2)
    return args


if __name__ == "__main__":
    main()
