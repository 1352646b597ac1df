"""How do several ranks of a planted case exchange gradients? DDP, with the options that the cases plant."""

from __future__ import annotations

import argparse
from typing import Any

from common import Place
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.nn.parallel import DistributedDataParallel

__all__ = ["rank_options", "wrapped"]


def rank_options(parser: argparse.ArgumentParser) -> None:
    """The options of DDP, and the backend that `place` asks for."""
    parser.add_argument("--bucket-mb", type=float, default=25)
    parser.add_argument("--bucket-view", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--find-unused", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--compress", action=argparse.BooleanOptionalAction, default=False, help="reduce in bf16")
    parser.add_argument("--backend", choices=["nccl", "gloo"], default="nccl", help="of GPUs; a CPU has gloo")


def wrapped(args: argparse.Namespace, at: Place, model: Any) -> Any:
    """The model under DDP where there are several ranks."""
    if at.world == 1:
        return model
    module = DistributedDataParallel(
        model,
        device_ids=[at.device] if at.cuda else None,
        bucket_cap_mb=args.bucket_mb,
        gradient_as_bucket_view=args.bucket_view,
        find_unused_parameters=args.find_unused,
    )
    if args.compress and at.cuda:  # the hook wants NCCL
        module.register_comm_hook(None, default_hooks.bf16_compress_hook)
    return module
