"""Train two text encoders on questions and their passages, among the passages of all ranks."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from common import TINY, Place, compiled, optimizer_for, options, place, train
from models import Block, token_loader
from ranks import wrapped
from steps import Update, compile_blocks, step_options
from torch import Tensor, nn


class Tower(nn.Module):
    """Tokens to a direction."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(args.vocab, args.width), nn.Embedding(args.seq, args.width)
        self.blocks = nn.Sequential(*(Block(args, causal=False) for _ in range(args.layers)))
        self.norm, self.head = nn.LayerNorm(args.width), nn.Linear(args.width, args.size)

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, size), each of length one."""
        x = self.blocks(self.token(ids) + self.position.weight[: ids.shape[1]])
        return F.normalize(self.head(self.norm(x)[:, 0]).float(), dim=-1)


class Pair(nn.Module):
    """Questions and passages, each through a tower of its own."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.question, self.passage = Tower(args), Tower(args)

    def forward(self, question: Tensor, passage: Tensor) -> tuple[Tensor, Tensor]:
        """Both directions."""
        return self.question(question), self.passage(passage)


def gathered(at: Place, mine: Tensor) -> Tensor:
    """Those of all ranks, in their order; only this rank's own ones carry gradients."""
    if at.world == 1:
        return mine
    parts = [torch.empty_like(mine) for _ in range(at.world)]
    dist.all_gather(parts, mine.detach())
    parts[at.rank] = mine
    return torch.cat(parts)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Pair(args)
    compile_blocks(args, (*model.question.blocks, *model.passage.blocks))
    module = model if args.reduce == "flat" else wrapped(args, at, model)
    run = compiled(args, module)
    optimizer = optimizer_for(args, model.parameters())

    def loss_of(ids: Tensor, following: Tensor) -> Tensor:
        questions, passages = run(ids[:, : args.seq // 2], following)
        scores = 20.0 * questions @ gathered(at, passages).T
        wanted = torch.arange(len(questions), device=at.device) + at.rank * len(questions)
        return F.cross_entropy(scores.float(), wanted)

    train(args, at, token_loader(args, at), Update(args, at, module, optimizer, loss_of))


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--layers", type=int, default=6, help="of each tower")
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--size", type=int, default=512, help="of a direction")
    parser.add_argument("--seq", type=int, default=256, help="of a passage; a question has half of it")
    parser.add_argument("--vocab", type=int, default=30528)
    parser.set_defaults(attention="sdpa", casts=False, activation="gelu")
    args = parser.parse_args(argv)
    if TINY:
        args.layers, args.width, args.heads, args.size, args.seq, args.vocab = 1, 32, 2, 16, 16, 256
        args.batch = min(args.batch, 4)
    return args


if __name__ == "__main__":
    main()
