"""A run directory becomes a timeline, whole or damaged; an empty one says why it is empty."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from llmprof.collectors.files.run_directory import read_run_directory
from llmprof.errors import NotEnoughDataError, NotFoundError
from llmprof.timeline.events import Kind
from llmprof.timeline.steps import StepPhase
from llmprof.timeline.timeline import RankTimeline, Timeline

T0 = 1_790_000_000_000_000_000
STEP = 10_000_000

ENVIRONMENT = {
    "device": {"name": "NVIDIA H200", "memory_bytes": 1 << 37, "sm_count": 132, "capability": [9, 0]},
    "torch_version": "2.13.0",
    "world_size": 1,
    "loaders": [{"num_workers": 2, "batch_size": 4, "pin_memory": False, "dataset": "Text"}],
    "optimizers": [{"name": "AdamW", "fused": False, "foreach": True}],
    "parallelism": {"dp": None},
    "allow_tf32": True,
    "parameter_bytes": {"float32": 4000},
    "variables": {"OMP_NUM_THREADS": "4"},
    "command": ["python", "train.py"],
}


def phase_of(n: int) -> str:
    """Ten steps of warm-up, ten of baseline, two traced and the rest after."""
    return "warmup" if n < 10 else "baseline" if n < 20 else "traced" if n < 22 else "after"


class Run:
    """Builds a run directory by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    def run(self, **keys: Any) -> None:
        (self.path / "run.json").write_text(json.dumps({"schema": 1, "exit_code": 0, "options": {}, **keys}))

    def rank(self, name: str = "r00000", *, steps: int = 24, **keys: Any) -> Path:
        folder = self.path / "ranks" / name
        folder.mkdir(parents=True)
        rank = int(name[1:6])
        header = {"schema": 1, "rank": rank, "local_rank": rank, "world_size": 1, "host": "node-a", "ended": "exit"}
        header |= {"reason": None, "environment": ENVIRONMENT, "overhead_ns_per_step": 61000, **keys}
        (folder / "rank.json").write_text(json.dumps(header))
        lines = [self.step(n) for n in range(steps)]
        (folder / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return folder

    def step(self, n: int) -> dict[str, Any]:
        line = {"n": n, "t": T0 + n * STEP, "wall": STEP, "phase": phase_of(n), "micro": 1, "data_wait": 1000 * n}
        if n % 2:
            line |= {"queue": 3, "tokens": 512}
        if n == 15:
            line["gc"] = 5000
        return line

    def read(self) -> Timeline:
        return read_run_directory(self.path)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path / "run")
    made.run()
    return made


def only(timeline: Timeline) -> RankTimeline:
    (rank,) = timeline.ranks
    return rank


def trace(folder: Path, events: list[dict[str, Any]]) -> Path:
    path = folder / "trace.json"
    path.write_text(json.dumps({"schemaVersion": 1, "baseTimeNanoseconds": T0, "traceEvents": events}))
    return path


def event(name: str, ts_us: float, dur_us: float, cat: str = "cpu_op") -> dict[str, Any]:
    return {"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": 1, "ts": ts_us, "dur": dur_us, "args": {}}


class TestSteps:
    def test_every_step_is_a_row_in_order(self, run):
        run.rank()
        times = only(run.read()).times
        assert times.number.tolist() == list(range(24))
        assert times.start_ns.tolist() == [T0 + n * STEP for n in range(24)]
        assert set(times.wall_ns.tolist()) == {STEP}

    def test_phases(self, run):
        run.rank()
        times = only(run.read()).times
        assert times.select(StepPhase.BASELINE).tolist() == list(range(10, 20))
        assert times.select(StepPhase.TRACED).tolist() == [20, 21]

    def test_an_unknown_phase_is_never_counted_as_baseline(self, run):
        folder = run.rank()
        text = (folder / "steps.jsonl").read_text()
        (folder / "steps.jsonl").write_text(text.replace('"baseline"', '"holiday"'))
        times = only(run.read()).times
        assert set(times.phase[10:20].tolist()) == {StepPhase.UNSTEADY}

    def test_what_a_line_leaves_out_is_unknown(self, run):
        run.rank()
        times = only(run.read()).times
        assert times.parts["queue"].tolist()[:4] == [-1, 3, -1, 3]
        assert times.tokens.tolist()[:4] == [-1, 512, -1, 512]
        assert times.parts["data_wait"][7] == 7000

    def test_a_stall_that_a_line_leaves_out_is_none(self, run):
        run.rank()
        times = only(run.read()).times
        assert times.mean_part_ns("gc", range(10, 20)) == 500
        assert times.mean_part_ns("checkpoint", range(10, 20)) == 0

    def test_damaged_lines_are_left_out_with_a_warning(self, run):
        folder = run.rank()
        lines = (folder / "steps.jsonl").read_text().splitlines()
        lines[3], lines[5], lines[7] = '{"n": 3, "t"', "\x00\x00", '{"n": 7, "t": "soon", "wall": 1}'
        (folder / "steps.jsonl").write_text("\n".join(lines) + "\n")
        timeline = run.read()
        assert only(timeline).times.number.tolist() == [n for n in range(24) if n not in (3, 5, 7)]
        assert any("2 damaged lines" in warning for warning in timeline.warnings)

    def test_the_line_that_a_kill_cut_is_left_out_silently(self, run):
        folder = run.rank()
        with (folder / "steps.jsonl").open("a") as file:
            file.write('{"n": 24, "t": 17')
        timeline = run.read()
        assert len(only(timeline).times) == 24
        assert timeline.warnings == ()

    def test_a_step_that_takes_no_time_is_damage(self, run):
        folder = run.rank()
        with (folder / "steps.jsonl").open("a") as file:
            file.writelines(json.dumps({**run.step(24 + n), "wall": wall}) + "\n" for n, wall in enumerate((0, -1)))
        assert len(only(run.read()).times) == 24

    def test_numbers_beyond_reason_are_damage(self, run):
        folder = run.rank()
        with (folder / "steps.jsonl").open("a") as file:
            file.write(json.dumps({**run.step(24), "wall": 1 << 80}) + "\n")
            file.write(json.dumps({**run.step(25), "data_wait": 1 << 80}) + "\n")
        times = only(run.read()).times
        assert times.number.tolist()[-2:] == [23, 25]
        assert times.parts["data_wait"][-1] == -1


class TestRank:
    def test_environment_holds_what_rank_json_says(self, run):
        run.rank()
        environment = only(run.read()).environment
        assert environment.device.name == "NVIDIA H200"
        assert environment.device.capability == (9, 0)
        assert environment.loaders[0].num_workers == 2
        assert environment.loaders[0].prefetch_factor is None
        assert environment.optimizers[0].foreach is True
        assert environment.allow_tf32 is True
        assert environment.parameter_bytes == {"float32": 4000}
        assert environment.command == ("python", "train.py")

    def test_environment_values_of_another_type_are_unknown(self, run):
        run.rank(environment={"cpu_count": "many", "torch_version": 2, "device": [], "loaders": [1], "command": "x"})
        environment = only(run.read()).environment
        assert (environment.cpu_count, environment.torch_version, environment.command) == (None, None, ())

    def test_overhead(self, run):
        run.rank()
        assert only(run.read()).overhead_ns_per_step == 61000

    @pytest.mark.parametrize(
        ("keys", "died"),
        [
            ({"ended": "exit"}, None),
            ({"ended": "running"}, "killed"),
            ({"ended": "signal", "reason": "SIGTERM"}, "killed by SIGTERM"),
            ({"ended": "exception", "reason": "ValueError: no"}, "exception: ValueError: no"),
            (
                {"ended": "exception", "reason": "OutOfMemoryError: x", "memory": {"out_of_memory": "2 GiB wanted"}},
                "out of memory: 2 GiB wanted",
            ),
        ],
    )
    def test_how_a_rank_ended(self, run, keys, died):
        run.rank(**keys)
        assert only(run.read()).died == died

    def test_a_run_that_goes_on_has_not_died(self, run):
        run.run(exit_code=None)
        run.rank(ended="running")
        assert only(run.read()).died is None

    def test_ranks_that_left_nothing_are_missed(self, run):
        run.rank("r00000", world_size=4)
        run.rank("r00002", world_size=4)
        timeline = run.read()
        assert [rank.rank for rank in timeline.ranks] == [0, 2]
        assert timeline.world_size == 4
        assert "2 of 4 ranks were recorded: [0, 2]." in timeline.warnings

    def test_of_a_restarted_rank_the_process_with_most_steps_is_used(self, run):
        run.rank("r00000", steps=3)
        run.rank("r00000.1", steps=20)
        timeline = run.read()
        assert len(only(timeline).times) == 20
        assert any("r00000.1, 20 steps" in warning for warning in timeline.warnings)

    def test_a_failed_command_is_noted(self, run):
        run.run(exit_code=3)
        run.rank()
        assert "the command ended with exit code 3." in run.read().warnings

    def test_a_damaged_rank_json_costs_only_what_it_held(self, run):
        folder = run.rank()
        (folder / "rank.json").write_text('{"rank": 0, "envir')
        timeline = run.read()
        assert len(only(timeline).times) == 24
        assert any("rank.json" in warning for warning in timeline.warnings)


class TestAllocator:
    def write(self, folder: Path) -> None:
        lines = [
            {"n": n, "allocated": 10 + n, "reserved": 30, "peak_allocated": 20 + n, "peak_reserved": 40, "ooms": 0}
            | {"retries": n // 5, "inactive_split": 2, "device_alloc": 100 + n}
            for n in (0, 5, 10, 15, 20)
        ]
        (folder / "allocator.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def test_counters_grow_over_the_steady_steps_only(self, run):
        self.write(run.rank(memory={"capacity_bytes": 1 << 37}))
        memory = only(run.read()).memory
        assert (memory.retries, memory.device_allocations, memory.measured_steps) == (2, 10, 10)
        assert memory.device_frees is None

    def test_peaks_and_capacity_are_of_the_run(self, run):
        self.write(run.rank(memory={"capacity_bytes": 1 << 37}))
        memory = only(run.read()).memory
        assert (memory.capacity_bytes, memory.peak_allocated_bytes, memory.peak_reserved_bytes) == (1 << 37, 40, 40)
        assert (memory.allocated_bytes, memory.reserved_bytes, memory.inactive_split_bytes) == (30, 30, 2)

    def test_without_readings_memory_is_unknown(self, run):
        run.rank()
        assert only(run.read()).memory is None


class TestTrace:
    def test_marks_are_the_whole_traced_steps(self, run):
        folder = run.rank(trace={"steps": [20, 21], "file": "trace.json"})
        trace(folder, [event(f"ProfilerStep#{n}", (n - 20) * 1e4, 1e4, "user_annotation") for n in (20, 21, 22)])
        rank = only(run.read())
        assert rank.marks.number.tolist() == [20, 21]
        assert rank.marks.source == "ProfilerStep"

    def test_without_annotations_the_measured_steps_are_the_marks(self, run):
        folder = run.rank()
        trace(folder, [event("aten::mm", 20 * STEP / 1000 + 5, 3), event("aten::mm", 21 * STEP / 1000 + 5, 3)])
        rank = only(run.read())
        assert rank.marks.source == "llmprof"
        assert rank.marks.number.tolist() == [20, 21]
        inside = (rank.events.ts > rank.marks.start_ns) & (rank.events.end < rank.marks.end_ns)
        assert inside.all()

    def test_settings_of_the_process_win_over_those_of_the_trace(self, run):
        folder = run.rank(environment={"torch_version": "2.13.0"})
        path = trace(folder, [event("aten::mm", 1, 3)])
        content = json.loads(path.read_text())
        content["deviceProperties"] = [{"id": 0, "name": "NVIDIA H100", "totalGlobalMem": 1 << 36, "numSms": 132}]
        path.write_text(json.dumps(content))
        environment = only(run.read()).environment
        assert environment.torch_version == "2.13.0"
        assert environment.device.name in ("NVIDIA H100", None)  # what the process does not say may come from the trace

    def test_a_damaged_trace_is_a_warning(self, run):
        folder = run.rank()
        (folder / "trace.json").write_text("certainly no trace")
        timeline = run.read()
        assert only(timeline).events is None
        assert len(only(timeline).times) == 24
        assert any("the trace of rank 0 is left out" in warning for warning in timeline.warnings)

    def test_why_there_is_none_is_told(self, run):
        folder = run.rank()
        (folder / "events.jsonl").write_text('{"kind": "burst_skipped", "reason": "the run was short"}\n')
        timeline = run.read()
        assert only(timeline).events is None
        assert "rank 0 was not traced: the run was short." in timeline.warnings

    def test_events_of_the_trace(self, run):
        folder = run.rank()
        trace(folder, [event("aten::mm", 1, 3)])
        events = only(run.read()).events
        assert [events.named(row) for row in events.rows(Kind.CPU_OP)] == ["aten::mm"]


def test_telemetry_of_the_node_is_attached_to_its_ranks(run):
    run.rank(device={"index": 0, "uuid": "GPU-b", "pci_bus": 7})
    node = run.path / "nodes" / "node-a"
    node.mkdir(parents=True)
    (node / "device.csv").write_text(f"t_ns,gpu,power_w\n{T0},0,100\n{T0},1,200\n")
    (node / "devices.json").write_text(json.dumps([{"gpu": 0, "uuid": "GPU-a"}, {"gpu": 1, "uuid": "GPU-b"}]))
    (node / "host.csv").write_text(f"t_ns,rank,cpu_percent\n{T0},0,99\n")
    assert [(s.name, s.device, s.mean()) for s in only(run.read()).telemetry] == [
        ("power_w", 1, 200.0),
        ("cpu_percent", None, 99.0),
    ]


class TestNothing:
    def test_a_folder_that_does_not_exist(self, tmp_path):
        with pytest.raises(NotFoundError, match="no folder"):
            read_run_directory(tmp_path / "nowhere")

    @pytest.mark.parametrize(
        ("code", "sentence"),
        [
            (2, "failed with exit code 2 before any process had completed an optimizer step"),
            (0, "no process completed an optimizer step"),
            (None, "the run has not ended"),
        ],
    )
    def test_no_process_recorded(self, run, code, sentence):
        run.run(exit_code=code)
        with pytest.raises(NotEnoughDataError, match=sentence):
            run.read()

    def test_processes_that_never_completed_a_step(self, run):
        run.rank(steps=0, ended="exception", reason="ValueError: no")
        with pytest.raises(NotEnoughDataError, match="exception: ValueError: no"):
            run.read()

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(NotEnoughDataError):
            read_run_directory(tmp_path)

    def test_a_run_without_run_json_is_read_all_the_same(self, run):
        run.rank()
        (run.path / "run.json").unlink()
        assert len(only(run.read()).times) == 24

    @pytest.mark.parametrize("name", ["rank.json", "steps.jsonl"])
    def test_either_file_of_a_rank_may_be_missing(self, run, name):
        folder = run.rank("r00001", world_size=2)
        run.rank("r00000", world_size=2)
        (folder / name).unlink()
        assert 0 in [rank.rank for rank in run.read().ranks]

    def test_folders_of_other_names_are_no_ranks(self, run):
        folder = run.rank()
        shutil.copytree(folder, folder.with_name("backup"))
        assert len(run.read().ranks) == 1
