"""What one rank tells alone: of how much of its traced work the launch is missing."""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.reduction import reduce_rank
from tests.scenarios.builder import TraceBuilder


def test_work_that_drains_from_before_the_recording_lacks_no_launch() -> None:
    b = TraceBuilder()
    for begin in (0, 10, 20):
        b.kernel("earlier", begin, 10, launch_ns=None)
    b.step(7, 5, 60)
    b.kernel("k", 30, 30, launch_ns=12, launch_dur_ns=1)
    rank = b.rank()
    assert rank.quality.unlinked_kernel_share == 0.75
    assert reduce_rank(rank).unlinked_share == 0


def test_work_within_the_traced_steps_without_a_launch_counts() -> None:
    b = TraceBuilder()
    b.step(7, 0, 100)
    b.kernel("k", 30, 10, launch_ns=12, launch_dur_ns=1)
    b.kernel("lost", 40, 10, launch_ns=None)
    b.kernel("k", 50, 30, launch_ns=14, launch_dur_ns=1)
    assert reduce_rank(b.rank()).unlinked_share == pytest.approx(1 / 3)
