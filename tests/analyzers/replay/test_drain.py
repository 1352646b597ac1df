"""Does a collective that waits for the end of a kernel keep that wait, and wait less long for a shorter kernel?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.replay.drain import drained, held_by
from llmprof.analyzers.replay.graph.build import build
from llmprof.analyzers.replay.graph.graph import Graph
from llmprof.analyzers.replay.graph.replay import replay
from llmprof.analyzers.replay.model import Model, model_of
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.timeline.events import CollectiveCall
from llmprof.timeline.timeline import RankTimeline, Timeline
from tests.scenarios.builder import TraceBuilder

ALL_REDUCE = "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)"
EXCHANGE, COUNT = 20, 6
TRANSFER, COPY, HAND_OVER = 700_000, 100_000, 2_000
"""Each copy back waits for its all-reduce, fills the device, and the next all-reduce begins when it ends."""
STEPS, STEP = 4, 6_000_000


def copied_back() -> RankTimeline:
    """All-reduces that were issued early, and copies of what each of them has reduced, issued after all of them."""
    call = CollectiveCall(name="allreduce", in_elements=1 << 20, out_elements=1 << 20, dtype="Float", group_size=2)
    builder = TraceBuilder()
    for step in range(STEPS):
        begin = step * STEP
        builder.kernel("backward", begin + 20_000, 300_000, launch_ns=begin + 5_000)
        builder.runtime("cudaStreamWaitEvent", begin + 12_000, 200)
        at = begin + 320_000 + HAND_OVER
        starts = []
        for number in range(COUNT):
            starts.append(at)
            builder.kernel(
                ALL_REDUCE, at, TRANSFER, launch_ns=begin + 14_000 + number * 5_000, stream=EXCHANGE, collective=call
            )
            builder.runtime("cudaStreamWaitEvent", begin + 18_000 + number * 5_000, 200)
            at += TRANSFER + HAND_OVER + COPY + HAND_OVER
        for number, start in enumerate(starts):
            builder.runtime("cudaStreamWaitEvent", begin + 80_000 + number * 8_000, 200)
            builder.kernel("copy_back", start + TRANSFER + HAND_OVER, COPY, launch_ns=begin + 82_000 + number * 8_000)
        waited = begin + 82_000 + COUNT * 8_000
        builder.runtime("cudaDeviceSynchronize", waited, at + 5_000 - waited)
        builder.step(step, begin, begin + STEP)
    return builder.rank()


def nodes(rank: RankTimeline, graph: Graph, name: str) -> np.ndarray:
    assert rank.events is not None
    return np.array([n for n in np.flatnonzero(graph.on_device) if name in rank.events.named(int(graph.row[n]))])


def asked(rank: RankTimeline) -> WhatIf:
    timeline = Timeline(ranks=(rank,), kind="kineto", paths=("here",), world_size=1)
    facts = measure(timeline)
    model = model_of(timeline, facts)
    assert isinstance(model, Model), model
    return WhatIf.of(model, facts)


def test_a_gap_that_no_event_explains_is_kept() -> None:
    """The last that an all-reduce was made to wait for, backward, had ended long before."""
    rank = copied_back()
    graph = build(rank)
    assert graph is not None
    calls = nodes(rank, graph, "AllReduce").reshape(STEPS, COUNT)
    assert graph.before_lag[calls[:, 1:]] == pytest.approx(COPY + 2 * HAND_OVER)
    assert replay(graph).step_ns == pytest.approx(STEP, rel=0.001)
    # And the first of a step follows backward, not the step before.
    assert (graph.before_lag[calls[1:, 0]] < 50_000).all()


def test_the_kernel_at_whose_end_a_collective_begins_holds_it() -> None:
    rank = copied_back()
    found = asked(rank)
    graph = found.subject.graph
    copies = nodes(rank, graph, "copy_back").reshape(STEPS, COUNT)
    calls, kernels = held_by(found.subject)
    assert calls.tolist() == nodes(rank, graph, "AllReduce").reshape(STEPS, COUNT)[:, 1:].ravel().tolist()
    assert kernels.tolist() == copies[:, :-1].ravel().tolist()


def test_a_shorter_kernel_holds_the_collective_for_less_and_a_longer_one_for_no_more() -> None:
    rank = copied_back()
    found = asked(rank)
    held, graph = held_by(found.subject), found.subject.graph
    for factor, left in ((0.25, 0.25), (0.0, 0.0), (3.0, 1.0)):
        dur = graph.dur.copy()
        dur[nodes(rank, graph, "copy_back")] *= factor
        after = drained(held, graph, replace(graph, dur=dur))
        assert after.before_lag[held[0]] == pytest.approx(left * graph.before_lag[held[0]])
        others = np.setdiff1d(np.arange(len(graph)), held[0])
        assert (after.before_lag[others] == graph.before_lag[others]).all()


def test_a_graph_without_such_collectives_stays_as_it_is() -> None:
    builder = TraceBuilder()
    for step in range(3):
        begin = step * 1_000_000
        builder.kernel("gemm", begin + 20_000, 500_000, launch_ns=begin + 5_000)
        builder.runtime("cudaDeviceSynchronize", begin + 30_000, 500_000)
        builder.step(step, begin, begin + 1_000_000)
    found = asked(builder.rank())
    held = held_by(found.subject)
    assert held[0].size == 0
    assert drained(held, found.subject.graph, found.model.fed) is found.model.fed
