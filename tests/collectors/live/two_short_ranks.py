"""Run under torchrun with two ranks: 60 steps of at least 40 ms, whose number the loader tells."""

import time

import torch
import torch.distributed as dist
from torch import nn

STEPS, STEP_S = 60, 0.04

dist.init_process_group("gloo")
model = nn.parallel.DistributedDataParallel(nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for batch in torch.utils.data.DataLoader(torch.randn(4 * STEPS, 8), batch_size=4):
    model(batch).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
    time.sleep(STEP_S)
dist.destroy_process_group()
