"""Is idle time before a launch told apart by what the host did: the batch, Python, or launching?"""

from __future__ import annotations

from llmprof.analyzers.facts.cpu_partition import cpu_partition
from llmprof.analyzers.facts.host_work import HostWork, host_work
from llmprof.analyzers.facts.partition import device_partition
from llmprof.analyzers.facts.windows import windows_of
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
