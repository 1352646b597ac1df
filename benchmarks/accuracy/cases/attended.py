"""Train a graph network whose nodes attend to their neighbours: scores and a softmax along every edge."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, options, place, train
from parts import batch_loader, step_for
from steps import step_options
from torch import Tensor, nn

CLASSES = 40


class Attention(nn.Module):
    """Every node the mean of its neighbours, weighed by heads that look at both ends of an edge."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.norm = heads, nn.LayerNorm(width)
        self.source, self.target, self.out = (nn.Linear(width, width) for _ in range(3))
        self.look = nn.Parameter(torch.randn(heads, width // heads) / 8)

    def forward(self, x: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """Nodes to nodes."""
        y = self.norm(x)
        sent = self.source(y).unflatten(-1, (self.heads, -1)).float().index_select(0, source)
        told = self.target(y).unflatten(-1, (self.heads, -1)).float().index_select(0, target)
        scores = (F.leaky_relu(sent + told, 0.2) * self.look).sum(-1)
        most = scores.new_full((len(x), self.heads), -1e9)
        most = most.scatter_reduce(0, target[:, None].expand(-1, self.heads), scores.detach(), "amax")
        weights = torch.exp(scores - most.index_select(0, target))
        total = torch.zeros_like(most).index_add(0, target, weights)
        weights = weights / (total.index_select(0, target) + 1e-9)
        zeros = sent.new_zeros(len(x), *sent.shape[1:])
        found: Tensor = x + self.out(zeros.index_add(0, target, sent * weights[..., None]).flatten(1))
        return found


class Network(nn.Module):
    """Values of all nodes to the mean cross-entropy of their classes."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.enter = nn.Linear(args.values, args.width)
        self.blocks = nn.ModuleList(Attention(args.width, args.heads) for _ in range(args.layers))
        self.head = nn.Linear(args.width, CLASSES)

    def forward(self, values: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """The mean over all nodes."""
        x = self.enter(values).float()
        for block in self.blocks:
            x = block(x, source, target)
        return F.cross_entropy(self.head(x).float(), torch.arange(len(x), device=x.device) % CLASSES)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Network(args)
    draw = torch.Generator().manual_seed(2)
    values = torch.randn(args.nodes, args.values, generator=draw).to(at.device)
    source, target = (torch.randint(args.nodes, (args.edges,), generator=draw).to(at.device) for _ in range(2))

    def loss_of(shift: Tensor) -> Tensor:
        loss: Tensor = step.module(values + shift, source, target)
        return loss

    step = step_for(args, at, model, loss_of)
    train(args, at, batch_loader(args, at, lambda index: (torch.tensor(index % 5 / 100),)), step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--nodes", type=int, default=60000)
    parser.add_argument("--edges", type=int, default=800000)
    parser.add_argument("--values", type=int, default=128, help="of a node")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--heads", type=int, default=4)
    args = parser.parse_args(argv)
    if TINY:
        args.nodes, args.edges, args.values, args.layers, args.width, args.heads = 20, 60, 8, 1, 16, 2
    return args


if __name__ == "__main__":
    main()
