"""An Accelerate loop with a prepared Accelerator: where nothing records, and recorded by it."""

import json

import torch
from accelerate import Accelerator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import llmprof
from llmprof.integrations.accelerate import prepare


def train(accelerator):
    model = nn.Linear(8, 8)
    optimizer = torch.optim.AdamW(model.parameters())
    batches = DataLoader(TensorDataset(torch.randn(48, 8)), batch_size=2)
    model, optimizer, batches = accelerator.prepare(model, optimizer, batches)
    updates = 0
    for (batch,) in batches:
        with accelerator.accumulate(model):
            accelerator.backward(model(batch).square().mean())
            optimizer.step()
            optimizer.zero_grad()
        updates += accelerator.sync_gradients
    accelerator.end_training()
    return updates


def accelerator():
    return Accelerator(cpu=True, gradient_accumulation_steps=2)


plain = accelerator()
counts = [train(prepare(plain))]
assert "accumulate" not in vars(plain)  # nothing of ours where nothing records
counts.append(train(prepare(accelerator(), llmprof.profile("runs/prepared", diagnose=False))))
with llmprof.profile("runs/block", diagnose=False):
    counts.append(train(prepare(accelerator())))
print(json.dumps(counts))
