"""Train a policy: play some moves in many small worlds, then one update from what happened."""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from common import TINY, compiled, loader_for, optimizer_for, options, place, train
from steps import Samples, step_options
from torch import Tensor, nn

TICK, GRAVITY = 0.05, 10.0
SIGHT = 3
PUSHES = 5


class Pendulum:
    """One world, in plain Python."""

    def __init__(self, angle: float) -> None:
        self.angle, self.speed = angle, 0.0

    def moved(self, push: int) -> float:
        """What this move earned."""
        force = (push - PUSHES // 2) * 1.0
        cost = self.angle**2 + 0.1 * self.speed**2 + 0.001 * force**2
        self.speed = max(-8.0, min(8.0, self.speed + (1.5 * GRAVITY * math.sin(self.angle) + 3.0 * force) * TICK))
        self.angle = (self.angle + self.speed * TICK + math.pi) % (2 * math.pi) - math.pi
        return -cost

    def seen(self) -> list[float]:
        """What the policy is told."""
        return [math.cos(self.angle), math.sin(self.angle), self.speed]


class Objects:
    """All worlds, one by one."""

    def __init__(self, angles: Tensor) -> None:
        self.worlds = [Pendulum(angle) for angle in angles.tolist()]

    def seen(self) -> Tensor:
        """What all of them show."""
        return torch.tensor([world.seen() for world in self.worlds])

    def moved(self, pushes: Tensor) -> Tensor:
        """What every one of these moves earned."""
        return torch.tensor([world.moved(push) for world, push in zip(self.worlds, pushes.tolist(), strict=True)])


class Arrays:
    """All worlds at once, as arrays on the host."""

    def __init__(self, angles: Tensor) -> None:
        self.angle, self.speed = angles.numpy().astype(np.float64), np.zeros(len(angles))

    def seen(self) -> Tensor:
        """What all of them show."""
        shown = np.stack([np.cos(self.angle), np.sin(self.angle), self.speed], 1)
        return torch.from_numpy(shown.astype(np.float32))

    def moved(self, pushes: Tensor) -> Tensor:
        """What every one of these moves earned."""
        force = pushes.cpu().numpy() - PUSHES // 2
        cost = self.angle**2 + 0.1 * self.speed**2 + 0.001 * force**2
        self.speed = (self.speed + (1.5 * GRAVITY * np.sin(self.angle) + 3.0 * force) * TICK).clip(-8, 8)
        self.angle = (self.angle + self.speed * TICK + np.pi) % (2 * np.pi) - np.pi
        return torch.from_numpy(-cost.astype(np.float32))


class Tensors:
    """All worlds at once, on the device."""

    def __init__(self, angles: Tensor) -> None:
        self.angle, self.speed = angles, torch.zeros_like(angles)

    def seen(self) -> Tensor:
        """What all of them show."""
        return torch.stack([self.angle.cos(), self.angle.sin(), self.speed], 1)

    def moved(self, pushes: Tensor) -> Tensor:
        """What every one of these moves earned."""
        force = pushes - PUSHES // 2
        cost = self.angle**2 + 0.1 * self.speed**2 + 0.001 * force**2
        self.speed = (self.speed + (1.5 * GRAVITY * self.angle.sin() + 3.0 * force) * TICK).clamp(-8, 8)
        self.angle = torch.remainder(self.angle + self.speed * TICK + math.pi, 2 * math.pi) - math.pi
        return -cost


class Policy(nn.Module):
    """What is seen to scores of the moves and a value."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(SIGHT, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh())
        self.scores, self.value = nn.Linear(width, PUSHES), nn.Linear(width, 1)

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """(worlds, moves) and (worlds)."""
        x = self.body(seen)
        return self.scores(x), self.value(x).squeeze(-1)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model = Policy(args.width)
    run = compiled(args, model)
    optimizer = optimizer_for(args, model.parameters())
    kinds: dict[str, Any] = {"objects": Objects, "arrays": Arrays, "tensors": Tensors}

    def played(angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        worlds = kinds[args.worlds](angles.to(at.device) if args.worlds == "tensors" else angles)
        sights, moves, earned = [], [], []
        for _ in range(args.moves):
            sight = worlds.seen().to(at.device)
            with torch.no_grad():
                scores, _ = run(sight)
            noise = torch.rand_like(scores).clamp_min(1e-6).log().neg().log()
            push = (scores - noise).argmax(1)
            sights.append(sight)
            moves.append(push)
            earned.append(worlds.moved(push).to(at.device))
        return torch.stack(sights), torch.stack(moves), torch.stack(earned)

    def step(batch: Any) -> Tensor:
        sights, moves, earned = played(batch[0])
        returns = earned.flip(0).cumsum(0).flip(0) / args.moves
        for _ in range(args.passes):
            scores, value = model(sights.flatten(0, 1))
            gain = returns.flatten() - value
            chosen = F.cross_entropy(scores, moves.flatten(), reduction="none")
            loss = (chosen * gain.detach()).mean() + gain.square().mean()
            (loss / args.passes).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        detached: Tensor = loss.detach()
        return detached

    def made(index: int) -> tuple[Tensor]:
        return (torch.rand((), generator=torch.Generator().manual_seed(index)) * 2 * math.pi - math.pi,)

    train(args, at, lambda batches: loader_for(args, at, Samples(batches * args.batch, made)), step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--moves", type=int, default=32)
    parser.add_argument("--passes", type=int, default=2, help="over what was played, of one update")
    parser.add_argument("--worlds", choices=["objects", "arrays", "tensors"], default="objects")
    args = parser.parse_args(argv)
    if TINY:
        args.width, args.moves, args.batch = 16, 4, min(args.batch, 4)
    return args


if __name__ == "__main__":
    main()
