"""Record a part of a script of your own with `with llmprof.profile(...)`, instead of the whole with `llmprof run`.

    python examples/context_manager.py

The diagnosis is made when the block ends, in a process of its own: the verdict is printed, and the report lies in the
run directory.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import llmprof


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = nn.Sequential(nn.Linear(256, 1024), nn.GELU(), nn.Linear(1024, 10)).to(device)
    optimizer = torch.optim.AdamW(model.parameters())
    data = TensorDataset(torch.randn(20_000, 256), torch.randint(10, (20_000,)))

    with llmprof.profile():  # steps are found by themselves; llmprof.step() marks them where that fails
        for inputs, labels in DataLoader(data, batch_size=128, shuffle=True):
            loss = nn.functional.cross_entropy(model(inputs.to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    with torch.inference_mode():
        print(f"loss of the last batch: {loss.item():.3f}")


if __name__ == "__main__":
    main()
