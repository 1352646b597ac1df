"""Train a small encoder to say what a frozen, larger one says about every word of a text."""

from __future__ import annotations

import argparse
import contextlib
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, compiled, optimizer_for, options, place, train
from models import Block, token_loader
from ranks import wrapped
from steps import Update, compile_blocks, compiled_function, step_options
from torch import Tensor, nn

HOT = 2.0
"""The temperature of both distributions."""


class Encoder(nn.Module):
    """Tokens to hidden states."""

    def __init__(self, args: argparse.Namespace, layers: int, width: int) -> None:
        super().__init__()
        mine = argparse.Namespace(**{**vars(args), "width": width, "heads": max(1, width // args.head_size)})
        self.token, self.position = nn.Embedding(args.vocab, width), nn.Embedding(args.seq, width)
        self.blocks = nn.Sequential(*(Block(mine, causal=False) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, args.vocab, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Hidden states before the output layer."""
        x: Tensor = self.norm(self.blocks(self.token(ids) + self.position.weight))
        return x


def distance(x: Tensor, weight: Tensor, wanted: Tensor, wanted_weight: Tensor, targets: Tensor) -> Tensor:
    """How far the student is from the teacher, and from the words themselves."""
    logits = F.linear(x, weight).flatten(0, 1).float()
    teacher = F.linear(wanted, wanted_weight).flatten(0, 1).float()
    soft = F.kl_div(
        (logits / HOT).log_softmax(-1), (teacher / HOT).log_softmax(-1), reduction="batchmean", log_target=True
    )
    return soft + F.cross_entropy(logits, targets.flatten())


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    if args.teacher == "tf32":
        torch.backends.cuda.matmul.allow_tf32 = True
    with at.device:
        student: Any = Encoder(args, args.layers, args.width)
        teacher: Any = Encoder(args, args.teacher_layers, args.teacher_width).requires_grad_(False).eval()
    compile_blocks(args, (*student.blocks, *teacher.blocks))
    module = wrapped(args, at, student)
    run, told = compiled(args, module), compiled(args, teacher)
    loss_function = compiled_function(distance) if args.loss == "fused" else distance
    optimizer = optimizer_for(args, student.parameters())
    wide = args.teacher != "bf16"

    def loss_of(ids: Tensor, targets: Tensor) -> Tensor:
        off = torch.autocast(at.device.type, enabled=False)
        with torch.no_grad(), off if wide else contextlib.nullcontext():
            wanted = told(ids)
        loss: Tensor = loss_function(run(ids), student.head.weight, wanted, teacher.head.weight, targets)
        return loss

    train(args, at, token_loader(args, at), Update(args, at, module, optimizer, loss_of))


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--teacher-layers", type=int, default=8)
    parser.add_argument("--teacher-width", type=int, default=1536)
    parser.add_argument("--head-size", type=int, default=64)
    parser.add_argument("--seq", type=int, default=512)
    parser.add_argument("--vocab", type=int, default=16384)
    parser.add_argument("--teacher", choices=["fp32", "tf32", "bf16"], default="bf16", help="how the teacher computes")
    parser.add_argument("--loss", choices=["plain", "fused"], default="plain")
    parser.set_defaults(attention="sdpa", casts=False, activation="gelu")
    args = parser.parse_args(argv)
    if TINY:
        args.layers, args.width, args.teacher_layers, args.teacher_width, args.head_size = 1, 32, 2, 48, 16
        args.seq, args.batch, args.vocab = 16, min(args.batch, 4), 256 + args.vocab % 64
    return args


if __name__ == "__main__":
    main()
