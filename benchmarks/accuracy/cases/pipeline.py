"""Train a decoder-only transformer in pipeline stages, one a rank, with torch.distributed.pipelining."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, Place, optimizer_for, options, place, to_device, train
from models import Block, Tokens, model_options, shrink
from torch import Tensor, nn
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe
from torch.utils.data import DataLoader


class Stage(nn.Module):
    """The part of the model that one rank holds."""

    def __init__(self, args: argparse.Namespace, at: Place) -> None:
        super().__init__()
        self.first, self.last, self.dtype = at.rank == 0, at.rank == at.world - 1, args.precision
        middle = args.layers // at.world
        extra = args.tilt if self.last else -args.tilt
        self.token = nn.Embedding(args.vocab, args.width) if self.first else None
        self.blocks = nn.ModuleList(Block(args, causal=True) for _ in range(max(1, middle + extra)))
        self.head = nn.Linear(args.width, args.vocab, bias=False) if self.last else None

    def forward(self, x: Tensor) -> Tensor:
        """Tokens or hidden states of a micro-batch to hidden states or logits."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.dtype == "bf16"):
            if self.token is not None:
                x = self.token(x)
            for block in self.blocks:
                x = block(x)
            return x if self.head is None else self.head(x)


def loss_of(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of a micro-batch."""
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model = Stage(args, at)
    stage = PipelineStage(model, at.rank, at.world, at.device)
    kind: Any = Schedule1F1B if args.schedule == "1f1b" else ScheduleGPipe
    schedule = kind(stage, args.microbatches, loss_fn=loss_of)
    optimizer = optimizer_for(args, model.parameters())

    def step(batch: Any) -> Tensor:
        ids, targets = to_device(args, at, batch)
        losses: list[Tensor] = []
        if at.rank == 0:
            schedule.step(ids)
        elif at.rank == at.world - 1:
            schedule.step(target=targets, losses=losses)
        else:
            schedule.step()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return torch.stack(losses).mean().detach() if losses else torch.zeros(())

    def make_loader(batches: int) -> Any:
        dataset = Tokens(batches * args.batch, args.seq, args.vocab)  # every stage needs the same batches
        return DataLoader(dataset, args.batch, num_workers=args.workers, pin_memory=at.cuda, drop_last=True)

    train(args, at, make_loader, step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    model_options(parser)
    parser.add_argument("--microbatches", type=int, default=2)
    parser.add_argument("--schedule", choices=["gpipe", "1f1b"], default="1f1b")
    parser.add_argument("--tilt", type=int, default=0, help="blocks that the last stage has more than its share")
    args = parser.parse_args(argv)
    if TINY:
        shrink(args)
        args.layers, args.batch, args.microbatches = 4, 24, min(args.microbatches, 8)
    return args


if __name__ == "__main__":
    main()
