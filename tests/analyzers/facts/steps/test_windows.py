"""Steps are anchored on the device: they tile, and work belongs to the step that launched it."""

from __future__ import annotations

from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.timeline.events import EventTable
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder


def test_a_device_behind_the_host_ends_each_step_late_and_the_next_begins_there() -> None:
    b = TraceBuilder()
    for step in range(3):
        b.step(step, step * 10, step * 10 + 10)
        b.kernel("k", 20 + step * 100, 100, launch_ns=step * 10, launch_dur_ns=1)
    windows = windows_of(b.rank())
    assert windows is not None
    assert windows.start_ns.tolist() == [0, 120, 220]
    assert windows.end_ns.tolist() == [120, 220, 320]


def test_work_launched_before_the_first_step_is_not_the_first_steps() -> None:
    b = TraceBuilder()
    b.kernel("earlier", 0, 50, launch_ns=None)
    b.step(7, 10, 20)
    b.kernel("k", 50, 30, launch_ns=12, launch_dur_ns=1)
    windows = windows_of(b.rank())
    assert windows is not None
    assert (windows.number.tolist(), windows.start_ns.tolist(), windows.end_ns.tolist()) == ([7], [50], [80])


def test_idle_time_before_the_first_kernel_belongs_to_its_step() -> None:
    b = TraceBuilder()
    b.step(0, 0, 100)
    b.kernel("k", 60, 30, launch_ns=50, launch_dur_ns=1)
    b.step(1, 100, 200)
    b.kernel("k", 190, 5, launch_ns=180, launch_dur_ns=1)
    windows = windows_of(b.rank())
    assert windows is not None
    assert (windows.start_ns.tolist(), windows.end_ns.tolist()) == ([0, 90], [90, 195])


def test_a_recording_without_marks_is_one_window_over_its_device_work() -> None:
    b = TraceBuilder()
    b.kernel("k", 5, 10, launch_ns=0, launch_dur_ns=1)
    b.kernel("k", 40, 10, launch_ns=30, launch_dur_ns=1)
    windows = windows_of(b.rank())
    assert windows is not None
    assert (windows.start_ns.tolist(), windows.end_ns.tolist()) == ([5], [50])


def test_on_a_cpu_the_marks_are_the_windows() -> None:
    b = TraceBuilder()
    b.op("aten::mm", 3, 4)
    b.step(0, 0, 10)
    windows = windows_of(b.rank())
    assert windows is not None
    assert (windows.start_ns.tolist(), windows.end_ns.tolist()) == ([0], [10])


def test_nothing_recorded_has_no_windows() -> None:
    b = TraceBuilder()
    b.op("aten::mm", 3, 4)
    rank: RankTimeline = b.rank()
    assert isinstance(rank.events, EventTable) and windows_of(rank) is None
    assert windows_of(RankTimeline(rank=0, events=None)) is None
