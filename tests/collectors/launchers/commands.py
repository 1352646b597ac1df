"""A command as it is, and the same command under `llmprof run`: side by side."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from llmprof.timeline import rundir
from tests.collectors.live.conftest import Recorded, read

ROOT = Path(__file__).resolve().parents[3]
PYTHON = sys.executable
# Not through PYTHONPATH, and the package's own folder is not on the path of the command: it brings its own copy.
LLMPROF = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from llmprof.cli.app import main; main()"

LOOP = """
import os, sys, time, torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

def train(steps=12, pause=0.0, **loader):
    net = nn.Linear(8, 8)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for (batch,) in DataLoader(TensorDataset(torch.randn(steps * 2, 8)), batch_size=2, **loader):
        optimizer.zero_grad()
        net(batch).sum().backward()
        optimizer.step()
        time.sleep(pause)
"""
"""A training loop that any launcher can start."""

DDP = """
import os, sys, time, torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

def train(steps=12, pause=0.0):
    net = DistributedDataParallel(nn.Linear(8, 8))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for step in range(steps):
        optimizer.zero_grad()
        net(torch.randn(2, 8)).sum().backward()
        optimizer.step()
        time.sleep(pause)
        yield step
    time.sleep(0.2)  # gloo's threads let go of the last tensors; an interpreter that ends before them may abort
"""


def under_llmprof(command: Sequence[str], run: Path | str = "run", *options: str) -> list[str]:
    """The words of `llmprof run`; relative to the folder in which it is started."""
    return [PYTHON, "-c", LLMPROF, "run", "-o", str(run), "--trace-steps", "0", *options, "--", *command]


def environment(**more: str) -> dict[str, str]:
    """This environment without what the tests' own launcher may have left, on the loopback interface only."""
    left_out = ("PYTHONPATH", "RANK", "WORLD_SIZE", "LOCAL_RANK")
    kept = {name: value for name, value in os.environ.items() if name not in left_out and name[:6] != "SLURM_"}
    return {**kept, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", **more}


def start(command: Sequence[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        list(command),
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def record(command: Sequence[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run it recorded into folder/run, without a diagnosis."""
    return start(under_llmprof(command, "run", "--no-report"), folder, **variables)


def ranks_of(folder: Path) -> list[str]:
    """The names of the folders that ranks have recorded into."""
    return [path.name for _, _, path in rundir.rank_dirs(folder / "run")]


def recorded(folder: Path, rank: int = 0) -> Recorded:
    """What a rank has written."""
    return read(folder / "run", rank)


def needed(program: str) -> str:
    """The program beside this Python, or on PATH; the test is skipped without it."""
    beside = Path(PYTHON).parent / program
    found = str(beside) if beside.exists() else shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found
