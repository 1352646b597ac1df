"""Run under torchrun with two ranks: accumulation with and without the fix no-sync ends in the same parameters."""

import time

import torch
import torch.distributed as dist
from torch import nn

from llmprof.collectors.live.fixes import no_sync
from llmprof.collectors.live.fixes.applying.attempt import Attempt

COUNTS = [3, 3, 3, 3, 2, 3, 1, 1, 3]
"""Micro-steps of each step; the fifth is shorter than the fix expects, and two in a row end it."""


def train(reductions: list[bool]) -> torch.Tensor:
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel(nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    draw = torch.Generator().manual_seed(dist.get_rank())
    for count in COUNTS:
        for _ in range(count):
            loss = model(torch.randn(4, 8, generator=draw)).square().mean()
            reductions.append(model.require_backward_grad_sync)
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


dist.init_process_group("gloo")
plain: list[bool] = []
fixed: list[bool] = []
expected = train(plain)
attempt = Attempt("no-sync")
no_sync.apply(attempt)
found = train(fixed)
torch.testing.assert_close(found, expected)
others = [torch.empty_like(found) for _ in range(2)]
dist.all_gather(others, found)
torch.testing.assert_close(others[0], others[1])
# 2 steps to learn, 2 with one reduction each, then a short one, which is reduced by the fix, one more, and two short.
assert (sum(plain), sum(fixed)) == (22, 3 + 3 + 1 + 1 + 0 + 1 + 0 + 0 + 3), (plain, fixed)
assert attempt.report()["status"] == "failed"
if dist.get_rank() == 0:
    print("same parameters", flush=True)
time.sleep(0.2)  # gloo's threads let go of the last tensors; an interpreter that ends before them may abort
dist.destroy_process_group()
