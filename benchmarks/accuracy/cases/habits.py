"""What do people do beside training, step by step, that slows it? Logging, leaks, hiccups and the like."""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
import torch.distributed as dist
from common import Place
from torch import Tensor

__all__ = ["Habits", "habit_options"]


def habit_options(parser: argparse.ArgumentParser) -> None:
    """One option a habit."""
    parser.add_argument("--log-norms", type=int, default=0, help="norms of gradients read in every step")
    parser.add_argument("--leak-mib", type=int, default=0, help="device memory that every step keeps")
    parser.add_argument("--hiccup-ms", type=int, default=0, help="a pause at steps that have nothing in common")
    parser.add_argument("--growing-work", type=int, default=0, help="entries that a list gains with every step")
    parser.add_argument("--small-reductions", type=int, default=0, help="numbers reduced over the ranks one by one")


class Habits:
    """Called after the backward of every step."""

    def __init__(self, args: argparse.Namespace, at: Place, model: Any) -> None:
        self.args, self.at = args, at
        self.gradients = list(model.parameters())[: args.log_norms]
        self.kept: list[Tensor] = []
        self.history: list[float] = []
        self.logged: list[float] = []
        self.steps = 0

    def after_backward(self) -> None:
        """Do what the options say."""
        args = self.args
        self.steps += 1
        self.logged = [float(parameter.grad.norm().cpu()) for parameter in self.gradients]
        if args.leak_mib:
            self.kept.append(torch.ones(args.leak_mib << 18, device=self.at.device))
        if args.hiccup_ms and self.steps in (17, 28, 31, 47, 66, 83):
            time.sleep(args.hiccup_ms / 1000)
        if args.growing_work:
            self.history += [0.5] * args.growing_work
            self.logged = [sum(entry * 1.5 for entry in self.history)]
        if dist.is_initialized():
            for number in range(args.small_reductions):
                dist.all_reduce(torch.full((), float(number), device=self.at.device))
