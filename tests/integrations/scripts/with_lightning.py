"""A Trainer with the callback: where nothing records, recorded by the callback, and in a recording of the script."""

import json
import tempfile

import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import llmprof
from llmprof.integrations.lightning import LlmprofCallback


class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def training_step(self, batch, index):
        return self.linear(batch[0]).square().mean()

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters())


class FailsAtFive(lightning.Callback):
    def on_train_batch_start(self, trainer, module, batch, index):
        if index == 5:
            raise ValueError("out of data")


def train(*callbacks):
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            max_epochs=1,
            accumulate_grad_batches=2,
            default_root_dir=folder,
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=list(callbacks),
        )
        trainer.fit(Module(), DataLoader(TensorDataset(torch.randn(48, 8)), batch_size=2))
        return trainer.global_step


counts = [
    train(LlmprofCallback()),
    train(LlmprofCallback(llmprof.profile("runs/callback", diagnose=False))),
]
with llmprof.profile("runs/block", diagnose=False):
    counts.append(train(LlmprofCallback()))
try:
    train(FailsAtFive(), LlmprofCallback(llmprof.profile("runs/failed", diagnose=False)))
except ValueError:
    counts.append(2)
print(json.dumps(counts))
