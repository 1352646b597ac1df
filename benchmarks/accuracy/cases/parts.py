"""What do the scripts of seventh.py share? The step of a whole model, and loaders of samples made from their number."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from common import MakeLoader, Place, compiled, loader_for, optimizer_for
from ranks import wrapped
from steps import Samples, Update, compile_blocks
from torch import Tensor
from torch.utils.data import DataLoader

__all__ = ["batch_loader", "sample_loader", "step_for"]


def step_for(
    args: argparse.Namespace, at: Place, model: Any, loss_of: Callable[..., Tensor] | None = None
) -> Update:  # fmt: skip
    """The step that trains a model with its blocks compiled, under DDP, as the options say; it returns its loss."""
    compile_blocks(args, model.blocks)
    module = wrapped(args, at, model)
    optimizer = optimizer_for(args, [part for part in model.parameters() if part.requires_grad])
    return Update(args, at, module, optimizer, loss_of or compiled(args, module))


def sample_loader(args: argparse.Namespace, at: Place, made: Callable[[int], Any], **more: Any) -> MakeLoader:
    """What makes a loader of so many batches of samples; every rank reads its own."""
    return lambda batches: loader_for(args, at, Samples(batches * args.batch * at.world, made), **more)


def batch_loader(args: argparse.Namespace, at: Place, made: Callable[[int], Any]) -> MakeLoader:
    """What makes a loader of so many batches, each made as a whole."""
    more = {"prefetch_factor": args.prefetch} if args.workers else {}
    pinned = at.cuda and not args.pageable
    return lambda batches: DataLoader(
        Samples(batches, made), batch_size=None, num_workers=args.workers, pin_memory=pinned, **more
    )
