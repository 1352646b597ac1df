"""What a run directory says about memory: counters, the allocation that failed, a snapshot in the rank's folder."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from llmprof.collectors.files.run_directory import read_run_directory
from llmprof.timeline.timeline import RankTimeline
from tests.collectors.files.snapshots import MIB, START_US, snapshot, write

GIB = 1 << 30
FAILED = {
    "schema": 1, "t": 1, "step": 4, "phase": "backward", "count": 2, "device": 0, "requested": 3 * GIB,
    "limit": 80 * GIB, "free": GIB, "capacity": 80 * GIB, "allocated": 70 * GIB, "reserved": 77 * GIB,
    "peak_allocated": 75 * GIB, "inactive_split": GIB, "stack": ["train.py:5 step"],
    "held": {"parameters": 10 * GIB, "gradients": 10 * GIB, "optimizer": 20 * GIB},
    "segments": {
        "device": 0, "reserved_bytes": 77 * GIB, "allocated_bytes": 70 * GIB, "requested_bytes": 69 * GIB,
        "awaiting_free_bytes": 0, "free_bytes": 7 * GIB, "inactive_split_bytes": 2 * GIB,
        "largest_free_bytes": GIB, "blocks": 12,
        "live": [{"bytes": 20 * GIB, "blocks": 2, "stack": ["model.py:3 forward"]}],
        "pools": [{"name": "large", "segments": 9, "reserved_bytes": 77 * GIB, "free_bytes": 7 * GIB}],
    },
}  # fmt: skip


def run_of(
    tmp_path: Path,
    *,
    steps: int = 4,
    failed: Any = FAILED,
    ended: str = "exception",
    exit_code: int | None = 1,
    readings: list[dict[str, int]] | None = None,
) -> Path:
    """A run of one rank with a few steps of 1 ms."""
    folder = tmp_path / "run" / "ranks" / "r00000"
    folder.mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_text(json.dumps({"schema": 1, "exit_code": exit_code}))
    (folder / "rank.json").write_text(json.dumps({"schema": 1, "rank": 0, "world_size": 1, "ended": ended}))
    lines = [
        {"n": n, "t": START_US * 1000 + n * 1_000_000, "wall": 1_000_000, "phase": "baseline"} for n in range(steps)
    ]
    (folder / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "allocator.jsonl").write_text("".join(json.dumps(line) + "\n" for line in readings or []))
    if failed is not None:
        (folder / "oom.json").write_text(failed if isinstance(failed, str) else json.dumps(failed))
    return tmp_path / "run"


def rank_of(run: Path) -> RankTimeline:
    return read_run_directory(run).ranks[0]


def test_the_failed_allocation(tmp_path: Path) -> None:
    rank = rank_of(run_of(tmp_path))
    assert rank.memory is not None
    failed = rank.memory.out_of_memory
    assert failed is not None and failed.segments is not None
    assert (failed.requested_bytes, failed.free_bytes, failed.limit_bytes) == (3 * GIB, GIB, 80 * GIB)
    assert (failed.step, failed.phase, failed.count, failed.ended_the_run) == (4, "backward", 2, True)
    assert (failed.state_bytes, failed.stack) == (40 * GIB, ("train.py:5 step",))
    assert failed.segments.live[0].place == "model.py:3 forward"
    assert failed.segments.pools[0].segments == 9
    assert (rank.memory.capacity_bytes, rank.memory.peak_allocated_bytes) == (80 * GIB, 75 * GIB)
    assert rank.died == "out of memory: 3.0 GiB could not be allocated"


def test_what_is_free_ends_at_the_limit_that_the_script_has_set(tmp_path: Path) -> None:
    limited = {**FAILED, "limit": 10 * GIB, "reserved": 8 * GIB, "free": 130 * GIB}
    memory = rank_of(run_of(tmp_path, failed=limited)).memory
    assert memory is not None and memory.out_of_memory is not None
    assert memory.out_of_memory.free_bytes == 2 * GIB


def test_a_run_without_a_single_step_is_a_recording_all_the_same(tmp_path: Path) -> None:
    rank = rank_of(run_of(tmp_path, steps=0, failed={**FAILED, "step": 0}))
    assert rank.times is None and rank.memory is not None
    assert rank.memory.out_of_memory is not None and rank.memory.out_of_memory.ended_the_run


@pytest.mark.parametrize(
    ("steps", "ended", "code", "died"),
    [
        (4, "exception", 1, True),
        (4, "exit", 1, True),  # caught, and sys.exit(1)
        (4, "running", 1, True),  # a process of torch.multiprocessing, which leaves without a word
        (4, "exit", 0, False),  # caught in the last step, and finished as planned
        (5, "exception", 1, False),  # another step was complete: it died of something else
    ],
)
def test_whether_it_ended_the_run(tmp_path: Path, steps: int, ended: str, code: int, died: bool) -> None:
    rank = rank_of(run_of(tmp_path, steps=steps, ended=ended, exit_code=code))
    assert rank.memory is not None and rank.memory.out_of_memory is not None
    assert rank.memory.out_of_memory.ended_the_run is died
    assert (rank.died is not None and rank.died.startswith("out of memory")) is died


def test_peaks_include_the_moment_of_the_failure(tmp_path: Path) -> None:
    readings = [{"n": n, "peak_allocated": 60 * GIB, "peak_reserved": 62 * GIB, "retries": n} for n in (0, 3)]
    memory = rank_of(run_of(tmp_path, readings=readings)).memory
    assert memory is not None
    assert (memory.peak_allocated_bytes, memory.peak_reserved_bytes, memory.retries) == (75 * GIB, 77 * GIB, 3)


@pytest.mark.parametrize(
    "damaged",
    [
        {"step": "x", "segments": 3, "held": [], "stack": {"a": 1}, "count": None},
        {"segments": {"live": [1, {"stack": 5}], "pools": [{}], "device": "x"}},
        {"requested": 1 << 80, "held": {"parameters": "x"}},
    ],
)
def test_a_damaged_report_is_read_as_far_as_it_goes(tmp_path: Path, damaged: dict[str, Any]) -> None:
    memory = rank_of(run_of(tmp_path, failed=damaged)).memory
    assert memory is not None and memory.out_of_memory is not None


def test_half_a_report_is_a_warning(tmp_path: Path) -> None:
    timeline = read_run_directory(run_of(tmp_path, failed='{"step": 4,'))
    assert any("oom.json" in warning for warning in timeline.warnings)


def test_a_snapshot_in_the_rank_s_folder_joins_it(tmp_path: Path) -> None:
    run = run_of(tmp_path, failed=None, readings=[{"n": 3, "peak_allocated": GIB, "ooms": 0}])
    write(run / "ranks" / "r00000" / "snapshot.pickle", snapshot())
    memory = rank_of(run).memory
    assert memory is not None and memory.snapshot is not None
    assert memory.snapshot.peak_bytes == 130 * MIB
    assert memory.peak_allocated_bytes == GIB  # counted over the run, so it stays


def test_a_snapshot_gives_the_stacks_that_the_report_lacks(tmp_path: Path) -> None:
    bare = {**FAILED, "segments": None, "stack": []}
    run = run_of(tmp_path, failed=bare)
    write(run / "ranks" / "r00000" / "snapshot.pickle", snapshot())
    memory = rank_of(run).memory
    assert memory is not None and memory.out_of_memory is not None and memory.out_of_memory.segments is not None
    assert memory.out_of_memory.segments.live[0].place == "project/train.py:42 forward"
    assert memory.out_of_memory.stack[0] == "project/train.py:42 forward"


def test_an_unsafe_pickle_beside_a_run_costs_nothing_but_a_warning(tmp_path: Path) -> None:
    run = run_of(tmp_path, failed=None)
    (run / "ranks" / "r00000" / "cache.pkl").write_bytes(pickle.dumps(OSError("not ours")))
    timeline = read_run_directory(run)
    assert timeline.ranks[0].times is not None
    assert any("cache.pkl" in warning and "could run code" in warning for warning in timeline.warnings)


def test_what_is_in_use_after_each_step_is_kept_for_a_trend(tmp_path: Path) -> None:
    """From the first step of the baseline on, where one was read; a reading without the figure is none."""
    readings = [{"n": 0, "allocated": 9}, {"n": 1, "allocated": 10}, {"n": 2, "reserved": 5}, {"n": 3, "allocated": 12}]
    rank = read_run_directory(run_of(tmp_path, failed=None, ended="exit", exit_code=0, readings=readings)).ranks[0]
    assert rank.memory is not None and rank.memory.readings[-2:] == ((1, 10), (3, 12))


def test_a_reading_with_a_quoted_step_counts_and_one_without_is_left_out(tmp_path: Path) -> None:
    readings: list[dict[str, Any]] = [
        {"n": "1", "allocated": GIB, "device_alloc": 1},
        {"n": "x", "allocated": 5 * GIB, "device_alloc": 50},
        {"n": 3, "allocated": 2 * GIB, "device_alloc": 4},
    ]
    allocator = rank_of(run_of(tmp_path, failed=None, ended="exit", exit_code=0, readings=readings)).memory
    assert allocator is not None
    assert (allocator.measured_steps, allocator.device_allocations) == (2, 3)
