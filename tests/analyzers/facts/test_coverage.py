"""A recording without the device's side gives no figures: a cut GPU trace must not look like a run on the CPU."""

from __future__ import annotations

from dataclasses import replace

from llmprof.analyzers.diagnose import diagnose
from llmprof.analyzers.facts.coverage import gap_in_recording, launch_coverage
from llmprof.timeline.timeline import Quality
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
