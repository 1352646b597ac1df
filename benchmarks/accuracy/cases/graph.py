"""Train a graph network: on sampled neighbourhoods, or with messages along every edge that gates and sums compute."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from common import TINY, Place, compiled, optimizer_for, options, place, train
from steps import Samples, Update, compile_blocks, step_options
from torch import Tensor, nn
from torch.utils.data import DataLoader

CLASSES = 32


class Neighbours:
    """Batch by number: nodes around random ones, hop by hop, edges between them by their place, and labels."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        draw = np.random.default_rng(1)
        self.links = draw.integers(0, args.nodes, (args.nodes, args.degree))

    def __call__(self, index: int) -> tuple[Tensor, ...]:
        """Numbers of the nodes, source and target of every edge, labels of the first nodes."""
        args, draw = self.args, np.random.default_rng(index)
        seeds = np.unique(draw.integers(0, args.nodes, args.batch))
        edges = [np.stack([seeds, seeds])]
        front = seeds
        for fan in args.fans:
            chosen = self.links[front[:, None], draw.integers(0, args.degree, (len(front), fan))]
            edges.append(np.stack([chosen.ravel(), np.repeat(front, fan)]))
            front = np.unique(chosen)
        both = np.concatenate(edges, 1)
        nodes, places = np.unique(both, return_inverse=True)
        places = places.reshape(2, -1)
        keep = args.most_nodes
        nodes, inside = np.resize(nodes, keep), (places < keep).all(0)  # every batch has the same shape
        source, target = (np.resize(part[inside], args.most_edges) for part in places)
        return tuple(torch.from_numpy(part.astype(np.int64)) for part in (nodes, source, target, nodes % CLASSES))


class Whole:
    """Every batch is one graph of the same size, whose edges the device holds already: only a number comes."""

    def __init__(self, args: argparse.Namespace) -> None:
        draw = torch.Generator().manual_seed(2)
        self.parts = [torch.randint(args.most_nodes, (args.most_edges,), generator=draw) for _ in range(2)]

    def on(self, at: Place) -> list[Tensor]:
        """Source and target of every edge."""
        return [part.to(at.device) for part in self.parts]


class Mean(nn.Module):
    """A linear layer of the node, and one of the mean of its neighbours."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own, self.others, self.norm = nn.Linear(width, width), nn.Linear(width, width), nn.LayerNorm(width)

    def forward(self, x: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """Nodes to nodes."""
        total = torch.zeros_like(x).index_add(0, target, x.index_select(0, source))
        count = torch.ones_like(x[:, :1]).index_add(0, target, torch.ones_like(x[:1, :1]).expand(len(target), 1))
        return x + F.gelu(self.norm(self.own(x) + self.others(total / count)))


class Gated(nn.Module):
    """Messages of both ends and a gate along every edge, summed at its target."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ends, self.norm = nn.Linear(width, 3 * width), nn.LayerNorm(width)
        self.bend = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """Nodes to nodes."""
        gate, near, value = self.ends(self.norm(x)).chunk(3, -1)
        open_ = torch.sigmoid(gate.index_select(0, target) + near.index_select(0, source) * self.bend)
        message = open_ * F.silu(value.index_select(0, source))
        norms = torch.zeros_like(x).index_add(0, target, open_.to(x.dtype))
        return x + torch.zeros_like(x).index_add(0, target, message.to(x.dtype)) / (norms + 1e-3)


class Network(nn.Module):
    """Rows of the nodes, layers, a class."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        kind = Gated if args.net == "gated" else Mean
        self.rows = nn.Embedding(args.nodes, args.width).requires_grad_(False)
        self.layers = nn.ModuleList(kind(args.width) for _ in range(args.layers))
        self.head = nn.Linear(args.width, CLASSES)

    def forward(self, nodes: Tensor, source: Tensor, target: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy."""
        x = self.rows(nodes)
        for layer in self.layers:
            x = layer(x, source, target)
        return F.cross_entropy(self.head(x).float(), labels)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Network(args)
    compile_blocks(args, model.layers)
    run = compiled(args, model)
    optimizer = optimizer_for(args, [part for part in model.parameters() if part.requires_grad])
    edges = Whole(args).on(at) if args.whole else []

    def loss_of(nodes: Tensor, *others: Tensor) -> Tensor:
        source, target, labels = others if others else (*edges, nodes % CLASSES)
        loss: Tensor = run(nodes, source, target, labels)
        return loss

    around = None if args.whole else Neighbours(args)

    def made(index: int) -> Any:
        return around(index) if around else ((torch.arange(args.most_nodes) + index) % args.nodes,)

    def make_loader(batches: int) -> Any:
        more = {"prefetch_factor": args.prefetch} if args.workers else {}
        data = Samples(batches, made)
        return DataLoader(data, batch_size=None, num_workers=args.workers, pin_memory=at.cuda, **more)

    train(args, at, make_loader, Update(args, at, model, optimizer, loss_of))


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--net", choices=["mean", "gated"], default="mean")
    parser.add_argument("--whole", action="store_true", help="the same edges in every step, on the device")
    parser.add_argument("--nodes", type=int, default=500000)
    parser.add_argument("--degree", type=int, default=24)
    parser.add_argument("--fans", type=int, nargs="+", default=[12, 8], help="neighbours that each hop takes")
    parser.add_argument("--most-nodes", type=int, default=100000, help="of a batch")
    parser.add_argument("--most-edges", type=int, default=200000, help="of a batch")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=1024)
    args = parser.parse_args(argv)
    if TINY:
        args.nodes, args.degree, args.fans, args.most_nodes, args.most_edges = 200, 4, [3, 2], 40, 80
        args.layers, args.width, args.batch = 2, 16, min(args.batch, 8)
    return args


if __name__ == "__main__":
    main()
