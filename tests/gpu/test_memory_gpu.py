"""Memory on a real device: a real failure is described as torch counts it, and a real snapshot is read as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmprof.analyzers.diagnose import diagnose
from llmprof.collectors.files import load
from llmprof.collectors.files.memory_snapshot import read_snapshot
from llmprof.timeline import rundir
from llmprof.timeline.memory import MemorySnapshot

pytestmark = [pytest.mark.gpu, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20

TRAIN = """
import json, sys, torch

where, steps, how = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
total = torch.cuda.get_device_properties(0).total_memory
torch.cuda.set_per_process_memory_fraction(min(1.0, (2 << 30) / total), 0)  # 2 GiB, whatever the device has
net = torch.nn.Sequential(*[torch.nn.Linear(2048, 2048) for _ in range(4)]).cuda()
optimizer = torch.optim.AdamW(net.parameters())
kept = []

def fill():
    while True:
        kept.append(torch.empty(64 << 20, dtype=torch.uint8, device="cuda"))

class Full(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()
    @staticmethod
    def backward(ctx, gradient):
        fill()

for n in range(steps + 1):
    last = n == steps
    y = net(torch.randn(64, 2048, device="cuda"))
    try:
        if last and where == "forward":
            fill()
        (Full.apply(y) if last and where == "backward" else y).sum().backward()
        optimizer.step()
    except torch.OutOfMemoryError:
        stats = torch.cuda.memory_stats()
        print(json.dumps({"blocks": len(kept), "allocated": stats["allocated_bytes.all.current"],
                          "reserved": stats["reserved_bytes.all.current"], "ooms": stats["num_ooms"]}), flush=True)
        if "caught" not in how:
            raise
        kept.clear()
    optimizer.zero_grad()
"""

SNAPSHOT = """
import json, sys, torch

torch.cuda.memory._record_memory_history(max_entries=100000)
net = torch.nn.Sequential(*[torch.nn.Linear(1024, 1024) for _ in range(4)]).cuda()
optimizer = torch.optim.AdamW(net.parameters())
for _ in range(3):
    net(torch.randn(256, 1024, device="cuda")).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    torch.cuda.synchronize()
held = [torch.empty(3 << 20, dtype=torch.uint8, device="cuda") for _ in range(9)]
del held[::2]
torch.cuda.synchronize()
torch.cuda.memory._dump_snapshot(sys.argv[1])
stats = torch.cuda.memory_stats()
print(json.dumps({name: value for name, value in stats.items() if isinstance(value, int)}))
"""

COUNTERS = """
import json, sys, torch
from pathlib import Path
from llmprof.collectors.live.allocator import Allocator, counters, reader
from tests.collectors.live.fake_session import FakeSession

net = torch.nn.Linear(1024, 1024).cuda()
held = []

def step(n):
    net(torch.randn(64, 1024, device="cuda")).sum().backward()
    held.append(torch.empty(8 << 20, dtype=torch.uint8, device="cuda"))

session = FakeSession(Path(sys.argv[1]), options={})
session.train(Allocator(), 10, step)
lines = [line() if callable(line) else line for _, line in session.lines]
direct = counters(reader(torch, 0)())
stats = torch.cuda.memory_stats()
torch.cuda.reset_peak_memory_stats()
print(json.dumps({"lines": lines, "memory": session.rank_json["memory"], "direct": direct,
                  "stats": {name: value for name, value in stats.items() if isinstance(value, int)},
                  "total": torch.cuda.get_device_properties(0).total_memory}))
"""


def python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, env=environment, timeout=170
    )


def run(tmp_path: Path, *arguments: str, history: bool = False) -> tuple[Path, dict[str, Any]]:
    """A run of TRAIN under `llmprof run`: its directory, and what torch said when the allocation failed."""
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    option = ["--memory-history"] if history else []
    command = ["-m", "llmprof", "run", "-o", str(tmp_path / "run"), *option, "--", sys.executable, str(script)]
    done = python(*command, *arguments)
    said = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert said, done.stderr[-3000:]
    assert done.returncode == (0 if "caught" in arguments else 1), done.stderr[-3000:]
    return tmp_path / "run", json.loads(said[-1])


def report(run: Path) -> dict[str, Any]:
    path = run / "ranks" / "r00000" / rundir.OUT_OF_MEMORY
    assert path.is_file(), sorted(str(one) for one in run.rglob("*"))
    return json.loads(path.read_text())


@pytest.mark.parametrize(("where", "steps"), [("forward", 0), ("backward", 0), ("backward", 4)])
def test_a_real_failure_is_described(tmp_path: Path, where: str, steps: int) -> None:
    directory, said = run(tmp_path, where, str(steps))
    found = report(directory)
    assert found["requested"] == 64 * MIB
    assert found["count"] == said["ooms"] == found["ooms"]
    assert found["limit"] == pytest.approx(2 << 30, rel=0.01)
    assert found["phase"] in ({"backward"} if where == "backward" else {"forward", None})
    assert found["step"] in ({steps} if where == "backward" else {steps, None})
    assert found["reserved"] == found["segments"]["reserved_bytes"] == said["reserved"]
    assert found["allocated"] == found["segments"]["allocated_bytes"]
    if where == "forward":
        assert found["allocated"] == said["allocated"]
    else:  # what the backward pass held is free when the script meets the error
        assert found["allocated"] >= said["allocated"]
    parameters = 4 * (2048 * 2048 + 2048) * 4
    assert parameters <= found["held"]["parameters"] <= 1.05 * parameters
    assert any(group["blocks"] >= said["blocks"] for group in found["segments"]["live"])
    assert any("train.py" in place for place in found["stack"]) or where == "backward"


def test_a_run_that_died_in_its_first_step_has_a_verdict(tmp_path: Path) -> None:
    directory, _ = run(tmp_path, "backward", "0")
    verdict = diagnose(load(directory)).verdict
    assert (verdict.bound, verdict.detail) == ("memory", "capacity")
    assert "at step 0 in the backward pass (64.0 MiB asked for" in verdict.sentence
    assert (directory / "analysis.json").is_file()


def test_with_history_the_blocks_have_their_lines(tmp_path: Path) -> None:
    directory, said = run(tmp_path, "forward", "1", history=True)
    filled = [group for group in report(directory)["segments"]["live"] if any(" fill" in one for one in group["stack"])]
    assert sum(group["bytes"] for group in filled) == said["blocks"] * 64 * MIB


def test_a_failure_that_is_caught_does_not_end_the_run(tmp_path: Path) -> None:
    directory, _ = run(tmp_path, "forward", "3", "caught")
    memory = load(directory).ranks[0].memory
    assert memory is not None and memory.out_of_memory is not None
    assert not memory.out_of_memory.ended_the_run


@pytest.fixture(scope="module")
def dumped(tmp_path_factory: pytest.TempPathFactory) -> tuple[MemorySnapshot, dict[str, int]]:
    path = tmp_path_factory.mktemp("snapshot") / "memory.pickle"
    done = python("-c", SNAPSHOT, str(path))
    assert done.returncode == 0, done.stderr[-3000:]
    return read_snapshot(path).snapshot(), json.loads(done.stdout.splitlines()[-1])


def test_a_real_snapshot_has_torch_s_totals(dumped: tuple[MemorySnapshot, dict[str, int]]) -> None:
    found, stats = dumped
    assert found.segments.reserved_bytes == stats["reserved_bytes.all.current"]
    assert found.segments.allocated_bytes == stats["allocated_bytes.all.current"]
    active = found.segments.allocated_bytes + found.segments.awaiting_free_bytes
    assert active == stats["active_bytes.all.current"]
    assert found.segments.inactive_split_bytes == stats["inactive_split_bytes.all.current"]
    assert found.segments.blocks == stats["active.all.current"]


def test_the_history_of_a_real_snapshot_has_torch_s_peak(dumped: tuple[MemorySnapshot, dict[str, int]]) -> None:
    found, stats = dumped
    assert found.events > 100 and found.peak_bytes is not None
    # The history counts what was asked for, torch's peak what was in use by the allocator's rounding.
    peak = stats.get("requested_bytes.all.peak", stats["allocated_bytes.all.peak"])
    assert found.peak_bytes == pytest.approx(peak, rel=0.02)
    assert found.curve is not None and max(found.curve.bytes) == found.peak_bytes


def test_live_blocks_of_a_real_snapshot_have_their_stacks(dumped: tuple[MemorySnapshot, dict[str, int]]) -> None:
    found, _ = dumped
    assert any("<string>" in place for group in found.segments.live for place in group.stack)


def test_the_counters_are_torch_s_and_nothing_is_reset(tmp_path: Path) -> None:
    done = python("-c", COUNTERS, str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    stats, last = result["stats"], result["lines"][-1]
    names = {
        "allocated": "allocated_bytes.all.current",
        "reserved": "reserved_bytes.all.current",
        "peak_allocated": "allocated_bytes.all.peak",
        "peak_reserved": "reserved_bytes.all.peak",
        "inactive_split": "inactive_split_bytes.all.current",
        "retries": "num_alloc_retries",
        "ooms": "num_ooms",
        "device_alloc": "num_device_alloc",
        "device_free": "num_device_free",
    }
    assert {key: last.get(key) for key in names} == {key: stats.get(name) for key, name in names.items()}
    assert result["direct"] == {key: value for key, value in last.items() if key != "n"}
    assert [line["n"] for line in result["lines"]] == [*range(10), 9]
    assert result["memory"] == {"capacity_bytes": result["total"]}
