"""Does each rule about the machine and the course of a run fire on a recorded run into which its sign was put?

The runs of sample_traces/ were recorded on H200 GPUs. One thing is changed in a copy: what the driver, the allocator or
the step timer would have written. On the run as it was recorded the rule does not fire.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmprof.analyzers.diagnose import diagnose
from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.collectors.files import load
from llmprof.timeline.events import Kind
from llmprof.timeline.memory import AllocatorStats
from tests.scenarios.recordings import recorded

GIB = 1 << 30
SAMPLES = Path(__file__).resolve().parents[2] / "sample_traces"
Change = Callable[[Path], None]


def copied(name: str, target: Path) -> Path:
    source = SAMPLES / name
    if not source.is_dir():
        pytest.skip(f"sample_traces/{name} is not in this checkout")
    shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("derived", "report.html"))
    return target / name


def column(path: str, name: str, value: Callable[[int], Any]) -> Change:
    """Set a column of a table of the node, row by row; a new one is added."""

    def change(run: Path) -> None:
        file = next((run / "nodes").glob(f"*/{path}"))
        lines = [line.split(",") for line in file.read_text().splitlines()]
        if name not in lines[0]:
            lines = [[*cells, name if row == 0 else ""] for row, cells in enumerate(lines)]
        place = lines[0].index(name)
        for row, cells in enumerate(lines[1:]):
            cells[place] = str(value(row))
        file.write_text("".join(",".join(cells) + "\n" for cells in lines))

    return change


def steps(edit: Callable[[dict[str, Any]], None]) -> Change:
    """Change lines of steps.jsonl of rank 0; later steps begin as much later."""

    def change(run: Path) -> None:
        file = run / "ranks" / "r00000" / "steps.jsonl"
        later, lines = 0, []
        for line in map(json.loads, file.read_text().splitlines()):
            before = line["wall"]
            line["t"] += later
            edit(line)
            later += line["wall"] - before
            lines.append(json.dumps(line))
        file.write_text("\n".join(lines) + "\n")

    return change


def stall(name: str, every: int, ns: int) -> Change:
    def edit(line: dict[str, Any]) -> None:
        if line["n"] % every == every - 1 and line["phase"] in ("baseline", "after"):
            line["wall"] += ns
            line[name] = ns

    return steps(edit)


def longer(line: dict[str, Any], *, first: bool = False) -> None:
    if line["n"] == (0 if first else 12):
        line["wall"] += 90_000_000_000 if first else 700_000_000


def drifting(run: Path) -> None:
    """Five hundred more steps, each 0.02 ms longer than the one before."""
    file = run / "ranks" / "r00000" / "steps.jsonl"
    last = json.loads(file.read_text().splitlines()[-1])
    end = last["t"] + last["wall"]
    with file.open("a") as lines:
        for more in range(1, 501):
            wall = 36_000_000 + 20_000 * more
            lines.write(json.dumps({"n": last["n"] + more, "t": end, "wall": wall, "phase": "after"}) + "\n")
            end += wall


def allocator(rank: int = 0, **values: Callable[[int], int]) -> Change:
    """Readings every hundred steps of a long run."""

    def change(run: Path) -> None:
        file = run / "ranks" / f"r{rank:05d}" / "allocator.jsonl"
        line = json.loads(file.read_text().splitlines()[-1])
        lines = [{**line, "n": n, **{name: value(n) for name, value in values.items()}} for n in range(0, 1000, 100)]
        file.write_text("".join(json.dumps(one) + "\n" for one in lines))

    return change


def setting(**values: Any) -> Change:
    def change(run: Path) -> None:
        for file in (run / "ranks").glob("*/rank.json"):
            header = json.loads(file.read_text())
            header["environment"].update(values)
            file.write_text(json.dumps(header))

    return change


def node(**gpu: Any) -> Change:
    """A topology of two NUMA nodes and 1 TB of memory."""

    def change(run: Path) -> None:
        folder = next((run / "nodes").iterdir())
        described = {"index": 0, "numa_node": 1, "pcie_gen_max": 5, "pcie_width_max": 16, "sm_mhz_max": 1980, **gpu}
        known = {"gpus": [described], "numa_nodes": {"0": "0-7", "1": "8-15"}, "memory_bytes": 10**12}
        (folder / "topology.json").write_text(json.dumps(known))
        uuid = json.loads((run / "ranks" / "r00000" / "rank.json").read_text())["device"]["uuid"]
        (folder / "devices.json").write_text(json.dumps([{"gpu": 0, "uuid": uuid}]))

    return change


def both(*changes: Change) -> Change:
    def change(run: Path) -> None:
        for one in changes:
            one(run)

    return change


MODEL = {"trainable_bytes": {"float32": 20 * GIB}}
STATES = {"models": [MODEL], "optimizers": [{"name": "AdamW", "state_bytes": {"float32": 40 * GIB}}]}
SMALL = {
    "models": [{"trainable_bytes": {"float32": GIB}}],
    "optimizers": [{"name": "AdamW", "state_bytes": {"f": GIB}}],
}
FULL = allocator(peak_allocated=lambda n: 120 * GIB, peak_reserved=lambda n: 132 * GIB, retries=lambda n: 0)
PLANTED: dict[str, tuple[str, Change]] = {
    "throttling": ("host-small-model", column("device.csv", "throttle_reasons", lambda row: 0x40 if row % 3 else 0)),
    "power-cap": ("host-small-model", column("device.csv", "throttle_reasons", lambda row: 0x4)),
    "ecc-errors": ("host-small-model", column("device.csv", "ecc_uncorrected", lambda row: row)),
    "pcie-downgrade": (
        "host-small-model",
        both(
            node(),
            column("device.csv", "pcie_width", lambda row: 8),
            column("device.csv", "pcie_gen", lambda row: 5),
        ),
    ),
    "numa-misaffinity": ("host-small-model", both(node(), setting(cpu_affinity="0-3"))),
    "foreign-processes": (
        "host-small-model",
        both(
            column("device.csv", "other_processes", lambda row: 1),
            column("device.csv", "other_mem_bytes", lambda row: 8 * GIB),
        ),
    ),
    "foreign-memory": (
        "host-small-model",
        both(
            column("device.csv", "other_mem_bytes", lambda row: 0),
            column("device.csv", "mem_used_bytes", lambda row: 9 * GIB),
        ),
    ),
    "host-memory-pressure": (
        "host-small-model",
        both(node(), column("host.csv", "available_bytes", lambda row: 10**11)),
    ),
    "hollow-utilization": (
        "host-small-model",
        both(column("device.csv", "gpu_util", lambda row: 100), column("device.csv", "sm_active", lambda row: 20)),
    ),
    "checkpoint-stall": ("host-small-model", stall("checkpoint", 10, 300_000_000)),
    "evaluation-stall": ("host-small-model", stall("evaluation", 10, 300_000_000)),
    "step-outliers": ("host-small-model", steps(longer)),
    "step-drift": ("host-small-model", drifting),
    "long-warm-up": ("host-small-model", steps(lambda line: longer(line, first=True))),
    "memory-creep": ("host-small-model", allocator(allocated=lambda n: 2 * GIB + n * (4 << 20))),
    "allocator-retries": ("host-small-model", allocator(retries=lambda n: n // 100)),
    "memory-near-limit": (
        "host-small-model",
        allocator(peak_allocated=lambda n: 130 * GIB, peak_reserved=lambda n: 137 * GIB, retries=lambda n: 0),
    ),
    "fragmentation": (
        "host-small-model",
        allocator(
            peak_allocated=lambda n: 50 * GIB,
            peak_reserved=lambda n: 130 * GIB,
            reserved=lambda n: 130 * GIB,
            inactive_split=lambda n: 75 * GIB,
            retries=lambda n: n // 100,
        ),
    ),
    "activations-dominate": ("host-small-model", both(setting(**SMALL), FULL)),
    "states-dominate": ("host-ddp", both(setting(**STATES), FULL)),
    "rank-memory-imbalance": (
        "host-ddp",
        both(
            allocator(0, peak_allocated=lambda n: 50 * GIB, peak_reserved=lambda n: 60 * GIB),
            allocator(1, peak_allocated=lambda n: 90 * GIB, peak_reserved=lambda n: 99 * GIB),
        ),
    ),
}  # fmt: skip


def fired(found: Diagnosis) -> set[str]:
    return {finding.rule for finding in found.findings if finding.status == "fired"}


def fired_as_recorded(name: str) -> set[str]:
    return fired(recorded(name)[0])


@pytest.mark.parametrize("rule", sorted(PLANTED))
def test_it_fires_with_its_sign_and_not_without(rule: str, tmp_path: Path) -> None:
    name, change = PLANTED[rule]
    run = copied(name, tmp_path)
    change(run)
    found = diagnose(load(run))
    assert rule in fired(found), next(one.summary for one in found.findings if one.rule == rule)
    assert rule not in fired_as_recorded(name)


@pytest.mark.parametrize(("name", "rule"), [("host-ddp", "unused-memory"), ("host-small-model", "unused-memory")])
def test_rules_that_fire_on_runs_as_they_were_recorded(name: str, rule: str) -> None:
    assert rule in fired_as_recorded(name)


def test_a_perturbed_recording_is_told() -> None:
    assert "profiler-perturbation" in fired_as_recorded("host-small-model")


def test_the_logits_of_a_recorded_loss_fill_a_device_that_is_just_large_enough(recordings: Path) -> None:
    """A trace with shapes knows the logits; beside them 3 GiB on a device of 3.1 are what an allocator would say."""
    timeline = load(recordings / "h200" / "compute_fp32.rank0.json.gz")
    stats = AllocatorStats(
        capacity_bytes=int(3.1 * GIB), peak_allocated_bytes=3 * GIB, peak_reserved_bytes=3 * GIB, retries=0
    )
    full = replace(timeline, ranks=(replace(timeline.ranks[0], memory=stats),))
    assert "logits-spike" in fired(diagnose(full))
    assert "logits-spike" not in fired(diagnose(timeline))


def test_one_gpu_whose_kernels_take_a_tenth_longer(recordings: Path) -> None:
    """Two H200 of one node, as they were recorded 1 % apart; in the copy each kernel of rank 0 takes a tenth longer."""
    timeline = load(sorted((recordings / "h200").glob("comm_manual.rank*.json.gz")))
    events = timeline.ranks[0].events
    assert events is not None
    kernels = events.kind == Kind.KERNEL
    slow = replace(timeline.ranks[0], events=replace(events, dur=np.where(kernels, events.dur * 11 // 10, events.dur)))
    found = diagnose(replace(timeline, ranks=(slow, *timeline.ranks[1:])))
    assert next(one.ranks for one in found.findings if one.rule == "gpu-spread") == (0,)
    assert "gpu-spread" not in fired(diagnose(timeline))
