"""Lightning: accumulation over two batches, validation in two epochs, checkpoints; then a model with two optimizers.

The second model is trained by hand on 20 batches, each of which steps both optimizers. The package is the argument.
"""

import sys
import tempfile

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

if "pytorch_lightning" in sys.argv:
    import pytorch_lightning as lightning
else:
    import lightning


class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def training_step(self, batch, index):
        return self.linear(batch[0]).square().mean()

    def validation_step(self, batch, index):
        self.log("loss", self.linear(batch[0]).square().mean())

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters())


class Pair(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.critic, self.maker = nn.Linear(8, 8), nn.Linear(8, 8)

    def training_step(self, batch, index):
        for optimizer, part in zip(self.optimizers(), (self.critic, self.maker), strict=True):
            optimizer.zero_grad()
            self.manual_backward(part(batch[0]).square().mean())
            optimizer.step()

    def configure_optimizers(self):
        return [torch.optim.AdamW(part.parameters()) for part in (self.critic, self.maker)]


def loader(batches):
    return DataLoader(TensorDataset(torch.randn(2 * batches, 8)), batch_size=2)


with tempfile.TemporaryDirectory() as folder:
    quiet = {
        "default_root_dir": folder,
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    first = lightning.Trainer(max_epochs=2, accumulate_grad_batches=2, val_check_interval=10, **quiet)
    first.fit(Module(), loader(21), loader(5))
    second = lightning.Trainer(max_epochs=1, **quiet)
    second.fit(Pair(), loader(20))
print(first.global_step + second.global_step // 2)
