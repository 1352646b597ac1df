"""Hugging Face Trainer: accumulation over two batches, evaluation and a checkpoint every ten updates, two epochs."""

import tempfile

import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments


class Rows(Dataset):
    def __len__(self):
        return 41

    def __getitem__(self, index):
        return {"x": torch.randn(8), "labels": torch.zeros(8)}


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x, labels):
        out = self.linear(x)
        return {"loss": (out - labels).square().mean(), "logits": out}


with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(
        folder,
        num_train_epochs=2,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        eval_strategy="steps",
        eval_steps=10,
        save_steps=10,
        logging_steps=5,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = Trainer(Model(), arguments, train_dataset=Rows(), eval_dataset=Rows())
    trainer.train()
print(trainer.state.global_step)
