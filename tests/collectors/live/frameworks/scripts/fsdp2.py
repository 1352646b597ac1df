"""FSDP2 on the CPU (gloo): 40 batches, two to an update; a distributed checkpoint after the tenth."""

import tempfile
import time

import torch
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.state_dict import get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.utils.data import DataLoader, TensorDataset

torch.distributed.init_process_group("gloo")
mesh = init_device_mesh("cpu", (torch.distributed.get_world_size(),))
model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
for layer in model:
    fully_shard(layer, mesh=mesh)
fully_shard(model, mesh=mesh)
optimizer = torch.optim.AdamW(model.parameters())
updates = 0
for number, (batch,) in enumerate(DataLoader(TensorDataset(torch.randn(80, 8)), batch_size=2), 1):
    model(batch).square().mean().backward()
    if number % 2 == 0:
        optimizer.step()
        optimizer.zero_grad()
        updates += 1
        if updates == 10:
            folder = [tempfile.mkdtemp()]
            torch.distributed.broadcast_object_list(folder)
            dcp.save({"model": get_model_state_dict(model)}, checkpoint_id=folder[0])
print(updates)
time.sleep(0.2)  # gloo's threads let go of the last tensors; an interpreter that ends before them may abort
torch.distributed.destroy_process_group()
