"""Is the way from the traced to the unprofiled step the one that was planted?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.replay.graph.graph import Graph, NodeKind
from llmprof.analyzers.replay.graph.replay import replay
from llmprof.analyzers.replay.unprofiled.distortion import Distortion
from llmprof.analyzers.replay.unprofiled.explained import Explained, less_crowded
from tests.analyzers.replay.test_contention import LATE, asked, step_of


def test_kernels_that_only_the_recording_had_beside_a_waiting_collective_are_shorter_without_the_wait() -> None:
    """Rank 1 was late only while it was recorded: rank 0's kernels beside its waits keep no trace of it."""
    found, truth = asked(LATE), step_of(replace(LATE, scale=(1.0, 1.0)))
    model = found.model

    def in_time(graph: Graph) -> Explained:
        late = (graph.rank == 1) & (model.traced.kind == NodeKind.DEVICE) & ~found.subject.kind("communication")
        here = replace(graph, dur=np.where(late, model.traced.dur / 1.6, graph.dur))
        return Explained(here, Distortion(error=replay(here).step_ns / truth - 1))

    assert (in_time(model.traced).distortion.error or 0.0) > 0.1
    told = less_crowded(model.ranks, model.traced, in_time, model.interference)
    assert told.distortion.error == pytest.approx(0.0, abs=0.005)


def test_a_step_that_is_explained_keeps_the_lengths_that_were_recorded() -> None:
    model = asked(LATE).model
    some = Explained(model.traced, Distortion(error=-0.004))
    assert less_crowded(model.ranks, model.traced, lambda _: some, model.interference) is some
