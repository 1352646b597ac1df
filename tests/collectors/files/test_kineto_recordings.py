"""Real recordings: their known figures, every nanosecond, every link and field."""

from __future__ import annotations

import functools
import gzip
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from llmprof.collectors.files.kineto import read_kineto
from llmprof.timeline.events import DEVICE_KINDS, NONE, CollectiveCall, Kind
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.files import events_of

# Public traces of Holistic Trace Analysis and TraceLens. The figures (ms, all device rows, linked or not) come from an
# independent script over the same files: rows, unlinked rows, span, busy, compute, collectives named nccl, of them
# exposed, copies and memsets.
TRUTH = {
    "hta_nccl_data": (3774, 0, 660.551, 157.500, 115.656, 46.876, 39.559, 2.653),
    "hta_negative_queue": (7747, 872, 1231.461, 438.424, 210.998, 187.870, 185.317, 47.624),
    "hta_trace_diff_test": (15632, 614, 745.239, 717.943, 548.148, 251.341, 73.298, 156.797),
    "tracelens_mi300_resnet_act_checkpoint": (3653, 968, 86.568, 84.002, 25.739, 71.517, 55.625, 2.974),
    "tracelens_b200_vllm": (929, 0, 84.487, 11.596, 10.772, 0.022, 0.022, 0.803),
    "tracelens_h100_qwen": (1707, 509, 49.653, 45.647, 45.433, 0, 0, 0.215),
}


@functools.cache
def recorded(path: Path) -> RankTimeline:
    """A recording, read once for all tests of this file."""
    return read_kineto(path)


@pytest.mark.parametrize("name", TRUTH)
def test_public_figures(recordings: Path, name: str) -> None:
    rank = recorded(recordings / "kineto_public" / f"{name}.json.gz")
    events = events_of(rank)
    work = events.rows(*DEVICE_KINDS)
    nccl = np.array(["nccl" in name.lower() for name in events.strings.names])
    communication = events.spans(events.rows_named((Kind.KERNEL,), nccl))
    compute = events.spans(events.rows_named((Kind.KERNEL,), ~nccl))
    copies = events.spans(events.rows(Kind.MEMCPY, Kind.MEMSET))
    count, unlinked, *milliseconds = TRUTH[name]
    assert (work.size, int((events.launch[work] == NONE).sum())) == (count, unlinked)
    assert rank.quality.unlinked_kernel_share == pytest.approx(unlinked / count)
    measured = (
        int(events.end[work].max() - events.ts[work].min()),
        events.spans(work).length,
        compute.length,
        communication.length,
        (communication - compute).length,
        copies.length,
    )
    assert [ns / 1e6 for ns in measured] == pytest.approx(milliseconds, rel=1e-3, abs=6e-4)


@pytest.mark.parametrize("folder", ["h200", "kineto_public"])
def test_every_recording_loads_whole(recordings: Path, folder: str) -> None:
    paths = sorted((recordings / folder).glob("*.json.gz"))
    assert paths
    for path in paths:
        rank = recorded(path)
        events = events_of(rank)
        assert (rank.quality.dropped_events, rank.quality.truncated, rank.quality.warnings) == (0, False, ()), path
        assert (np.diff(events.ts) >= 0).all(), path
        assert events.ts[0] == 0, path


@pytest.mark.parametrize(
    "name", ["kineto_public/hta_trace_diff_test", "h200/comm_manual.rank0", "h200/host_small.rank0"]
)
def test_every_nanosecond_is_the_decimal_in_the_file(recordings: Path, name: str) -> None:
    path = recordings / f"{name}.json.gz"
    document = json.loads(gzip.decompress(path.read_bytes()), parse_float=Decimal)
    base = document.get("baseTimeNanoseconds", 0)
    kinds = {"cpu_op", "cuda_runtime", "cuda_driver", "kernel", "gpu_memcpy", "gpu_memset", "user_annotation"}
    kinds |= {"gpu_user_annotation", "python_function", "cuda_sync", "overhead"}
    truth = sorted(
        (base + int(Decimal(event["ts"]) * 1000), int(Decimal(event["dur"]) * 1000))
        for event in document["traceEvents"]
        if event["ph"] == "X" and event.get("cat") in kinds
    )
    rank = recorded(path)
    events = events_of(rank)
    assert sorted(zip((rank.origin_ns + events.ts).tolist(), events.dur.tolist(), strict=True)) == truth


def test_environment_and_steps_of_a_distributed_run(recordings: Path) -> None:
    for number in (0, 1):
        rank = recorded(recordings / "h200" / f"comm_manual.rank{number}.json.gz")
        environment = rank.environment
        assert rank.rank == number
        assert (environment.world_size, environment.backend, environment.nccl_version) == (2, "nccl", "2.28.9")
        assert (environment.gpus_per_node, environment.cuda_version) == (2, "13.0")
        assert (environment.device.name, environment.device.capability) == ("NVIDIA H200", (9, 0))
        assert (environment.device.sm_count, environment.device.memory_bytes) == (132, 150109880320)
        assert rank.marks.number.tolist() == [14, 15, 16, 17]
        assert (rank.quality.has_operators, rank.quality.has_shapes) == (True, True)


def test_collectives_carry_their_arguments(recordings: Path) -> None:
    events = events_of(recorded(recordings / "kineto_public" / "hta_nccl_data.json.gz"))
    kernels = {row: call for row, call in events.collectives.items() if events.kind[row] == Kind.KERNEL}
    operators = {row for row in events.collectives if events.kind[row] == Kind.CPU_OP}
    assert (len(kernels), len(operators)) == (21, 27)
    assert {events.named(row) for row in operators} == {"record_param_comms"}
    largest = CollectiveCall("allreduce", 2049000, 2049000, "Float", 2, "0", "default_pg", (0, 1))
    assert largest in events.collectives.values()
    assert all("nccl" in events.named(row).lower() for row in kernels)


def test_steps_are_the_host_marks_not_their_device_shadows(recordings: Path) -> None:
    marks = recorded(recordings / "kineto_public" / "tracelens_mi300_resnet_act_checkpoint.json.gz").marks
    assert marks.number.tolist() == [15, 16, 17]
    assert (marks.end_ns - marks.start_ns).tolist() == [16_798_984, 15_950_958, 15_887_029]


def test_stream_0_is_a_stream(recordings: Path) -> None:
    rank = recorded(recordings / "kineto_public" / "tracelens_mi300_resnet_act_checkpoint.json.gz")
    events = events_of(rank)
    used = {rank.lanes[lane] for lane in np.unique(events.lane[events.rows(*DEVICE_KINDS)])}
    assert {(lane.device, lane.thread) for lane in used} == {(2, 0), (2, 4)}
    assert rank.environment.device.name == "AMD Instinct MI300X"


def test_sync_rows_name_the_stream_that_waits_and_keep_no_stream_busy(recordings: Path) -> None:
    rank = recorded(recordings / "kineto_public" / "hta_simple_add.json.gz")
    events = events_of(rank)
    sync = events.rows(Kind.SYNC)
    assert sync.size > 0
    assert rank.quality.has_sync_events
    assert set(events.streams) <= set(sync.tolist())
    assert not any(rank.lanes[lane].on_device for lane in events.lane[sync])


def test_the_cuda_activity_alone_has_kernels_and_launches_only(recordings: Path) -> None:
    rank = recorded(recordings / "h200" / "light_comm_manual.cuda.rank1.json.gz")
    assert rank.rank == 1
    assert (len(rank.marks), rank.marks.source) == (0, "none")
    assert (rank.quality.has_operators, rank.quality.has_shapes) == (False, False)
    assert rank.quality.unlinked_kernel_share == 0
    assert events_of(rank).rows(*DEVICE_KINDS).size == 4212
