"""Do real exports, of schemas 2.9 to 3.25, import as they are, and agree with what NVIDIA's own tools say of them?"""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmprof.analyzers.diagnose import diagnose
from llmprof.collectors.files import load
from llmprof.collectors.files.nsys.projection import project
from llmprof.timeline.events import DEVICE_KINDS, EventTable, Kind
from llmprof.timeline.timeline import RankTimeline, Timeline

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "traces" / "nsys"
FACTS: dict[str, Any] = json.loads((FOLDER / "facts.json").read_text()) if FOLDER.is_dir() else {}
ORACLES = sorted(folder.name for folder in (FOLDER / "oracle").iterdir()) if FOLDER.is_dir() else []
EMITTED = re.compile(r", (op_id|seq|sizes|input_op_ids) = ")
TABLES = {Kind.KERNEL: "KERNEL", Kind.MEMCPY: "MEMCPY", Kind.MEMSET: "MEMSET"}

SLICE = "v3.25.0_2026.2_h100x2_infer_1s"
"""One second cut out of a run that queued half a second of work ahead: half the launches have no device work in it."""

pytestmark = pytest.mark.skipif(not FACTS, reason=f"no recordings at {FOLDER}")


def read(name: str) -> Timeline:
    return load(FOLDER / f"{name.removesuffix('.sqlite')}.sqlite")


def tables(timeline: Timeline) -> Iterator[tuple[RankTimeline, EventTable]]:
    for rank in timeline.ranks:
        if rank.events is not None:
            yield rank, rank.events


def sums(timeline: Timeline, kinds: tuple[Kind, ...]) -> dict[str, int]:
    """Nanoseconds by name."""
    total: Counter[str] = Counter()
    for _, events in tables(timeline):
        for row in events.rows(*kinds).tolist():
            total[events.named(row)] += int(events.dur[row])
    return dict(total)


def oracle(name: str, report: str, key: str, shorten: Callable[[str], str] = str) -> dict[str, int]:
    path = FOLDER / "oracle" / name / f"{report}.csv"
    if not path.is_file():
        pytest.skip(f"no {report} for {name}")
    total: Counter[str] = Counter()
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            total[shorten(row[key])] += int(row["Total Time (ns)"])
    return dict(total)


def pid_of(rank: RankTimeline) -> int:
    return next(lane.process for lane in rank.lanes if lane.thread >= 0)


@pytest.mark.parametrize("name", sorted(FACTS))
def test_device_work_agrees_with_the_facts(name: str) -> None:
    found = []
    for rank, events in tables(read(name)):
        devices = np.array([lane.device for lane in rank.lanes])[events.lane]
        work = events.rows(*DEVICE_KINDS)
        shift = rank.origin_ns - FACTS[name]["utcEpochNs"]
        for device in np.unique(devices[work]).tolist():
            mine = work[devices[work] == device]
            kinds, counts = np.unique(events.kind[mine], return_counts=True)
            found.append(
                {
                    "pid": pid_of(rank),
                    "deviceId": device,
                    "counts": {TABLES[Kind(kind)]: int(n) for kind, n in zip(kinds, counts, strict=True)},
                    "first_ns": int(events.ts[mine].min()) + shift,
                    "last_ns": int(events.end[mine].max()) + shift,
                    "busy_union_ns": events.spans(mine).length,
                }
            )
    assert sorted(found, key=lambda one: one["pid"]) == FACTS[name].get("gpu_ops", [])


@pytest.mark.parametrize("name", sorted(FACTS))
def test_every_range_is_imported(name: str) -> None:
    wanted = sum(count for kind, count in FACTS[name].get("nvtx_types", []) if kind in (34, 59, 60))
    found = sum(events.rows(Kind.ANNOTATION, Kind.CPU_OP).size for _, events in tables(read(name)))
    assert found == wanted


@pytest.mark.parametrize("name", ORACLES)
def test_kernel_time_agrees_with_nsys_stats(name: str) -> None:
    assert sums(read(name), (Kind.KERNEL,)) == oracle(name, "cuda_gpu_kern_sum", "Name")


@pytest.mark.parametrize("name", ORACLES)
def test_call_time_agrees_with_nsys_stats(name: str) -> None:
    wanted = oracle(name, "cuda_api_sum", "Name", lambda text: re.sub(r"_v\d{4,5}$", "", text))
    if name.startswith("v2.9.1"):
        # nsys adds up calls and the records of their back traces (event class 67), which span the calls again.
        with sqlite3.connect(FOLDER / f"{name}.sqlite") as connection:
            query = """SELECT s.value, SUM(r.end - r.start) FROM CUPTI_ACTIVITY_KIND_RUNTIME r JOIN StringIds s
                       ON s.id = r.nameId WHERE r.eventClass = 67 GROUP BY 1"""
            for call, ns in connection.execute(query):
                wanted[call] -= ns
    assert sums(read(name), (Kind.RUNTIME,)) == wanted


@pytest.mark.parametrize("name", ORACLES)
def test_copy_time_agrees_with_nsys_stats(name: str) -> None:
    wanted = oracle(name, "cuda_gpu_mem_time_sum", "Operation")
    ways = {"HtoD": "Host-to-Device", "DtoH": "Device-to-Host", "DtoD": "Device-to-Device"}
    found: Counter[str] = Counter()
    for text, ns in sums(read(name), (Kind.MEMCPY, Kind.MEMSET)).items():
        found["[CUDA memset]" if text == "Memset (Device)" else f"[CUDA memcpy {ways[text.split()[1]]}]"] += ns
    assert dict(found) == wanted


@pytest.mark.parametrize("name", ORACLES)
def test_copied_bytes_agree_with_nsys_stats(name: str) -> None:
    path = FOLDER / "oracle" / name / "cuda_gpu_mem_size_sum.csv"
    if not path.is_file():
        pytest.skip(f"no sizes for {name}")
    with open(path, newline="") as file:
        wanted = sum(float(row["Total (MB)"]) for row in csv.DictReader(file) if "memset" not in row["Operation"])
    found = sum(sum(events.copied_bytes.values()) for _, events in tables(read(name)))
    assert found / 1e6 == pytest.approx(wanted, abs=0.002)


@pytest.mark.parametrize("name", ORACLES)
def test_range_time_agrees_with_nsys_stats(name: str) -> None:
    wanted = oracle(name, "nvtx_pushpop_sum", "Range", lambda text: EMITTED.split(text)[0])
    found: Counter[str] = Counter()
    for rank, events in tables(read(name)):
        for row in events.rows(Kind.ANNOTATION, Kind.CPU_OP).tolist():
            domain = rank.lanes[events.lane[row]].label
            if events.dur[row] and "start/end" not in domain:
                found[f"{domain}:{events.named(row)}" if domain else events.named(row)] += int(events.dur[row])
    assert dict(found) == wanted


@pytest.mark.parametrize("name", ORACLES)
def test_projected_ranges_agree_with_nsys_stats(name: str) -> None:
    path = FOLDER / "oracle" / name / "nvtx_gpu_proj_trace.csv"
    if not path.is_file():
        pytest.skip(f"no projection for {name}")
    columns = ("Orig Start (ns)", "Projected Start (ns)", "Projected Duration (ns)", "NumGPUOps")
    with open(path, newline="") as file:
        wanted = sorted(
            tuple(int(row[column]) for column in columns) for row in csv.DictReader(file) if row["Orig Start (ns)"]
        )
    found = []
    for rank, events in tables(read(name)):
        shift = rank.origin_ns - FACTS[f"{name}.sqlite"]["utcEpochNs"]
        shadows = project(events, rank.lanes, (Kind.ANNOTATION, Kind.CPU_OP))
        begin = events.ts[shadows.rows] + shift
        length = shadows.end_ns - shadows.start_ns
        found += zip(
            begin.tolist(),
            (shadows.start_ns + shift).tolist(),
            length.tolist(),
            shadows.operations.tolist(),
            strict=True,
        )
    assert sorted(found) == wanted


@pytest.mark.parametrize("name", ORACLES)
def test_synchronising_calls_agree_with_nsys_analyze(name: str) -> None:
    path = FOLDER / "oracle" / name / "cuda_api_sync.csv"
    if not path.is_file():
        pytest.skip(f"no list of synchronising calls for {name}")
    with open(path, newline="") as file:
        wanted = [
            (int(row["Start (ns)"]), int(row["Duration (ns)"]), re.sub(r"_v\d+$", "", row["API Name"]))
            for row in csv.DictReader(file)
        ]
    found = set()
    for rank, events in tables(read(name)):
        shift = rank.origin_ns - FACTS[f"{name}.sqlite"]["utcEpochNs"]
        for row in events.rows(Kind.RUNTIME).tolist():
            found.add((int(events.ts[row]) + shift, int(events.dur[row]), events.named(row)))
    assert set(wanted) <= found


@pytest.mark.parametrize("name", ORACLES)
def test_the_partition_covers_the_step(name: str) -> None:
    if not FACTS[f"{name}.sqlite"].get("gpu_ops") or name == SLICE:
        pytest.skip("no device work, or half of it missing")
    document = diagnose(read(name))
    assert document.source.kind == "nsys"
    assert document.step.mean_ms is not None
    assert sum(document.partition.values()) == pytest.approx(document.step.mean_ms, rel=1e-9)


def test_a_slice_says_what_is_missing_at_its_edges() -> None:
    rank = read(SLICE).ranks[0]
    assert rank.quality.unlinked_kernel_share == pytest.approx(2276 / 4368)


def test_without_cuda_there_is_no_verdict_and_the_reason_is_said() -> None:
    document = diagnose(read("v3.24.7_2025.6_lm_cuda_not_captured"))
    assert document.verdict.bound is None
    assert any("collected no CUDA event" in text for text in document.capture.warnings)


def test_ranges_alone_give_no_verdict() -> None:
    document = diagnose(read("rank0_2023"))
    assert document.verdict.bound is None
    assert any("CUDA was not traced" in text for text in document.capture.warnings)


def test_normalised_times_mean_the_same_moments() -> None:
    plain, normal = read("rank0_2023").ranks[0], read("rank0_2023_tsnorm").ranks[0]
    assert plain.events is not None and normal.events is not None
    assert normal.origin_ns == plain.origin_ns
    assert np.array_equal(normal.events.ts, plain.events.ts)


def test_a_shift_that_was_asked_for_moves_the_clock_by_just_that() -> None:
    plain, shifted = read("rank1_2023").ranks[0], read("rank1_2023_tsnorm_shift1s").ranks[0]
    assert shifted.origin_ns - plain.origin_ns == 1_000_000_000


@pytest.mark.parametrize("name", [name for name in sorted(FACTS) if name.startswith(("rank", "twoproc"))])
def test_marks_that_carry_the_time_agree_with_the_clock(name: str) -> None:
    asked = 1_000_000_000 if "shift1s" in name else 0
    for rank, events in tables(read(name)):
        for row in events.rows(Kind.ANNOTATION).tolist():
            if events.named(row).startswith("utc="):
                error = int(events.ts[row]) + rank.origin_ns - asked - int(events.named(row)[4:])
                assert abs(error) < 5_000_000  # the program reads the clock before it makes the mark


def test_two_reports_of_two_ranks_are_one_run() -> None:
    timeline = load([FOLDER / "rank1_2023.sqlite", FOLDER / "rank0_2023.sqlite"])
    assert [rank.rank for rank in timeline.ranks] == [0, 1]
    assert timeline.ranks[1].origin_ns - timeline.ranks[0].origin_ns == pytest.approx(1_870_000_000, abs=50_000_000)


def test_processes_of_one_report_are_ranks_and_domains_are_their_own() -> None:
    timeline = read("twoproc_2023")
    assert [pid_of(rank) for rank in timeline.ranks] == [7143, 7144]
    for rank in timeline.ranks:
        assert {"dataloader", "trainer"} <= {lane.label for lane in rank.lanes}


def test_a_range_that_ends_on_another_thread_is_kept_beside_the_nesting() -> None:
    rank = read("rank0_2023").ranks[0]
    assert rank.events is not None
    rows = [row for row in range(len(rank.events)) if rank.events.named(row) == "async_comm"]
    assert len(rows) == 4
    assert {rank.lanes[rank.events.lane[row]].label for row in rows} == {"comm start/end ranges"}


def test_mpi_says_the_rank() -> None:
    timeline = read("v2.9.1_2022.2_pipit_saxpy_mpi_a100")
    assert not [text for text in timeline.warnings if "which rank" in text]


def test_the_steps_of_a_loop_are_found() -> None:
    marks = read("v3.20.2_2025.3_cupy_nvtx_t4").ranks[0].marks
    assert (len(marks), marks.source) == (44, "NVTX range Step # to #")
    assert marks.number.tolist() == list(range(0, 440, 10))


def test_nothing_of_a_message_or_path_is_quoted() -> None:
    for name in FACTS:
        text = diagnose(read(name)).to_json()
        assert "paranoid" not in text and "<path>" not in text and "sudo" not in text
