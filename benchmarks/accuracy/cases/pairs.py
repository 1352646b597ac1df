"""Train a decoder to prefer one of two answers, beside a frozen copy of it: whole, or as narrow matrices (LoRA)."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, options, place, train
from llama import Decoder
from models import token_loader
from parts import step_for
from steps import Update, compile_blocks, compiled_function, step_options
from torch import Tensor

SHARPNESS = 0.1


class Scorer(Decoder):
    """Texts of (batch, length) to how likely each is, as the logarithm."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__(args)
        self.likelihood: Any = compiled_function(likelihood) if args.loss == "fused" else likelihood

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        """The sum over the words of every text."""
        x = self.token(ids)
        for block in self.blocks:
            x = block(x, self.cosine, self.sine)
        found: Tensor = self.likelihood(self.norm(x), self.head.weight, targets)
        return found


def likelihood(x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Logarithms of the probabilities of all words, of which the target's are taken."""
    chances = F.linear(x, weight).float().log_softmax(-1)
    return chances.gather(-1, targets[..., None]).squeeze(-1).sum(-1)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        policy, reference = Scorer(args), Scorer(args).requires_grad_(False)
    if args.precision == "bf16":
        reference = reference.to(torch.bfloat16)
    compile_blocks(args, reference.blocks)
    step: Update

    def loss_of(ids: Tensor, targets: Tensor) -> Tensor:
        mine = step.module(ids, targets)
        with torch.no_grad():
            theirs = reference(ids, targets)
        better, worse = (mine - theirs).chunk(2)
        return -F.logsigmoid(SHARPNESS * (better - worse)).mean()

    step = step_for(args, at, policy, loss_of)
    train(args, at, token_loader(args, at), step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--kv-heads", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=5632)
    parser.add_argument("--seq", type=int, default=1024)
    parser.add_argument("--vocab", type=int, default=16384)
    parser.add_argument("--norm", choices=["written", "fused"], default="fused")
    parser.add_argument("--lora", type=int, default=0, help="rank of the matrices that are trained; 0: all weights are")
    parser.add_argument("--loss", choices=["plain", "fused"], default="plain")
    parser.set_defaults(recompute=False)
    args = parser.parse_args(argv)
    if TINY:
        args.layers, args.width, args.heads, args.kv_heads, args.hidden = 1, 32, 4, 2, 48
        args.seq, args.vocab, args.batch, args.lora = 16, 256, min(args.batch, 4), min(args.lora, 4)
    return args


if __name__ == "__main__":
    main()
