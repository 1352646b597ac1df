"""Is idle time before a launch told apart by what the host did: the batch, Python, or launching?"""

from __future__ import annotations

from llmprof.analyzers.facts.host.host_work import HostWork, host_work
from llmprof.analyzers.facts.partition.cpu_partition import cpu_partition
from llmprof.analyzers.facts.partition.partition import device_partition
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder

MS = 1_000_000
FETCH = "enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__"


def work_of(rank: RankTimeline, *, cpu: bool = False) -> HostWork:
    windows = windows_of(rank)
    assert windows is not None and rank.events is not None
    traced = cpu_partition(rank.events, windows) if cpu else device_partition(rank.events, windows)
    found = host_work(rank, windows, traced)
    assert found is not None
    return found


def test_each_stretch_has_one_owner() -> None:
    b = TraceBuilder()
    b.step(0, 0, 30 * MS)
    b.annotation(FETCH, 0, 1 * MS)
    b.op("aten::to", 3 * MS, 1 * MS)  # 1..6 ms: the batch is worked on, 4 of them outside of PyTorch
    b.kernel("k", 6 * MS + 4_000, MS // 2, launch_ns=6 * MS)
    b.op("aten::mm", 6 * MS, 2 * MS)  # from 6.5 to 8 the device waits inside an operator
    b.kernel("k", 10 * MS + 4_000, 1 * MS, launch_ns=10 * MS)  # 8..10: 2 ms of Python
    b.op("aten::mm", 10 * MS, 2 * MS)
    b.kernel("k", 12 * MS + 504_000, 1 * MS, launch_ns=12 * MS + 500_000)  # 12..12.5: half a ms of Python
    b.op("aten::mm", 12 * MS + 500_000, 1 * MS)
    found = work_of(b.rank())
    assert found.preparing_ns == 5 * MS
    assert found.preparing_silent_ns == 4 * MS
    assert (found.long_ns, found.short_ns) == (2 * MS, MS // 2)
    assert found.longest is not None and found.longest[1] - found.longest[0] == 2 * MS


def test_work_behind_running_kernels_costs_nothing() -> None:
    b = TraceBuilder()
    b.step(0, 0, 30 * MS)
    b.op("aten::mm", 0, 1 * MS)
    b.kernel("k", 10_000, 20 * MS, launch_ns=1_000)
    b.annotation(FETCH, 2 * MS, 1 * MS)
    b.kernel("k", 21 * MS, 1 * MS, launch_ns=12 * MS)  # 9 ms of work, while the device computes
    found = work_of(b.rank())
    assert (found.preparing_ns, found.long_ns) == (0, 0)


def test_without_a_fetch_what_prepares_is_unknown() -> None:
    b = TraceBuilder()
    b.step(0, 0, 10 * MS)
    b.op("aten::mm", 0, 1 * MS)
    b.kernel("k", 10_000, 1 * MS, launch_ns=1_000)
    assert work_of(b.rank()).preparing_ns is None


def test_on_the_cpu_the_first_operator_ends_the_preparing() -> None:
    b = TraceBuilder()
    b.step(0, 0, 10 * MS)
    b.annotation(FETCH, 0, 1 * MS)
    b.op("aten::mm", 5 * MS, 5 * MS)
    found = work_of(b.rank(), cpu=True)
    assert (found.preparing_ns, found.preparing_silent_ns) == (4 * MS, 4 * MS)


def after_a_copy(operator: str, *, inside: str | None = None, launching: bool = False) -> HostWork:
    """Two steps of 10 ms: 2 ms of device, a copy to the host that waits for it, then 6 ms of operators a ms long."""
    b = TraceBuilder()
    for step in range(2):
        at = step * 10 * MS
        b.step(step, at, at + 10 * MS)
        b.op("aten::mm", at, MS)
        b.kernel("k", at + 10_000, 2 * MS, launch_ns=at + 1_000)
        b.op("aten::to", at + MS, MS + 100_000)
        b.memcpy(
            "DtoH (Device -> Pageable)", at + 2 * MS + 11_000, 9_000, 4, launch_ns=at + MS, launch_dur_ns=MS + 50_000
        )
        if inside is not None:
            b.annotation(inside, at + 3 * MS - 1_000, 6 * MS + 2_000)
        for place in range(6):
            b.op(operator, at + (3 + place) * MS, MS - 50_000)
            if launching:
                b.kernel("k", at + (3 + place) * MS + 9_000, 1_000, launch_ns=at + (3 + place) * MS + 1_000)
    return work_of(b.rank())


def test_operators_that_compute_and_call_nothing_have_their_tensors_on_the_cpu() -> None:
    """From the end of the copy to the next launch the host counts, and the Python between belongs to that."""
    found = after_a_copy("aten::sum")
    assert found.computing_ns == found.long_ns
    assert found.computing_ns > 3.5 * MS  # of 8 ms in the first of two steps: no launch follows the second


def test_views_launches_and_the_optimizer_are_no_work_on_the_cpu() -> None:
    assert after_a_copy("aten::view").computing_ns == 0
    assert after_a_copy("aten::sum", launching=True).computing_ns == 0
    assert after_a_copy("aten::sum", inside="Optimizer.step#AdamW.step").computing_ns == 0


def test_python_behind_a_synchronisation_is_waited_for_as_well() -> None:
    """The device ran dry while the host waited for it; then 5 ms pass without an operator before the next launch."""
    b = TraceBuilder()
    b.step(0, 0, 12 * MS)
    b.op("aten::mm", 0, 1 * MS)
    b.kernel("k", 10_000, 2 * MS, launch_ns=1_000)
    b.runtime("cudaStreamSynchronize", 1 * MS, 1 * MS + 20_000)
    b.op("aten::mm", 7 * MS + 20_000, 1 * MS)
    b.kernel("k", 7 * MS + 34_000, 4 * MS, launch_ns=7 * MS + 30_000)
    found = work_of(b.rank())
    assert found.long_ns == 5 * MS
    assert found.waiting_ns >= found.long_ns and found.computing_ns == 0


def test_python_that_works_on_what_was_read_is_one_piece_and_the_way_between_operators_is_not() -> None:
    """The host waits for a value: 0.3 ms of Python directly behind it, or as much behind an operator."""

    def found(*, behind: bool) -> HostWork:
        b = TraceBuilder()
        b.step(0, 0, 3 * MS)
        b.op("aten::mm", 0, 100_000)
        b.kernel("k", 10_000, 1 * MS, launch_ns=1_000)
        b.runtime("cudaStreamSynchronize", 100_000, MS - 85_000)
        if not behind:
            b.op("aten::mm", MS + 16_000, 10_000)
        b.op("aten::mm", MS + 330_000, 100_000)
        b.kernel("k", MS + 350_000, 1 * MS, launch_ns=MS + 340_000)
        b.op("aten::mm", 2 * MS, MS)
        return work_of(b.rank())

    read, other = found(behind=True), found(behind=False)
    assert read.long_ns == read.reading_ns == 315_000
    assert (other.long_ns, other.reading_ns) == (0, 0)
