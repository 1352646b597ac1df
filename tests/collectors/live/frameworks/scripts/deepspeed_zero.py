"""DeepSpeed on one CPU rank, the ZeRO stage as argument: 40 batches, two to an update; a checkpoint after the tenth.

The optimizer has 20 parameter groups, and ZeRO makes sub-groups of single parameters: it steps the inner one often.
"""

import os
import sys
import tempfile

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

os.environ.update(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0", MASTER_ADDR="localhost", MASTER_PORT="0")
torch.distributed.init_process_group("gloo", rank=0, world_size=1, store=torch.distributed.HashStore())
import deepspeed  # noqa: E402

stage = int(sys.argv[1])
dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[sys.argv[2]]
model = nn.Sequential(*(nn.Linear(8, 8, bias=False) for _ in range(20)))
config = {
    "train_micro_batch_size_per_gpu": 2,
    "gradient_accumulation_steps": 2,
    "zero_optimization": {"stage": stage, "sub_group_size": 64},
    "bf16": {"enabled": dtype is torch.bfloat16},
    # So large a scale overflows: the first updates are left out.
    "fp16": {"enabled": dtype is torch.float16, "initial_scale_power": 24, "hysteresis": 1},
}
optimizer = torch.optim.AdamW([{"params": [parameter]} for parameter in model.parameters()])
engine, _, _, _ = deepspeed.initialize(model=model, optimizer=optimizer, config=config)
batches = DataLoader(TensorDataset(torch.randn(80, 8)), batch_size=2)
for number, (batch,) in enumerate(batches, 1):
    engine.backward(engine(batch.to(dtype)).square().mean())
    engine.step()
    if number == 20:
        with tempfile.TemporaryDirectory() as folder:
            engine.save_checkpoint(folder)
print(engine.skipped_steps)
print(engine.global_steps)
