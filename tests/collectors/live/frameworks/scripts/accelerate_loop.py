"""A loop with Accelerate: accumulation over two batches, evaluation and a checkpoint; 41 batches make 21 updates."""

import tempfile

import torch
from accelerate import Accelerator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
model = nn.Linear(8, 8)
optimizer = torch.optim.AdamW(model.parameters())
schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
batches = DataLoader(TensorDataset(torch.randn(82, 8)), batch_size=2)
held_out = DataLoader(TensorDataset(torch.randn(20, 8)), batch_size=2)
model, optimizer, schedule, batches, held_out = accelerator.prepare(model, optimizer, schedule, batches, held_out)
updates = 0
for (batch,) in batches:
    with accelerator.accumulate(model):
        accelerator.backward(model(batch).square().mean())
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    if accelerator.sync_gradients:
        updates += 1
        if updates == 10:
            with torch.no_grad():
                for (one,) in held_out:
                    model(one)
            with tempfile.TemporaryDirectory() as folder:
                accelerator.save_state(folder)
print(updates)
