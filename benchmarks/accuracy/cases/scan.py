"""Train a language model of selective state spaces: gated layers, each with a scan over time."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, compiled, optimizer_for, options, place, train
from models import token_loader
from ranks import wrapped
from steps import Update, compile_blocks, step_options
from torch import Tensor, nn

CHUNK = 64
"""Steps of time in which decays are summed: more would overflow fp32."""


def scanned(decay: Tensor, inflow: Tensor) -> Tensor:
    """States s[t] = exp(decay[t]) s[t-1] + inflow[t] over dimension 1 of (batch, time, channels, states)."""
    time = decay.shape[1]
    chunk = min(CHUNK, time)
    decay, inflow = (part.unflatten(1, (time // chunk, chunk)) for part in (decay, inflow))
    total = decay.cumsum(2)
    inside = total.exp() * (inflow * (-total).exp()).cumsum(2)
    state = torch.zeros_like(inside[:, 0, 0])
    befores: list[Tensor] = []
    for kept, gained in zip(total[:, :, -1].exp().unbind(1), inside[:, :, -1].unbind(1), strict=True):
        befores.append(state)
        state = kept * state + gained
    whole = inside + total.exp() * torch.stack(befores, 1)[:, :, None]
    return whole.flatten(1, 2)


class Layer(nn.Module):
    """A causal convolution, a selective scan, a gate."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        inner, self.states = 2 * args.width, args.states
        self.norm = nn.LayerNorm(args.width)
        self.enter, self.leave = nn.Linear(args.width, 2 * inner), nn.Linear(inner, args.width)
        self.mix = nn.Conv1d(inner, inner, 4, padding=3, groups=inner)
        self.choose = nn.Linear(inner, inner + 2 * args.states)
        self.rates = nn.Parameter(torch.arange(1.0, args.states + 1).repeat(inner, 1).log())
        self.skip = nn.Parameter(torch.ones(inner))

    def forward(self, x: Tensor) -> Tensor:
        """Hidden states to hidden states."""
        y, gate = self.enter(self.norm(x)).chunk(2, -1)
        y = F.silu(self.mix(y.transpose(1, 2))[..., : y.shape[1]].transpose(1, 2))
        delta, reads, writes = self.choose(y).float().split([y.shape[-1], self.states, self.states], -1)
        delta = F.softplus(delta - 4.0)
        decay = -delta[..., None] * self.rates.exp()
        inflow = (delta * y.float())[..., None] * writes[:, :, None]
        shown = (scanned(decay, inflow) * reads[:, :, None]).sum(-1)
        y = (shown + self.skip * y) * F.silu(gate)
        result: Tensor = x + self.leave(y.to(x.dtype))
        return result


class Model(nn.Module):
    """Tokens to their mean cross-entropy."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.token = nn.Embedding(args.vocab, args.width)
        self.layers = nn.ModuleList(Layer(args) for _ in range(args.layers))
        self.norm, self.head = nn.LayerNorm(args.width), nn.Linear(args.width, args.vocab, bias=False)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of the targets."""
        x = self.token(ids)
        for layer in self.layers:
            x = layer(x)
        return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1).float(), targets.flatten())


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Model(args)
    compile_blocks(args, model.layers)
    module = wrapped(args, at, model)
    optimizer = optimizer_for(args, model.parameters())
    step = Update(args, at, module, optimizer, compiled(args, module))

    train(args, at, token_loader(args, at), step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--states", type=int, default=16)
    parser.add_argument("--seq", type=int, default=1024)
    parser.add_argument("--vocab", type=int, default=16384)
    args = parser.parse_args(argv)
    if TINY:
        args.layers, args.width, args.states, args.seq, args.vocab = 2, 16, 4, 128, 64
        args.batch = min(args.batch, 2)
    return args


if __name__ == "__main__":
    main()
