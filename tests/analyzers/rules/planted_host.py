"""A small training on the CPU with bottlenecks of the host and the input in it, by name."""

from __future__ import annotations

import gc
import sys
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


class Node:
    """Garbage that only the cycle collector finds."""

    def __init__(self) -> None:
        self.me = self


class Samples(Dataset[Tensor]):
    """Random samples; with `tail` every twelfth takes long."""

    def __init__(self, count: int, *, tail: bool) -> None:
        self.count, self.tail = count, tail

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        if self.tail:
            time.sleep(0.25 if index % 12 == 0 else 0.005)
        return torch.full((64,), float(index))


def busy(seconds: float) -> None:
    """Python work, not sleep."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def main(planted: set[str]) -> None:
    steps = 110
    if "anomaly" in planted:
        torch.autograd.set_detect_anomaly(True)
    width = 512
    net: Any = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 64))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4)
    compiled = torch.compile(lambda x: (x * 2).relu() + x.shape[0], backend="eager", dynamic=False)
    torch._dynamo.config.recompile_limit = 10_000
    torch._dynamo.config.accumulated_recompile_limit = 10_000
    workers = 5 if "workers" in planted else 2
    epoch = 12 if "epochs" in planted else steps
    loader = DataLoader(Samples(8 * epoch, tail=False), batch_size=8, num_workers=workers)
    if "tail" in planted:
        loader = DataLoader(Samples(steps, tail=True), batch_size=1, num_workers=2)
    junk: list[Node] = [Node() for _ in range(100_000)] if "gc" in planted else []
    done = 0
    while done < steps:
        for batch in loader:
            if "preprocessing" in planted:
                busy(0.015)
            if "recompile" in planted:
                batch = compiled(torch.cat([batch, torch.zeros(done, 64)]))
            optimizer.zero_grad()
            net(batch).square().mean().backward()
            if "tail" in planted:
                time.sleep(0.02)
            if "python" in planted:
                busy(0.02)
            optimizer.step()
            if "gc" in planted and done % 3 == 0:
                gc.collect()
            done += 1
            if done >= steps:
                break
    del junk


if __name__ == "__main__":
    main(set(sys.argv[1].split(",")))
