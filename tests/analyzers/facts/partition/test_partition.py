"""The partition is exclusive, complete, and charges overlaps and idle time as documented."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llmprof.analyzers.facts.communication.collectives import exposed_spans
from llmprof.analyzers.facts.partition.partition import (
    CLASS_PRIORITY,
    PART_OF,
    Partition,
    device_partition,
    parts_of,
    with_skew,
)
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.timeline.events import EventTable, Kind
from llmprof.timeline.intervals import EMPTY, Intervals
from tests.scenarios.builder import TraceBuilder

GEMM = "nvjet_tst_128x256_64x4_2x1_v_bz_TNT"
ADD = "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>>"
NCCL = "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)"
US = 1_000
MS = 1_000_000


def partition(builder: TraceBuilder, skew: Intervals = EMPTY) -> Partition:
    rank = builder.rank()
    windows = windows_of(rank)
    assert rank.events is not None and windows is not None
    alone = device_partition(rank.events, windows)
    return with_skew(alone, windows, exposed=exposed_spans(rank, windows), skew=skew)


def test_every_part_is_named_and_sums_to_the_step() -> None:
    b = TraceBuilder()
    b.step(0, 0, 10 * MS)
    b.kernel(GEMM, 2 * MS, 3 * MS, launch_ns=1 * MS)
    b.kernel(ADD, 8 * MS, 2 * MS, launch_ns=7 * MS)
    found = partition(b)
    assert set(found.parts) == {"compute", *PART_OF.values()}
    assert sum(found.parts.values()) == pytest.approx(found.step_ns) == 10 * MS
    assert found.compute_classes == {"gemm": 3 * MS, "elementwise": 2 * MS}


def test_idle_until_the_launch_is_the_hosts_and_after_it_the_devices() -> None:
    b = TraceBuilder()
    b.step(0, 0, 10 * MS)
    b.kernel(GEMM, 0, 1 * MS, launch_ns=0, launch_dur_ns=0)
    b.kernel(GEMM, 5 * MS + 4 * US, 1 * MS, launch_ns=5 * MS, launch_dur_ns=0)  # issued 4 µs before it starts
    b.kernel(GEMM, 9 * MS, 1 * MS, launch_ns=7 * MS, launch_dur_ns=0)  # issued 2 ms before it starts
    found = partition(b)
    assert found.detail["launch"] == 4 * MS + (7 * MS - 6 * MS - 4 * US)
    assert found.detail["gap"] == 4 * US
    assert found.detail["dependency"] == 2 * MS
    assert found.parts["other"] == 2 * MS


def test_waiting_for_a_batch_is_data_only_while_the_device_is_idle() -> None:
    b = TraceBuilder()
    b.step(0, 0, 10 * MS)
    b.kernel(GEMM, 0, 3 * MS, launch_ns=0)
    b.annotation("enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__", 1 * MS, 6 * MS)
    b.kernel(GEMM, 8 * MS, 2 * MS, launch_ns=8 * MS, launch_dur_ns=0)
    found = partition(b)
    assert found.parts["data"] == 4 * MS  # from 3 to 7, not from 1
    assert found.detail["launch"] == 1 * MS


def test_a_synchronisation_costs_the_refill_after_it_and_not_its_own_length() -> None:
    b = TraceBuilder()
    b.step(0, 0, 10 * MS)
    b.kernel(GEMM, 0, 5 * MS, launch_ns=0)
    b.runtime("cudaStreamSynchronize", 1 * MS, 4 * MS + 10 * US)  # returns 10 µs after the kernel has ended
    b.kernel(GEMM, 6 * MS, 4 * MS, launch_ns=6 * MS, launch_dur_ns=0)
    found = partition(b)
    assert found.parts["sync"] == 1 * MS
    assert found.parts["host"] == 0


def test_an_allocator_call_is_memory_management() -> None:
    b = TraceBuilder()
    b.step(0, 0, 10 * MS)
    b.kernel(GEMM, 0, 2 * MS, launch_ns=0)
    b.runtime("cudaMalloc", 3 * MS, 2 * MS)
    b.kernel(GEMM, 6 * MS, 4 * MS, launch_ns=6 * MS, launch_dur_ns=0)
    found = partition(b)
    assert found.parts["memory_management"] == 2 * MS
    assert found.parts["host"] == 2 * MS


def test_hidden_communication_is_compute_and_exposed_communication_splits_off_skew() -> None:
    b = TraceBuilder()
    b.step(0, 0, 10 * MS)
    b.kernel(GEMM, 0, 4 * MS, launch_ns=0)
    b.kernel(NCCL, 2 * MS, 6 * MS, launch_ns=0, stream=20)
    b.kernel(GEMM, 8 * MS, 2 * MS, launch_ns=0)
    found = partition(b, skew=Intervals.span(2 * MS, 5 * MS))
    assert found.parts["compute"] == 6 * MS
    assert found.parts["skew"] == 1 * MS
    assert found.parts["communication"] == 3 * MS


def test_a_copy_before_the_first_kernel_of_a_step_is_input_and_a_later_one_is_not() -> None:
    b = TraceBuilder()
    b.step(0, 0, 10 * MS)
    b.memcpy("HtoD (Pageable -> Device)", 0, 1 * MS, 1 << 20, launch_ns=0)
    b.kernel(GEMM, 1 * MS, 5 * MS, launch_ns=0)
    b.memcpy("HtoD (Pinned -> Device)", 6 * MS, 1 * MS, 1 << 20, launch_ns=0)
    b.memcpy("DtoH (Device -> Pinned)", 7 * MS, 2 * MS, 1 << 20, launch_ns=0)
    b.kernel(GEMM, 9 * MS, 1 * MS, launch_ns=0)
    found = partition(b)
    assert found.detail["input_copy"] == 1 * MS
    assert found.detail["other_copy"] == 1 * MS
    assert found.detail["to_host"] == 2 * MS
    assert (found.parts["data"], found.parts["memcpy"]) == (1 * MS, 3 * MS)


def test_idle_before_work_whose_launch_is_not_recorded_has_no_cause() -> None:
    b = TraceBuilder()
    b.step(0, 0, 10 * MS)
    b.kernel(GEMM, 0, 2 * MS, launch_ns=0)
    b.kernel(GEMM, 5 * MS, 1 * MS, launch_ns=None)
    b.kernel(GEMM, 6 * MS, 4 * MS, launch_ns=0)
    found = partition(b)
    assert found.detail["unlinked"] == 3 * MS
    assert found.parts["other"] == 3 * MS


def test_annotations_and_sync_rows_never_make_the_device_busy() -> None:
    b = TraceBuilder()
    b.step(0, 0, 4 * MS)
    b.gpu_annotation("ProfilerStep#0", 0, 4 * MS)
    b.sync("Stream Wait Event", 0, 4 * MS, stream=7)
    b.kernel(GEMM, 3 * MS, 1 * MS, launch_ns=3 * MS, launch_dur_ns=0)
    assert partition(b).parts["compute"] == 1 * MS


def test_no_class_name_means_two_things() -> None:
    assert not set(CLASS_PRIORITY) & set(PART_OF)
    assert parts_of({"gemm": 1.0, "launch": 2.0})["compute"] == 1.0


NAMES = (GEMM, ADD, NCCL, "flash_fwd_kernel", "Memcpy")


@st.composite
def recordings(draw: st.DrawFn) -> tuple[TraceBuilder, int]:
    """A step of at most 60 ns with device work, runtime calls and loader marks in any arrangement."""
    b = TraceBuilder()
    end = 0
    for _ in range(draw(st.integers(1, 8))):
        name = draw(st.sampled_from(NAMES))
        start, length = draw(st.integers(0, 50)), draw(st.integers(0, 12))
        launch = draw(st.one_of(st.none(), st.integers(0, start)))
        stream = draw(st.integers(0, 2))
        if name == "Memcpy":
            kind = draw(st.sampled_from(["HtoD (Pinned -> Device)", "DtoH (Device -> Pinned)", "PtoP"]))
            b.memcpy(kind, start, length, 8, launch_ns=launch, stream=stream, launch_dur_ns=1)
        else:
            b.kernel(name, start, length, launch_ns=launch, stream=stream, launch_dur_ns=1)
        end = max(end, start + length)
    for _ in range(draw(st.integers(0, 3))):
        call = draw(st.sampled_from(["cudaMalloc", "cudaStreamSynchronize", "cudaEventQuery"]))
        b.runtime(call, draw(st.integers(0, 50)), draw(st.integers(0, 15)))
    for _ in range(draw(st.integers(0, 2))):
        b.annotation("enumerate(DataLoader)#X.__next__", draw(st.integers(0, 50)), draw(st.integers(0, 15)))
    b.step(0, 0, max(end, 1))
    return b, end


def bitmap(events: EventTable, kinds: tuple[Kind, ...], text: str, size: int) -> np.ndarray:
    """One flag a nanosecond: whether a row of these kinds whose name contains `text` covers it."""
    covered = np.zeros(size, dtype=bool)
    for row in events.rows(*kinds):
        if text in events.named(int(row)):
            covered[events.ts[row] : events.end[row]] = True
    return covered


@settings(max_examples=200, deadline=None)
@given(recordings())
def test_classes_are_disjoint_complete_and_agree_with_a_bitmap(recording: tuple[TraceBuilder, int]) -> None:
    builder, _ = recording
    rank = builder.rank()
    windows = windows_of(rank)
    if windows is None:
        return
    assert rank.events is not None
    found = device_partition(rank.events, windows)
    size = int(windows.end_ns[-1]) + 64
    times = np.zeros(size, dtype=int)
    for spans in found.spans.values():
        for a, b in zip(spans.starts, spans.ends, strict=True):
            times[a:b] += 1
    inside = np.zeros(size, dtype=bool)
    inside[int(windows.start_ns[0]) : int(windows.end_ns[-1])] = True
    assert (times[inside] == 1).all() and (times[~inside] == 0).all()
    assert sum(found.parts.values()) * len(windows) == pytest.approx(windows.total_ns)

    events = rank.events
    comm = bitmap(events, (Kind.KERNEL,), "nccl", size)
    kernels = np.zeros(size, dtype=bool)
    for name in (GEMM, ADD, "flash"):
        kernels |= bitmap(events, (Kind.KERNEL,), name, size)
    assert found.parts["compute"] * len(windows) == pytest.approx(int((kernels & inside).sum()))
    assert found.parts["communication"] * len(windows) == pytest.approx(int((comm & ~kernels & inside).sum()))


@pytest.mark.parametrize(("memory", "cause"), [("Pageable", "sync"), ("Pinned", "launch")])
def test_a_result_copied_to_pageable_memory_is_waited_for_inside_the_call(memory: str, cause: str) -> None:
    b = TraceBuilder()
    b.step(0, 0, 10_000)
    b.kernel(GEMM, 1_000, 1_000, launch_ns=0, launch_dur_ns=500)
    b.memcpy(f"DtoH (Device -> {memory})", 2_000, 500, 4, launch_ns=1_500, launch_dur_ns=1_500)
    b.kernel(GEMM, 8_000, 1_000, launch_ns=7_500, launch_dur_ns=500)
    before = 500 if cause == "launch" else 0  # the launch of the first kernel
    assert partition(b).detail[cause] == before + 5_500


@pytest.mark.parametrize("mark", ["entire_frame_compile", "_compile.compile_inner (dynamo_timed)", "dynamo"])
def test_compiling_is_a_stall_however_this_version_of_torch_marks_it(mark: str) -> None:
    b = TraceBuilder()
    b.step(0, 0, 10_000)
    b.kernel(GEMM, 1_000, 1_000, launch_ns=0, launch_dur_ns=500)
    b.op(mark, 2_500, 4_000)
    b.kernel(GEMM, 8_000, 1_000, launch_ns=7_500, launch_dur_ns=500)
    assert partition(b).stall_classes == {"compile": 4_000}


@settings(max_examples=50, deadline=None)
@given(recordings(), st.integers(1, 1_000_000))
def test_moving_the_clock_changes_nothing(recording: tuple[TraceBuilder, int], shift: int) -> None:
    builder, _ = recording
    assume(windows_of(builder.rank()) is not None)
    moved = TraceBuilder()
    moved._rows = [type(row)(**{**_fields(row), "start_ns": row.start_ns + shift}) for row in builder._rows]
    moved._steps = [(n, a + shift, b + shift) for n, a, b in builder._steps]
    assert partition(moved).parts == partition(builder).parts


def _fields(row: object) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}  # type: ignore[attr-defined]
