"""A Trainer with the callback: where nothing records, recorded by the callback, and in a recording of the script."""

import json
import tempfile

import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

import llmprof
from llmprof.integrations.huggingface import LlmprofCallback


class Rows(Dataset):
    def __len__(self):
        return 24

    def __getitem__(self, index):
        return {"x": torch.randn(8), "labels": torch.zeros(8)}


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x, labels):
        return {"loss": (self.linear(x) - labels).square().mean()}


def train(callback):
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=1, per_device_train_batch_size=2, report_to=[], use_cpu=True, disable_tqdm=True
        )
        trainer = Trainer(Model(), arguments, train_dataset=Rows(), callbacks=[callback])
        trainer.train()
        return trainer.state.global_step


counts = [
    train(LlmprofCallback()),
    train(LlmprofCallback(llmprof.profile("runs/callback", diagnose=False))),
]
with llmprof.profile("runs/block", diagnose=False):
    counts.append(train(LlmprofCallback()))
print(json.dumps(counts))
