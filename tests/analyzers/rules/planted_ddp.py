"""A small training on two CPU ranks that searches for unused parameters, although all are used, and shares figures."""

from __future__ import annotations

import time

import torch
import torch.distributed
from torch import nn


def main() -> None:
    torch.distributed.init_process_group("gloo")
    net = nn.Sequential(*[nn.Linear(256, 256) for _ in range(20)])
    model = nn.parallel.DistributedDataParallel(net, find_unused_parameters=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    for _ in range(110):
        optimizer.zero_grad()
        loss = model(torch.randn(256, 256)).square().mean()
        loss.backward()
        optimizer.step()
        for _ in range(60):
            torch.distributed.all_reduce(loss.detach())
    time.sleep(0.2)  # gloo's threads let go of the last tensors; an interpreter that ends before them may abort
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
