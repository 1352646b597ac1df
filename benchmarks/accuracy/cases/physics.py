"""Train a network that obeys equations: its outputs' derivatives are part of the loss, which is derived once more."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from typing import Any

import torch
from common import TINY, Place, optimizer_for, options, place, train
from steps import Samples, autocast, step_options
from torch import Tensor, nn
from torch.utils.data import DataLoader

FRICTION = 0.01


class Fields(nn.Module):
    """Places to the values of some fields."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        sizes = [args.dimensions, *[args.width] * args.layers]
        layers = [part for a, b in itertools.pairwise(sizes) for part in (nn.Linear(a, b), nn.Tanh())]
        self.body = nn.Sequential(*layers, nn.Linear(args.width, args.fields))

    def forward(self, at: Tensor) -> Tensor:
        """(points, dimensions) to (points, fields)."""
        values: Tensor = self.body(at)
        return values


def derived(value: Tensor, at: Tensor) -> Tensor:
    """The derivatives of each point's value by its place."""
    (found,) = torch.autograd.grad(value.sum(), at, create_graph=True)
    return found


def residual(model: Any, points: Tensor) -> Tensor:
    """How far the fields are from carrying themselves along with some friction; the last dimension is time."""
    at = points.requires_grad_()
    values = model(at)
    total = torch.zeros((), device=points.device)
    for field in values.unbind(1):
        first = derived(field, at)
        friction = sum(derived(first[:, number], at)[:, number] for number in range(points.shape[1] - 1))
        total = total + (first[:, -1] + values[:, 0] * first[:, 0] - FRICTION * friction).square().mean()
    return total


class Graphed:
    """Loss and backward as one CUDA graph, replayed for every batch."""

    def __init__(self, loss_of: Callable[[Tensor], Tensor], example: Tensor, parameters: list[Tensor]) -> None:
        self.points = example.clone()
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):
                loss_of(self.points.detach()).backward()
        torch.cuda.current_stream().wait_stream(aside)
        for parameter in parameters:
            parameter.grad = None  # those that are made below stay
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.loss = loss_of(self.points.detach())
            self.loss.backward()

    def __call__(self, points: Tensor) -> Tensor:
        """The loss; gradients are those of these points."""
        self.points.copy_(points)
        self.graph.replay()
        return self.loss.detach().clone()


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Fields(args)
    optimizer = optimizer_for(args, model.parameters())

    def loss_of(points: Tensor) -> Tensor:
        with autocast(args, at):
            return residual(model, points)

    graphed = prepared(args, at, loss_of, list(model.parameters()))

    def step(batch: Any) -> Tensor:
        points = batch.to(at.device, non_blocking=True)
        if graphed is not None:
            loss = graphed(points)
            optimizer.step()
            return loss
        loss = loss_of(points)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def made(index: int) -> Tensor:
        return torch.rand(args.batch, args.dimensions, generator=torch.Generator().manual_seed(index))

    def make_loader(batches: int) -> Any:
        more = {"prefetch_factor": args.prefetch} if args.workers else {}
        data = Samples(batches, made)
        return DataLoader(data, batch_size=None, num_workers=args.workers, pin_memory=at.cuda, **more)

    train(args, at, make_loader, step)


def prepared(args: argparse.Namespace, at: Place, loss_of: Any, parameters: list[Tensor]) -> Graphed | None:
    """The graph, where the options want one and there is a GPU."""
    if not (args.graphs and at.cuda):
        return None
    return Graphed(loss_of, torch.rand(args.batch, args.dimensions, device=at.device), parameters)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--dimensions", type=int, default=2)
    parser.add_argument("--fields", type=int, default=1)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--graphs", action="store_true", help="loss and backward as one CUDA graph")
    args = parser.parse_args(argv)
    if TINY:
        args.layers, args.width, args.batch = 2, 16, min(args.batch, 16)
    return args


if __name__ == "__main__":
    main()
