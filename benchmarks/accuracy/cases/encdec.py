"""Train an encoder-decoder with learned distances in its attention and gated layers, with DDP or FSDP2."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, Place, compiled, optimizer_for, options, place, train
from models import token_loader
from ranks import wrapped
from steps import Update, compile_blocks, step_options
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

BUCKETS = 32
"""Distances are told apart up to so many."""
JITTER = (1.0, 0.9375, 0.875, 0.9375)
"""Lengths of the batches of a rank, one after the other, as shares of its longest."""


class Attention(nn.Module):
    """Attention to a source with a learned bias for every distance, written out or fused."""

    def __init__(self, args: argparse.Namespace, causal: bool, near: bool) -> None:
        super().__init__()
        self.heads, self.written, self.causal = args.heads, args.attention == "written", causal
        self.q, self.out = (nn.Linear(args.width, args.width, bias=False) for _ in range(2))
        self.kv = nn.Linear(args.width, 2 * args.width, bias=False)
        self.distances = nn.Embedding(BUCKETS, args.heads) if near else None

    def bias(self, length: int, device: torch.device) -> Tensor | None:
        """What is added to the scores: (heads, length, length); nothing for attention to another text."""
        if self.distances is None:
            return None
        at = torch.arange(length, device=device)
        apart = at[:, None] - at
        learned: Tensor = self.distances(apart.abs().clamp(max=BUCKETS - 1)).permute(2, 0, 1)
        return learned.masked_fill(apart < 0, float("-inf")) if self.causal else learned

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """Hidden states to the same, looking at the source."""
        batch, length, width = x.shape
        q = self.q(x).view(batch, length, self.heads, -1).transpose(1, 2)
        k, v = self.kv(source).view(batch, source.shape[1], 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        bias = self.bias(length, x.device)
        if self.written:
            scores = q @ k.transpose(-1, -2)
            scores = scores if bias is None else scores + bias
            mixed = scores.softmax(-1).to(v.dtype) @ v
        else:
            mask = None if bias is None else bias.to(q.dtype)[None].expand(batch, -1, -1, -1)
            mixed = F.scaled_dot_product_attention(q, k, v, mask, scale=1.0)
        y: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return y


class Layer(nn.Module):
    """A layer of the encoder, or one of the decoder, which looks at the source too."""

    def __init__(self, args: argparse.Namespace, decodes: bool) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.RMSNorm(args.width) for _ in range(3 if decodes else 2))
        self.near = Attention(args, causal=decodes, near=True)
        self.far = Attention(args, causal=False, near=False) if decodes else None
        self.gate, self.up = (nn.Linear(args.width, args.hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(args.hidden, args.width, bias=False)

    def forward(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        """Hidden states to hidden states."""
        y = self.norms[0](x)
        x = x + self.near(y, y)
        if self.far is not None and source is not None:
            x = x + self.far(self.norms[1](x), source)
        y = self.norms[-1](x)
        result: Tensor = x + self.down(F.gelu(self.gate(y)) * self.up(y))
        return result


class Pairs(nn.Module):
    """Source and target to the mean cross-entropy of the target."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.token = nn.Embedding(args.vocab, args.width)
        self.encoder = nn.ModuleList(Layer(args, decodes=False) for _ in range(args.layers))
        self.decoder = nn.ModuleList(Layer(args, decodes=True) for _ in range(args.layers))
        self.norm, self.head = nn.RMSNorm(args.width), nn.Linear(args.width, args.vocab, bias=False)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Mean cross-entropy of the words after each."""
        x, y = self.token(source), self.token(target[:, :-1])
        for layer in self.encoder:
            x = layer(x)
        for layer in self.decoder:
            y = layer(y, x)
        return F.cross_entropy(self.head(self.norm(y)).flatten(0, 1).float(), target[:, 1:].flatten())


def sharded(args: argparse.Namespace, at: Place, model: Any) -> Any:
    """The model under FSDP2, every layer a unit."""
    wanted = torch.bfloat16 if args.reduce_dtype == "bf16" else torch.float32
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=wanted)
    mesh = init_device_mesh(at.device.type, (at.world,))
    for unit in (*model.encoder, *model.decoder, model):
        fully_shard(unit, mesh=mesh, reshard_after_forward=args.reshard, mp_policy=policy)
    return model


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Pairs(args)
    compile_blocks(args, (*model.encoder, *model.decoder))
    module = sharded(args, at, model) if args.fsdp and at.world > 1 else wrapped(args, at, model)
    run = compiled(args, module)
    optimizer = optimizer_for(args, model.parameters())
    micro = 0

    def loss_of(source: Tensor, target: Tensor) -> Tensor:
        nonlocal micro
        length = args.seq
        if args.shards != "equal":
            share = 0.75 if args.shards == "mixed" else (1.0 if at.rank else 0.5)
            length = round(args.seq * share * JITTER[micro % len(JITTER)])
        micro += 1
        loss: Tensor = run(source[:, :length], target[:, : length // 2 + 1])
        return loss

    train(args, at, token_loader(args, at), Update(args, at, module, optimizer, loss_of))


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--layers", type=int, default=3, help="of the encoder, and as many of the decoder")
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=2816)
    parser.add_argument("--seq", type=int, default=1024, help="of the source; a target has half of it")
    parser.add_argument("--vocab", type=int, default=32128)
    parser.add_argument("--attention", choices=["sdpa", "written"], default="sdpa")
    parser.add_argument("--shards", choices=["equal", "apart", "mixed"], default="equal", help="lengths of each rank's")
    parser.add_argument("--fsdp", action="store_true")
    parser.add_argument("--reshard", action=argparse.BooleanOptionalAction, default=True, help="after the forward")
    parser.add_argument("--reduce-dtype", choices=["fp32", "bf16"], default="fp32")
    args = parser.parse_args(argv)
    if TINY:
        args.layers, args.width, args.heads, args.hidden, args.seq, args.vocab = 1, 32, 2, 48, 32, 256
        args.batch = min(args.batch, 4)
    return args


if __name__ == "__main__":
    main()
