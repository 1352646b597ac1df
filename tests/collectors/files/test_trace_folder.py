"""Folders as profilers leave them: several cycles, several runs, several ranks, junk in between."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llmprof.collectors.files import load
from llmprof.collectors.files.trace_folder import stamp_of, traces_in
from llmprof.errors import InputError
from tests.scenarios.builder import ORIGIN_NS, TraceBuilder
from tests.scenarios.files import events_of

S = 1_000_000_000
STAMP = 1_790_857_030 * S


def trace(path: Path, *, rank: int | None = None, world_size: int = 2, after_s: int = 0, name: str = "gemm") -> Path:
    """A trace of the process of TraceBuilder, so many seconds after the first one."""
    b = TraceBuilder()
    b.kernel(name, 100, 50, launch_ns=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    return b.write_kineto(path, rank=rank, world_size=world_size, baseTimeNanoseconds=ORIGIN_NS + after_s * S)


def kernels(folder: Path) -> dict[int, str]:
    """The name of the kernel of each rank."""
    return {rank.rank: events_of(rank).strings.names[-1] for rank in load(folder).ranks}


def test_of_each_worker_of_the_tensorboard_handler_the_latest_is_read(tmp_path: Path) -> None:
    for rank in (0, 1):
        for cycle in range(3):
            trace(
                tmp_path / f"host_{rank}.{STAMP + cycle}.pt.trace.json.gz",
                rank=rank,
                after_s=cycle,
                name=f"cycle {cycle}",
            )
    (tmp_path / "events.out.tfevents.1").write_bytes(b"\x00")
    (tmp_path / "snapshot_of_nothing.txt").write_text("x")
    assert kernels(tmp_path) == {0: "cycle 2", 1: "cycle 2"}
    assert load(tmp_path).warnings == ("of each worker only the latest trace is read; 4 earlier ones are passed over.",)


def test_an_earlier_run_in_the_same_folder_is_passed_over(tmp_path: Path) -> None:
    for rank in range(4):
        trace(tmp_path / f"host_{rank}.{STAMP}.pt.trace.json", rank=rank, world_size=4, name="old")
    for rank in range(2):
        trace(tmp_path / f"host_9{rank}.{STAMP + 500 * S}.pt.trace.json", rank=rank, after_s=500, name="new")
    timeline = load(tmp_path)
    assert kernels(tmp_path) == {0: "new", 1: "new"}
    assert timeline.world_size == 2
    assert any("earlier run" in warning for warning in timeline.warnings)


def test_files_that_were_named_are_never_chosen_from(tmp_path: Path) -> None:
    first = trace(tmp_path / f"host_1.{STAMP}.pt.trace.json", rank=0)
    second = trace(tmp_path / f"host_2.{STAMP + 5}.pt.trace.json", rank=0)
    with pytest.raises(InputError) as caught:
        load([first, second])
    assert str(first) in str(caught.value) and str(second) in str(caught.value)


@pytest.mark.parametrize("rank", [None, 0])
def test_cycles_of_one_process_are_not_two_ranks(tmp_path: Path, rank: int | None) -> None:
    for cycle in (1, 2, 10):
        trace(tmp_path / f"trace_{cycle}.json", rank=rank, world_size=1, after_s=cycle, name=f"cycle {cycle}")
    assert kernels(tmp_path) == {0: "cycle 10"}
    assert [warning.split()[0] for warning in load(tmp_path).warnings] == ["trace_2.json", "trace_1.json"]


def test_traces_of_one_time_are_ranks_even_with_one_process_number(tmp_path: Path) -> None:
    for rank in (0, 1):  # as in containers, where every rank is process 1
        trace(tmp_path / f"node{rank}.json", after_s=0, name=f"of {rank}")
    assert kernels(tmp_path) == {0: "of 0", 1: "of 1"}


def test_the_user_can_say_the_ranks(tmp_path: Path) -> None:
    paths = [trace(tmp_path / "a.json", rank=0, name="a"), trace(tmp_path / "b.json", rank=0, name="b")]
    ranks = load(paths, ranks=[5, 3]).ranks
    assert [(rank.rank, events_of(rank).strings.names[-1]) for rank in ranks] == [(3, "b"), (5, "a")]
    assert {lane.rank for rank in ranks for lane in rank.lanes} == {3, 5}
    with pytest.raises(InputError, match="1 ranks were given for 2 traces"):
        load(paths, ranks=[0])
    with pytest.raises(InputError, match="both say they are rank 0"):
        load(paths)


@pytest.mark.parametrize("folders", [("rank0", "rank1"), ("r00000", "r00001"), ("host-rank_0", "host-rank_1")])
def test_a_folder_for_each_rank(tmp_path: Path, folders: tuple[str, str]) -> None:
    for name in folders:
        trace(tmp_path / name / "trace.json", name=name)
    assert kernels(tmp_path) == {0: folders[0], 1: folders[1]}


def test_the_newest_of_several_runs_in_folders(tmp_path: Path) -> None:
    trace(
        tmp_path / "plugins" / "profile" / "run_a" / f"w.{STAMP // 10**6}.pt.trace.json", name="old"
    )  # in ms, as once
    trace(tmp_path / "plugins" / "profile" / "run_b" / f"w.{STAMP + S}.pt.trace.json", name="new")
    assert kernels(tmp_path) == {0: "new"}
    assert "only plugins/profile/run_b" in load(tmp_path).warnings[0]


def test_stamps_of_any_unit_compare(tmp_path: Path) -> None:
    names = [f"w.{stamp}.pt.trace.json" for stamp in (1_790_857_030, 1_790_857_030_000, STAMP)]
    assert {stamp_of(tmp_path / name) for name in names} == {STAMP}


def test_a_folder_without_traces_has_none(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "notes.txt").write_text("x")
    assert traces_in(tmp_path, []) == []


def test_a_folder_of_run_directories_is_not_guessed_at(tmp_path: Path) -> None:
    for name in ("one", "two"):
        trace(tmp_path / name / "ranks" / "r00000" / "trace.json")
        (tmp_path / name / "run.json").write_text("{}")
    with pytest.raises(InputError, match="holds 2 run directories; give one of them"):
        load(tmp_path)


PROFILED = """
import sys, torch
from torch.profiler import ProfilerActivity, profile, schedule, tensorboard_trace_handler
model, folder = torch.nn.Linear(8, 8), sys.argv[1]
def step(): model(torch.randn(4, 8)).sum().backward()
plan = schedule(wait=1, warmup=1, active=2, repeat=2)
ready = tensorboard_trace_handler(folder)
with profile(activities=[ProfilerActivity.CPU], schedule=plan, on_trace_ready=ready) as prof:
    for _ in range(8):
        step()
        prof.step()
with profile(activities=[ProfilerActivity.CPU]) as prof:
    step()
prof.export_chrome_trace(folder + "/../whole.json")
"""


def test_what_a_script_recorded_with_its_own_profiler(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    folder = tmp_path / "log"
    folder.mkdir()
    subprocess.run([sys.executable, "-c", PROFILED, str(folder)], check=True, capture_output=True, timeout=120)
    assert len(list(folder.iterdir())) == 2
    timeline = load(folder)
    assert "1 earlier one is passed over" in timeline.warnings[0]
    (rank,) = timeline.ranks
    assert rank.marks.number.tolist() == [6, 7]
    (whole,) = load(tmp_path / "whole.json").ranks
    assert len(whole.marks) == 0
    assert len(events_of(whole)) > 0
