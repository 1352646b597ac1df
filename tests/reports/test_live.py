"""What a running job looks like at a glance: read as it grows, suspected only for what stands out, never too wide."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmprof.reports.exporters.figures import figures_of
from llmprof.reports.live import LINES, panel, suspicion_of
from llmprof.reports.live_run import LiveRun, LiveState
from llmprof.timeline import rundir
from tests.conftest import ROOT
from tests.reports.samples import HOSTILE_NAMES

MS = 1_000_000


class Job:
    """A run directory that grows."""

    def __init__(self, folder: Path, **header: Any) -> None:
        self.folder = folder
        self.start = time.time_ns() - 5_000 * MS
        self.steps = 0
        rundir.write_json_atomic(folder / rundir.RUN, {"start_unix_ns": self.start, "exit_code": None, **header})
        (folder / "ranks" / "r00000").mkdir(parents=True)
        (folder / "nodes" / "n0").mkdir(parents=True)

    def step(self, count: int = 1, *, tail: str = "", **parts: Any) -> None:
        with open(self.folder / "ranks" / "r00000" / rundir.STEPS, "a") as file:
            for _ in range(count):
                line = {"n": self.steps, "t": self.start + self.steps * 100 * MS, "wall": 100 * MS, "phase": "baseline"}
                file.write(json.dumps({**line, **parts}) + "\n")
                self.steps += 1
            file.write(tail)

    def gpus(self, utils: list[float], **cells: Any) -> None:
        names = ["gpu_util", "mem_used_bytes", "mem_total_bytes", "throttle_reasons"]
        now = time.time_ns()
        with open(self.folder / "nodes" / "n0" / "device.csv", "a") as file:
            if not file.tell():
                file.write(f"t_ns,gpu,{','.join(names)}\n")
            for gpu, util in enumerate(utils):
                row = {"gpu_util": util, "mem_used_bytes": 10 << 30, "mem_total_bytes": 100 << 30, **cells}
                file.write(f"{now},{gpu},{','.join(str(row.get(name, '')) for name in names)}\n")


def text(state: LiveState, width: int = 100) -> str:
    return "\n".join(line.plain for line in panel(state, width))


def test_a_run_is_followed_as_it_grows_and_half_a_line_waits(tmp_path: Path) -> None:
    job, live = Job(tmp_path), LiveRun(tmp_path)
    assert "no completed step yet" in text(live.look())
    job.step(3, tail='{"n": 3, "t":')
    assert [step.number for step in live.look().steps] == [0, 1, 2]
    assert [step.number for step in live.look().steps] == [0, 1, 2]
    with open(tmp_path / "ranks" / "r00000" / rundir.STEPS, "a") as file:
        file.write(' 5, "wall": 7000000, "phase": "after"}\n{damaged}\n\xff\n')
    assert [step.number for step in live.look().steps] == [0, 1, 2, 3]


@pytest.mark.parametrize("value", [True, -1, "x", None, [1], {}, 1.5, 10**400, float("nan")])
@pytest.mark.parametrize("key", ["n", "t", "wall", "data_wait", "tokens", "gc", "phase"])
def test_damaged_lines_are_passed_over(tmp_path: Path, key: str, value: object) -> None:
    job, live = Job(tmp_path), LiveRun(tmp_path)
    job.step(3, data_wait=1, tokens=5)
    job.step(1, **{key: value})
    job.gpus([50.0], gpu_util="x", throttle_reasons="1e999")
    state = live.look()
    assert len(state.steps) >= 3
    assert text(state)
    assert all(np.isfinite(track.value).all() for track in figures_of(tmp_path).tracks)


def test_waiting_for_data_is_suspected(tmp_path: Path) -> None:
    job, live = Job(tmp_path), LiveRun(tmp_path)
    job.step(20, data_wait=60 * MS)
    state = live.look()
    assert suspicion_of(state).startswith("input-bound: waits for data 60 %")
    assert "20/20 steps" in text(state)
    assert "input wait 60 %" in text(state)


def test_a_wait_that_the_device_hides_is_not(tmp_path: Path) -> None:
    """On a GPU the host may wait for its batch as long as it likes while kernels run."""
    job, live = Job(tmp_path), LiveRun(tmp_path)
    for place in range(20):
        sampled = {"device": 99 * MS, "data_wait_exposed": 0} if place % 4 == 0 else {}
        job.step(data_wait=60 * MS, **sampled)
    job.gpus([95.0])
    assert suspicion_of(live.look()) == ""


@pytest.mark.parametrize(
    ("parts", "gpus", "cells", "word"),
    [
        ({"data_wait": 0}, [12.0, 20.0], {}, "host-bound"),
        ({"data_wait": 0, "checkpoint": 40 * MS}, [90.0], {}, "stalled: checkpoint"),
        ({"data_wait": 0}, [90.0], {"throttle_reasons": 0x40}, "throttled"),
        ({"data_wait": 0}, [90.0], {"throttle_reasons": 0x4}, ""),
        ({"data_wait": 0}, [90.0], {"mem_used_bytes": 99 << 30}, "short of memory"),
        ({"data_wait": 0}, [90.0], {}, ""),
        ({"data_wait": 0}, [], {}, ""),
    ],
)
def test_what_stands_out_is_suspected_and_nothing_else(
    tmp_path: Path, parts: dict[str, int], gpus: list[float], cells: dict[str, int], word: str
) -> None:
    job, live = Job(tmp_path), LiveRun(tmp_path)
    job.step(20, **parts)
    job.gpus(gpus, **cells)
    found = suspicion_of(live.look())
    assert found.startswith(word) and bool(found) == bool(word)


@pytest.mark.parametrize(("silent_s", "stuck"), [(20, False), (300, True)])
def test_a_job_that_stands_still_is_noticed(tmp_path: Path, silent_s: int, stuck: bool) -> None:
    job, live = Job(tmp_path), LiveRun(tmp_path)
    job.start = time.time_ns() - silent_s * 1000 * MS
    job.step(3, data_wait=0)
    job.gpus([90.0])
    assert suspicion_of(live.look()).startswith("quiet") == stuck


def test_two_steps_are_not_enough_to_suspect_anything(tmp_path: Path) -> None:
    job, live = Job(tmp_path), LiveRun(tmp_path)
    job.step(2, data_wait=90 * MS)
    assert suspicion_of(live.look()) == ""


def test_many_gpus_are_told_in_three_lines(tmp_path: Path) -> None:
    job, live = Job(tmp_path), LiveRun(tmp_path)
    job.step(5)
    job.gpus([float(place) for place in range(64)])
    lines = [line for line in text(live.look()).splitlines() if "busy of" in line]
    assert [line.split()[0] for line in lines] == ["least", "median", "most"]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_panel_is_never_larger_than_its_place(tmp_path: Path, width: int) -> None:
    hostile = tmp_path / "x\x1b[31m\u202e"
    hostile.mkdir()
    job, live = Job(hostile), LiveRun(hostile)
    job.step(30, data_wait=50 * MS)
    job.gpus([50.0] * 4)
    with open(hostile / "ranks" / "r00000" / rundir.EVENTS, "w") as file:
        for name in HOSTILE_NAMES:
            file.write(json.dumps({"kind": "disarmed", "collector": name}) + "\n")
    lines = panel(live.look(), width)
    assert len(lines) <= LINES
    assert max(line.cell_len for line in lines) <= width
    assert not {"\x1b", "\u202e"} & set("".join(line.plain for line in lines))


def test_a_run_that_has_ended_says_how(tmp_path: Path) -> None:
    job = Job(tmp_path, exit_code=137, signal="SIGKILL", end_unix_ns=time.time_ns())
    job.step(4)
    assert "ended by SIGKILL" in text(LiveRun(tmp_path).look())


def test_only_the_end_of_a_long_file_is_read_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmprof.reports.live_run.MOST_AT_ONCE", 1000)
    job = Job(tmp_path)
    job.step(500)
    steps = LiveRun(tmp_path).look().steps
    assert steps[-1].number == 499
    assert len(steps) < 20


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "sample_traces").glob("*/")))
def test_recorded_runs_read_whole(name: str) -> None:
    state = LiveRun(ROOT / "sample_traces" / name).look()
    assert state.steps and state.gpus
    assert state.ended == "ended with exit code 0"
    expected = {"data-in-process": "input-bound", "host-small-model": "host-bound", "host-ddp": "host-bound"}
    assert suspicion_of(state).partition(":")[0] == expected.get(name, "")
    assert os.linesep in text(state)
