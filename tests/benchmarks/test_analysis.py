"""Does the benchmark of the analysis measure what it says: real ranks, repeated, each launch linked to its own?"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.analysis import repeated, timeline_of
from llmprof.analyzers.diagnose import diagnose
from llmprof.collectors.files import load
from llmprof.timeline.events import DEVICE_KINDS, NONE


def test_a_repeated_rank_is_the_recording_several_times_over(recordings: Path) -> None:
    rank = load(recordings / "h200" / "straggler_data.rank0.json.gz").ranks[0]
    long = repeated(rank, 3 * len(rank.events or ()))
    assert rank.events is not None and long.events is not None
    count = len(rank.events)
    assert (len(long.events), len(long.marks)) == (3 * count, 5)
    assert (np.diff(long.events.ts) >= 0).all()
    device = long.events.rows(*DEVICE_KINDS)
    launch = long.events.launch[device]
    assert (launch[launch != NONE] // count == device[launch != NONE] // count).all()
    assert len(long.events.collectives) == 3 * len(rank.events.collectives)


def test_eight_ranks_are_one_run(recordings: Path) -> None:
    sources = load(sorted((recordings / "h200").glob("straggler_data.rank*.json.gz"))).ranks
    found = diagnose(timeline_of(sources, ranks=8, events=20_000))
    assert found.source.world_size == 8 and len(found.ranks) == 8
    assert found.verdict.bound == "data"
