"""torchdata's StatefulDataLoader with two workers, two epochs of ten batches: 20 updates."""

import torch
from torch import nn
from torch.utils.data import TensorDataset
from torchdata.stateful_dataloader import StatefulDataLoader

if __name__ == "__main__":
    model = nn.Linear(8, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loader = StatefulDataLoader(TensorDataset(torch.randn(20, 8)), batch_size=2, num_workers=2)
    updates = 0
    for _ in range(2):
        for (batch,) in loader:
            model(batch).square().mean().backward()
            optimizer.step()
            updates += 1
    print(updates)
