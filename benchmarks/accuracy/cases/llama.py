"""Train a decoder with RMSNorm, rotary positions, grouped heads and gated layers: whole, as LoRA, with DDP or FSDP2."""

from __future__ import annotations

import argparse
import math
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from common import TINY, Place, compiled, loader_for, optimizer_for, options, place, to_device, train
from mlp import statistics_of
from models import Tokens
from ranks import rank_options, wrapped
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.utils.checkpoint import checkpoint


class Norm(nn.Module):
    """RMSNorm, written out as most model code does, or as one kernel."""

    def __init__(self, width: int, written: bool) -> None:
        super().__init__()
        self.weight, self.written = nn.Parameter(torch.ones(width)), written

    def forward(self, x: Tensor) -> Tensor:
        """Hidden states to hidden states."""
        if not self.written:
            return F.rms_norm(x, x.shape[-1:], self.weight.to(x.dtype), 1e-6)
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)
        return wide.to(x.dtype) * self.weight


class Projection(nn.Module):
    """A linear layer; with a rank its weight is frozen in half precision and two narrow matrices are trained."""

    def __init__(self, inside: int, outside: int, rank: int) -> None:
        super().__init__()
        self.base = nn.Linear(inside, outside, bias=False)
        self.down = self.up = None
        if rank:
            self.base = self.base.requires_grad_(False).to(torch.bfloat16)
            self.down, self.up = nn.Linear(inside, rank, bias=False), nn.Linear(rank, outside, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Hidden states to hidden states."""
        y: Tensor = self.base(x)
        return y if self.down is None or self.up is None else y + self.up(self.down(x))


def turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions on (batch, heads, length, size)."""
    cosine, sine = turn
    left, right = x.chunk(2, -1)
    return (x * cosine + torch.cat((-right, left), -1) * sine).to(x.dtype)


class Block(nn.Module):
    """Attention with grouped heads and a gated perceptron."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        width, self.heads, self.groups, rank = args.width, args.heads, args.kv_heads, args.lora
        size = width // self.heads
        self.norm1, self.norm2 = (Norm(width, args.norm == "written") for _ in range(2))
        self.q, self.out = Projection(width, width, rank), Projection(width, width, rank)
        self.k, self.v = (Projection(width, size * self.groups, rank) for _ in range(2))
        self.gate, self.up = (Projection(width, args.hidden, rank) for _ in range(2))
        self.down = Projection(args.hidden, width, rank)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Hidden states to hidden states."""
        batch, length, width = x.shape
        y = self.norm1(x)
        q, k, v = (
            part(y).view(batch, length, heads, -1).transpose(1, 2)
            for part, heads in ((self.q, self.heads), (self.k, self.groups), (self.v, self.groups))
        )
        q, k = turned(q, (cosine, sine)), turned(k, (cosine, sine))
        k, v = (part.repeat_interleave(self.heads // self.groups, 1) for part in (k, v))
        mixed = F.scaled_dot_product_attention(q, k.to(v.dtype), v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        y = self.norm2(x)
        result: Tensor = x + self.down(F.silu(self.gate(y)) * self.up(y))
        return result


class Decoder(nn.Module):
    """Tokens to their mean cross-entropy."""

    cosine: Tensor
    sine: Tensor

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.token = nn.Embedding(args.vocab, args.width)
        self.blocks = nn.ModuleList(Block(args) for _ in range(args.layers))
        self.norm, self.head = Norm(args.width, args.norm == "written"), nn.Linear(args.width, args.vocab, bias=False)
        self.recompute = args.recompute
        size = args.width // args.heads
        angles = torch.outer(torch.arange(args.seq), 10000.0 ** (-torch.arange(0, size, 2) / size)).repeat(1, 2)
        self.register_buffer("cosine", angles.cos().to(torch.bfloat16))
        self.register_buffer("sine", angles.sin().to(torch.bfloat16))
        if args.lora:
            self.token.requires_grad_(False).to(torch.bfloat16)
            self.head.requires_grad_(False).to(torch.bfloat16)
            self.norm.requires_grad_(False)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of the targets."""
        x = self.token(ids)
        turn = self.cosine[: ids.shape[1]], self.sine[: ids.shape[1]]
        for block in self.blocks:
            x = checkpoint(block, x, *turn, use_reentrant=False) if self.recompute else block(x, *turn)
        return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1).float(), targets.flatten())


def sharded(args: argparse.Namespace, at: Place, model: Any) -> Any:
    """The model under FSDP2, every block a unit."""
    wanted = torch.bfloat16 if args.reduce_dtype == "bf16" else torch.float32
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=wanted)
    mesh = init_device_mesh(at.device.type, (at.world,))
    for unit in (*model.blocks, model):
        fully_shard(unit, mesh=mesh, reshard_after_forward=args.reshard, mp_policy=policy)
    return model


def clip(parameters: list[Tensor], how: str) -> None:
    """Bring the norm of the gradients down to one; `item` reads every norm on the host."""
    if how == "device":
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        return
    total = math.sqrt(sum(part.grad.norm().item() ** 2 for part in parameters if part.grad is not None))
    for part in parameters:
        if part.grad is not None:
            part.grad.mul_(min(1.0, 1.0 / (total + 1e-6)))


def gradient_statistics(parameters: list[Tensor], how: str) -> Tensor:
    """Four statistics of every gradient, summed over the ranks one by one or joined."""
    found = [
        value
        for part in parameters
        if part.grad is not None
        for value in (part.grad.norm(), part.grad.mean(), part.grad.amax(), part.grad.amin())
    ]
    if how == "joined":
        joined = torch.stack(found)
        dist.all_reduce(joined)
        return joined
    for value in found:
        dist.all_reduce(value)
    return torch.stack(found)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    if args.memory_fraction and at.cuda:
        torch.cuda.set_per_process_memory_fraction(args.memory_fraction)
    with at.device:
        model: Any = Decoder(args)
    split = args.fsdp and at.world > 1
    run = compiled(args, sharded(args, at, model) if split else wrapped(args, at, model))
    trained = [part for part in model.parameters() if part.requires_grad]
    optimizer = optimizer_for(args, trained)
    history: list[Any] = []

    def step(batch: Any) -> Tensor:
        ids, targets = to_device(args, at, batch)
        with torch.autocast(at.device.type, torch.bfloat16, enabled=not split):
            loss = run(ids, targets)
        loss.backward()
        if args.clip != "none":
            clip(trained, args.clip)
        if args.reduced_statistics != "none" and at.world > 1:
            history[:] = [gradient_statistics(trained, args.reduced_statistics)]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if args.statistics and at.rank == 0:  # only the first rank logs
            history[:] = [statistics_of(args.statistics)]
        detached: Tensor = loss.detach()
        return detached.float()

    train(args, at, lambda batches: loader_for(args, at, _tokens(args, at, batches)), step)


def _tokens(args: argparse.Namespace, at: Place, batches: int) -> Tokens:
    return Tokens(batches * args.batch * at.world, args.seq, args.vocab)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    rank_options(parser)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--kv-heads", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=5632)
    parser.add_argument("--seq", type=int, default=1024)
    parser.add_argument("--vocab", type=int, default=16384)
    parser.add_argument("--norm", choices=["written", "fused"], default="fused")
    parser.add_argument("--lora", type=int, default=0, help="rank of the matrices that are trained; 0: all weights are")
    parser.add_argument("--recompute", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--clip", choices=["none", "item", "device"], default="none")
    parser.add_argument("--reduced-statistics", choices=["none", "each", "joined"], default="none")
    parser.add_argument("--statistics", type=int, default=0, help="rows that plain Python goes over on the first rank")
    parser.add_argument("--memory-fraction", type=float, default=0.0)
    parser.add_argument("--fsdp", action="store_true")
    parser.add_argument("--reshard", action=argparse.BooleanOptionalAction, default=True, help="after the forward")
    parser.add_argument("--reduce-dtype", choices=["fp32", "bf16"], default="fp32")
    args = parser.parse_args(argv)
    if TINY:
        args.layers, args.width, args.heads, args.kv_heads, args.hidden = min(args.layers, 2), 32, 4, 2, 48
        args.seq, args.vocab, args.batch, args.statistics = 16, 256, min(args.batch, 2), min(args.statistics, 50)
        args.lora = min(args.lora, 4)
    return args


if __name__ == "__main__":
    main()
