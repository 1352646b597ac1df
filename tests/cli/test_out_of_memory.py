"""A run that dies of a full device leaves with its own exit code and a verdict; a memory snapshot is read alone."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from llmprof.timeline import rundir
from tests.cli.conftest import InProcess, Llmprof, assert_one_sentence
from tests.collectors.files.snapshots import snapshot, write

TRAIN = """
import sys, torch
from llmprof.collectors.live import injection

net = torch.nn.Linear(8, 8)
optimizer = torch.optim.AdamW(net.parameters())

class Full(torch.autograd.Function):
    '''Its backward does what the allocator of a full device does: it calls the observer and raises.'''
    @staticmethod
    def forward(ctx, x):
        return x.clone()
    @staticmethod
    def backward(ctx, gradient):
        injection.current()._memory.observe(0, 3 << 30, 80 << 30, 1 << 30)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB.")

for n in range(int(sys.argv[1]) + 1):
    y = net(torch.randn(4, 8))
    (Full.apply(y) if n == int(sys.argv[1]) else y).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
"""


def test_a_run_that_ran_out_of_memory_hands_on_its_exit_code_and_has_a_verdict(
    llmprof: Llmprof, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(TRAIN)
    done = llmprof("run", "-o", "run", "--", sys.executable, "train.py", "0")
    assert done.returncode == 1
    assert "torch.OutOfMemoryError: CUDA out of memory" in done.stderr  # the script's own words come first
    analysis = rundir.read_json(tmp_path / "run" / "analysis.json")
    assert (analysis["verdict"]["bound"], analysis["verdict"]["detail"]) == ("memory", "capacity")
    assert "ran out of memory at step 0 in the backward pass (3.0 GiB asked for" in analysis["verdict"]["sentence"]
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_snapshot_alone_has_no_verdict_on_speed(in_process: InProcess, tmp_path: Path) -> None:
    write(tmp_path / "snapshot.pickle", snapshot(oom=False))
    done = in_process("analyze", "snapshot.pickle")
    assert done.returncode == 4
    assert "64.0 MiB of it from project/train.py:42 forward" in " ".join(done.stdout.split())


def test_any_other_pickle_is_refused_in_one_sentence(in_process: InProcess, tmp_path: Path) -> None:
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(OSError("anything with a class")))
    done = in_process("analyze", "model.pickle")
    assert done.returncode == 2
    assert_one_sentence(done.stderr)
    assert "could run code" in done.stderr
