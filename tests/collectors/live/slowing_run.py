"""A program whose loader becomes slow for good in the course of the run; recorded, until it has traced itself for that.

    python -m tests.collectors.live.slowing_run FOLDER DEVICE

StepWatch looks at windows of 12 steps and 0.2 s here, instead of 32 and 10 s, so that all of it takes some seconds, and
is content with one spread, because the usual steps of a busy machine differ; for the same reason a step has to take
four times as long as usual, where the loader makes it take over ten times as long.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset

from llmprof.collectors.live import injection, regression, session
from llmprof.timeline import rundir

PLENTY = 600
SLOW_FROM = 150


class Rows(Dataset[torch.Tensor]):
    def __len__(self) -> int:
        return PLENTY

    def __getitem__(self, index: int) -> torch.Tensor:
        time.sleep(0.005 if index < SLOW_FROM else 0.080)
        return torch.ones(64)


def main() -> None:
    folder, device = Path(sys.argv[1]), sys.argv[2]
    regression.WINDOW_STEPS, regression.WINDOW_NS, regression.SPREADS = 12, 200_000_000, 1.0
    regression.SLOWER = 4.0
    session.FLUSH_S = 0.2
    recording = injection.record(lambda: folder, {"baseline_steps": 20})
    model = torch.nn.Linear(64, 64).to(device)
    optimizer = torch.optim.AdamW(model.parameters())
    left = PLENTY
    for number, rows in enumerate(DataLoader(Rows())):
        model(rows.to(device)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        if number % 20 == 0 and left == PLENTY and len(bursts(folder)) > 1:
            left = number + 10  # some steps after the burst
        if number > left:
            break
    recording.stop()


def bursts(folder: Path) -> list[object]:
    """Those that rank.json knows of."""
    path = folder / "ranks" / "r00000" / rundir.RANK
    return list(rundir.read_json(path).get("bursts", [])) if path.exists() else []


if __name__ == "__main__":
    main()
