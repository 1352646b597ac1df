"""Train a decoder-only transformer with FSDP2: parameters, gradients and optimizer states sharded over the ranks."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from common import TINY, compiled, optimizer_for, options, place, to_device, train
from models import Transformer, model_options, shrink, token_loader
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Transformer(args)
    mesh = init_device_mesh(at.device.type, (at.world,))
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if args.precision == "bf16" else None,
        reduce_dtype=torch.bfloat16 if args.reduce_dtype == "bf16" else torch.float32,
    )
    for block in model.blocks:
        fully_shard(block, mesh=mesh, reshard_after_forward=args.reshard, mp_policy=policy)
    fully_shard(model, mesh=mesh, reshard_after_forward=args.reshard, mp_policy=policy)
    optimizer = optimizer_for(args, model.parameters())
    run = compiled(args, model)

    def step(batch: Any) -> Tensor:
        ids, targets = to_device(args, at, batch)
        loss = run(ids, targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach().float()

    train(args, at, token_loader(args, at), step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    model_options(parser)
    parser.add_argument("--reshard", action=argparse.BooleanOptionalAction, default=True, help="after the forward")
    parser.add_argument("--reduce-dtype", choices=["fp32", "bf16"], default="fp32")
    args = parser.parse_args(argv)
    if TINY:
        shrink(args)
    return args


if __name__ == "__main__":
    main()
