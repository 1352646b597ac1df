"""Which explanation of the unprofiled step is taken, and what when nothing decides between two?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.replay.model import Model, model_of
from llmprof.analyzers.replay.replay import replay
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.timeline.steps import StepPhase, StepTimes
from llmprof.timeline.timeline import RankTimeline, Timeline
from tests.analyzers.replay.programs import Call, record
from tests.scenarios.builder import TraceBuilder

HOST_LATE = [Call(40_000, "launch", 30_000)] * 30


def asked(rank: RankTimeline) -> WhatIf:
    timeline = Timeline(ranks=(rank,), kind="kineto", paths=("here",), world_size=1)
    facts = measure(timeline)
    model = model_of(timeline, facts)
    assert isinstance(model, Model), model
    return WhatIf.of(model, facts)


def unprofiled(wall_ns: int, **parts: int) -> StepTimes:
    count = 40
    return StepTimes(
        number=np.arange(count),
        start_ns=np.arange(count) * wall_ns,
        wall_ns=np.full(count, wall_ns),
        phase=np.full(count, StepPhase.BASELINE, np.uint8),
        parts={name: np.full(count, value) for name, value in parts.items()},
    )


def test_what_nothing_decides_counts_one_half_each() -> None:
    """With a late host CUDA graphs save nearly all of it; with a slow device they save next to nothing."""
    late = asked(record(HOST_LATE))
    graph = late.model.scenario.graph
    slow = replace(graph, dur=np.where(graph.on_device, graph.dur * 1.5, graph.dur), before_lag=graph.before_lag / 10)
    undecided = WhatIf(model=replace(late.model, rival=Scenario(graph=slow)), subject=late.subject)
    one, both = late.predict(["cuda-graphs"]), undecided.predict(["cuda-graphs"])
    other = WhatIf(model=replace(undecided.model, scenario=Scenario(graph=slow)), subject=late.subject)
    after = replay(other.applied(["cuda-graphs"])[0].graph).step_ns / replay(slow).step_ns * late.model.step_ns
    assert both.step_ns == pytest.approx((one.step_ns + after) / 2)
    assert both.least_ns <= min(one.step_ns, after) < max(one.step_ns, after) <= both.most_ns


def fetching(wait_ns: int) -> TraceBuilder:
    """Steps of 3 ms of launches after a wait for workers."""
    builder = TraceBuilder()
    for step in range(4):
        begin = step * (wait_ns + 3_000_000)
        builder.annotation("enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__", begin, wait_ns)
        for place in range(20):
            at = begin + wait_ns + 10_000 + place * 140_000
            builder.op("aten::mm", at - 2_000, 8_000)
            builder.kernel("ampere_bf16_gemm", at + 10_000, 20_000, launch_ns=at)
        builder.step(step, begin, begin + wait_ns + 3_000_000)
    return builder


def test_a_run_that_waits_for_its_loader_is_fitted_to_the_step_without_the_wait() -> None:
    """The trace waited 1 ms of 4, the unprofiled steps 6 of 8.5: what is left is 2.5 ms of the host, not 3."""
    times = unprofiled(8_500_000, data_wait=6_000_000, data_wait_exposed=6_000_000)
    model = asked(fetching(1_000_000).rank(times=times)).model
    assert model.waited_ns == pytest.approx(6_000_000, rel=0.05)
    received = sum(feed.hand_over_ns * feed.fetches for feed in model.scenario.feeds.values())
    assert replay(model.scenario.graph).step_ns == pytest.approx(2_500_000 + received, rel=0.02)
