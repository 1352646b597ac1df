"""A recording without the device's side gives no figures: a cut GPU trace must not look like a run on the CPU."""

from __future__ import annotations

from dataclasses import replace

from llmprof.analyzers.diagnose import diagnose
from llmprof.analyzers.facts.steps.coverage import gap_in_recording, launch_coverage, recording_facts
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.timeline.timeline import Quality, RankTimeline, ShapedSteps
from tests.scenarios.builder import TraceBuilder

MS = 1_000_000


def recording(launches: int, recorded: int) -> TraceBuilder:
    """One step with so many launches, of which only some have their kernel in the recording."""
    b = TraceBuilder()
    b.step(0, 0, 100 * MS)
    for index in range(launches):
        if index < recorded:
            b.kernel("k", index * MS + 1000, MS // 2, launch_ns=index * MS)
        else:
            b.runtime("cudaLaunchKernel", index * MS, 4000)
    b.op("aten::mm", 0, 50 * MS)
    return b


def test_the_share_of_launches_with_their_work_is_found() -> None:
    assert launch_coverage(recording(20, 20).rank()) == 1.0
    assert launch_coverage(recording(20, 5).rank()) == 0.25
    assert launch_coverage(recording(0, 0).rank()) is None


def test_a_run_on_the_cpu_is_whole() -> None:
    assert gap_in_recording(recording(0, 0).rank()) is None


def test_launches_without_device_work_give_no_verdict_and_say_what_to_do() -> None:
    b = recording(20, 0)
    found = diagnose(b.timeline())
    assert found.verdict.bound is None
    assert found.verdict.reason is not None and "0% of the launches" in found.verdict.reason
    assert not found.recommendations


def test_a_file_cut_before_its_device_work_gives_no_verdict() -> None:
    rank = replace(recording(0, 0).rank(), quality=Quality(truncated=True))
    assert gap_in_recording(rank) == "the file was cut off before any launch or device work; record it again"


def test_one_damaged_rank_is_left_out_and_named() -> None:
    whole, damaged = recording(20, 20).rank(0), recording(20, 0).rank(1)
    found = diagnose(TraceBuilder().timeline(whole, damaged))
    assert found.verdict.bound is not None
    assert [rank.rank for rank in found.ranks] == [0]
    assert any("rank 1 is left out" in warning for warning in found.capture.warnings)


def damaged(lost: int = 0, quantum_ns: int | None = None) -> RankTimeline:
    """A step with 20 kernels, of 61 rows, and a quality record of this kind."""
    rank = recording(20, 20).rank()
    return replace(rank, quality=replace(rank.quality, dropped_events=lost, clock_quantum_ns=quantum_ns))


def test_what_was_lost_and_what_rounding_may_move_are_shares() -> None:
    rank = damaged(lost=2, quantum_ns=MS)
    assert rank.events is not None
    found = recording_facts(rank, windows_of(rank))
    assert found.lost_share == 2 / (len(rank.events) + 2)
    windows = windows_of(rank)
    assert windows is not None
    assert found.clock_error_share == 20 * 0.5 * MS / windows.total_ns
    assert recording_facts(damaged(), windows).lost_share == 0


def test_shapes_of_steps_of_their_own_are_shapes() -> None:
    rank = damaged()
    assert rank.events is not None
    assert not recording_facts(rank, None).quality.has_shapes
    shaped = replace(rank, shaped=ShapedSteps(events=rank.events, marks=rank.marks))
    assert recording_facts(shaped, None).quality.has_shapes


def test_a_tenth_of_the_rows_lost_gives_no_verdict() -> None:
    assert gap_in_recording(damaged(lost=3)) is None
    found = diagnose(TraceBuilder().timeline(damaged(lost=30)))
    assert found.verdict.bound is None
    assert found.verdict.reason is not None and "of its events could not be read" in found.verdict.reason


def test_a_clock_that_is_too_coarse_for_the_kernels_gives_no_verdict() -> None:
    assert gap_in_recording(damaged(quantum_ns=1_000)) is None
    gap = gap_in_recording(damaged(quantum_ns=10 * MS))
    assert gap is not None and "multiples of 10.0 ms" in gap
