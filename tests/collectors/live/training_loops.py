"""Training loops in the shapes that people write, each with its true number of optimizer updates per loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

STEPS = 60

LOOPS: dict[str, tuple[Callable[[], None], int]] = {}
"""Name -> (the loop, the number of steps that the detector has to count)."""


def loop(expected: int = STEPS) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def register(function: Callable[[], None]) -> Callable[[], None]:
        LOOPS[function.__name__] = (function, expected)
        return function

    return register


def model() -> nn.Linear:
    return nn.Linear(8, 8)


def sgd(module: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(module.parameters(), lr=0.01)


def loader(batches: int, workers: int = 0) -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(TensorDataset(torch.randn(2 * batches, 8)), batch_size=2, num_workers=workers)


def loss(module: nn.Module, batch: Tensor | None = None) -> Tensor:
    return module(torch.randn(2, 8) if batch is None else batch).square().mean()


@loop()
def plain() -> None:
    net = model()
    optimizer = sgd(net)
    for (batch,) in loader(STEPS):
        optimizer.zero_grad()
        loss(net, batch).backward()
        optimizer.step()


@loop()
def three_epochs() -> None:
    net = model()
    optimizer = sgd(net)
    batches = loader(STEPS // 3)
    for _ in range(3):
        for (batch,) in batches:
            loss(net, batch).backward()
            optimizer.step()


@loop(15)
def accumulation() -> None:
    net = model()
    optimizer = sgd(net)
    for number, (batch,) in enumerate(loader(STEPS)):
        loss(net, batch).backward()
        if number % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()


@loop()
def gan() -> None:
    critic, maker = model(), model()
    of_critic, of_maker = sgd(critic), sgd(maker)
    for (batch,) in loader(STEPS):
        (loss(critic, batch) - loss(critic, maker(torch.randn(2, 8)).detach())).backward()
        of_critic.step()
        loss(critic, maker(torch.randn(2, 8))).backward()
        of_maker.step()


@loop()
def wgan_five_critic_steps() -> None:
    critic, maker = model(), model()
    of_critic, of_maker = sgd(critic), sgd(maker)
    for (batch,) in loader(STEPS):
        for _ in range(5):
            loss(critic, batch).backward()
            of_critic.step()
        loss(critic, maker(torch.randn(2, 8))).backward()
        of_maker.step()


@loop()
def evaluation_every_ten() -> None:
    net = model()
    optimizer = sgd(net)
    held_out = loader(12)
    for number, (batch,) in enumerate(loader(STEPS)):
        loss(net, batch).backward()
        optimizer.step()
        if number % 10 == 9:
            with torch.no_grad():
                for (one,) in held_out:
                    loss(net, one)


@loop()
def evaluation_cut_short() -> None:
    net = model()
    optimizer = sgd(net)
    held_out = loader(12)
    for number, (batch,) in enumerate(loader(STEPS)):
        loss(net, batch).backward()
        optimizer.step()
        if number % 10 == 9:
            for done, (one,) in enumerate(held_out):
                if done == 4:
                    break
                loss(net, one)


class Stream(IterableDataset[Tensor]):
    def __iter__(self) -> Iterator[Tensor]:
        for _ in range(STEPS // 2):
            yield torch.randn(8)


@loop()
def iterable_two_workers() -> None:
    net = model()
    optimizer = sgd(net)
    for batch in DataLoader(Stream(), batch_size=1, num_workers=2, multiprocessing_context="fork"):
        loss(net, batch).backward()
        optimizer.step()


@loop()
def prefetch_one_ahead() -> None:
    net = model()
    optimizer = sgd(net)
    batches = iter(loader(STEPS))
    following = next(batches, None)
    while following is not None:
        (batch,), following = following, next(batches, None)
        loss(net, batch).backward()
        optimizer.step()


@loop(15)
def group_fetch() -> None:
    net = model()
    optimizer = sgd(net)
    batches = iter(loader(STEPS))
    while group := [batch for batch in (next(batches, None) for _ in range(4)) if batch is not None]:
        for (batch,) in group:
            loss(net, batch).backward()
        optimizer.step()
        optimizer.zero_grad()


@loop()
def two_loaders_zipped() -> None:
    net = model()
    optimizer = sgd(net)
    for (left,), (right,) in zip(loader(STEPS), loader(STEPS), strict=True):
        (loss(net, left) + loss(net, right)).backward()
        optimizer.step()


@loop()
def get_batch_accumulation() -> None:
    net = model()
    optimizer = sgd(net)
    for _ in range(STEPS):
        for _ in range(4):
            loss(net).backward()
        optimizer.step()
        optimizer.zero_grad()


@loop()
def get_batch_with_loader_for_evaluation() -> None:
    net = model()
    optimizer = sgd(net)
    held_out = loader(5)
    for number in range(STEPS):
        loss(net).backward()
        optimizer.step()
        if number % 10 == 9:
            for (one,) in held_out:
                loss(net, one)


@loop()
def two_optimizers() -> None:
    net = nn.Sequential(model(), model())
    first, second = sgd(net[0]), torch.optim.AdamW(net[1].parameters())
    for (batch,) in loader(STEPS):
        loss(net, batch).backward()
        first.step()
        second.step()


@loop()
def two_optimizers_without_loader() -> None:
    net = nn.Sequential(model(), model())
    first, second = sgd(net[0]), torch.optim.AdamW(net[1].parameters())
    for _ in range(STEPS):
        loss(net).backward()
        first.step()
        second.step()


@loop()
def gan_without_loader() -> None:
    critic, maker = model(), model()
    of_critic, of_maker = sgd(critic), sgd(maker)
    for _ in range(STEPS):
        loss(critic).backward()
        of_critic.step()
        loss(critic, maker(torch.randn(2, 8))).backward()
        of_maker.step()


def step_inside_backward(net: nn.Module) -> list[torch.optim.Optimizer]:
    """One optimizer a parameter, run by autograd as soon as the gradient is there."""
    optimizers = []
    for parameter in net.parameters():
        optimizer = torch.optim.SGD([parameter], lr=0.01)
        optimizers.append(optimizer)

        def update(tensor: Tensor, optimizer: torch.optim.Optimizer = optimizer) -> None:
            optimizer.step()
            optimizer.zero_grad()

        parameter.register_post_accumulate_grad_hook(update)
    return optimizers


@loop()
def optimizer_in_backward() -> None:
    net = nn.Sequential(*(model() for _ in range(12)))
    keep = step_inside_backward(net)
    for (batch,) in loader(STEPS):
        loss(net, batch).backward()
    del keep


@loop()
def optimizer_in_backward_without_loader() -> None:
    net = nn.Sequential(*(model() for _ in range(12)))
    keep = step_inside_backward(net)
    for _ in range(STEPS):
        loss(net).backward()
    del keep


@loop()
def scaler_with_infinite_gradients() -> None:
    net = model()
    optimizer = sgd(net)
    scaler = torch.amp.GradScaler("cpu")
    for number, (batch,) in enumerate(loader(STEPS)):
        optimizer.zero_grad()
        scaler.scale(loss(net, batch) * (float("inf") if number in (7, 8, 30) else 1.0)).backward()
        scaler.step(optimizer)
        scaler.update()


@loop()
def lbfgs() -> None:
    net = model()
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=3)
    for (batch,) in loader(STEPS):

        def closure(batch: Tensor = batch) -> Tensor:
            optimizer.zero_grad()
            value = loss(net, batch)
            value.backward()
            return value

        optimizer.step(closure)


@loop()
def lbfgs_without_loader() -> None:
    net = model()
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=3)

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(net)
        value.backward()
        return value

    for _ in range(STEPS):
        optimizer.step(closure)


@loop()
def closure_around_everything() -> None:  # Lightning: forward and backward run inside optimizer.step
    net = model()
    optimizer = sgd(net)
    for (batch,) in loader(STEPS):

        def closure(batch: Tensor = batch) -> Tensor:
            value = loss(net, batch)
            optimizer.zero_grad()
            value.backward()
            return value

        optimizer.step(closure)


@loop()
def reentrant_checkpointing() -> None:
    net = nn.Sequential(model(), model())
    optimizer = sgd(net)
    for _ in range(STEPS):
        inputs = torch.randn(2, 8, requires_grad=True)
        hidden = torch.utils.checkpoint.checkpoint(net, inputs, use_reentrant=True)
        hidden.sum().backward()
        optimizer.step()


@loop()
def optimizer_retired_halfway() -> None:
    first, second = model(), model()
    of_first, of_second = sgd(first), sgd(second)
    for (batch,) in loader(STEPS // 2):
        loss(first, batch).backward()
        of_first.step()
    for (batch,) in loader(STEPS // 2):
        loss(second, batch).backward()
        of_second.step()


@loop()
def optimizer_that_is_never_used() -> None:
    first, second = model(), model()
    optimizer, unused = sgd(first), sgd(second)
    for _ in range(STEPS):
        loss(first).backward()
        optimizer.step()
    del unused


@loop()
def gradients_without_backward() -> None:
    net = model()
    optimizer = sgd(net)
    for (batch,) in loader(STEPS):
        for parameter, gradient in zip(
            net.parameters(), torch.autograd.grad(loss(net, batch), tuple(net.parameters())), strict=True
        ):
            parameter.grad = gradient
        optimizer.step()


@loop()
def gradients_without_backward_or_loader() -> None:
    nets = [model(), model()]
    optimizers = [sgd(net) for net in nets]
    for _ in range(STEPS):
        for net, optimizer in zip(nets, optimizers, strict=True):
            net.weight.grad, net.bias.grad = torch.autograd.grad(loss(net), (net.weight, net.bias))
            optimizer.step()


@loop()
def gradient_penalty() -> None:  # autograd.grad on the way to a backward
    critic = model()
    optimizer = sgd(critic)
    for (batch,) in loader(STEPS):
        batch.requires_grad_()
        (slope,) = torch.autograd.grad(critic(batch).sum(), batch, create_graph=True)
        (loss(critic, batch) + slope.square().mean()).backward()
        optimizer.step()


class Descent:
    """An optimizer that is none of torch's."""

    def __init__(self, net: nn.Module) -> None:
        self.parameters = list(net.parameters())

    @torch.no_grad()
    def step(self) -> None:
        for parameter in self.parameters:
            parameter -= 0.01 * parameter.grad
            parameter.grad = None


@loop(15)
def own_optimizer() -> None:
    net = model()
    optimizer = Descent(net)
    for number, (batch,) in enumerate(loader(STEPS)):
        loss(net, batch).backward()
        if number % 4 == 3:
            optimizer.step()


@loop()
def own_optimizer_without_loader() -> None:
    net = model()
    optimizer = Descent(net)
    for _ in range(STEPS):
        loss(net).backward()
        optimizer.step()


@loop()
def captured_backward_without_loader() -> None:  # as in a CUDA graph: only the optimizer is seen
    net = model()
    optimizer = sgd(net)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for _ in range(STEPS):
        optimizer.step()
