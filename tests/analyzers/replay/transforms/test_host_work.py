"""Is Python that is moved out of the step, or into the loader's workers, saved as far as the device waited for it?"""

from __future__ import annotations

import numpy as np
import pytest

from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.replay.model import Model, model_of
from llmprof.analyzers.replay.transforms.base import Level
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.analyzers.rules.python_overhead import evaluate
from llmprof.analyzers.verdict import judge
from llmprof.timeline.steps import StepPhase, StepTimes
from llmprof.timeline.timeline import Timeline
from tests.analyzers.replay.programs import what_if_of
from tests.scenarios.builder import TraceBuilder

MS = 1_000_000
FETCH = "enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__"


def steps_with_python(kernel_ns: int, python_ns: int) -> TraceBuilder:
    """Each step: a fetch, ten launches in 2 ms, then `python_ns` without an operator."""
    builder = TraceBuilder()
    length = 2 * MS + python_ns
    free = 0
    for step in range(4):
        begin = step * length
        builder.annotation(FETCH, begin, 10_000)
        for place in range(10):
            at = begin + 20_000 + place * 195_000
            builder.op("aten::mm", at - 10_000, 190_000)
            start = max(at + 8_000, free + 1_000)
            builder.kernel("gemm_bf16", start, kernel_ns, launch_ns=at)
            free = start + kernel_ns
        builder.step(step, begin, begin + length)
    return builder


def slower_without_the_profiler(python_ms: float, *, exposed_us: int = 10) -> tuple[Facts, Model | str]:
    """Steps of 7 ms, 5 of them Python, whose unprofiled siblings take 2 ms + `python_ms` for the same."""
    wall = np.array([int((2 + python_ms) * MS)] * 8 + [7 * MS] * 4)
    us = {"data_wait": 10, "data_wait_exposed": exposed_us, "forward": 600, "backward": 1_100, "optimizer": 200}
    times = StepTimes(
        number=np.arange(-8, 4),
        start_ns=np.cumsum(wall),
        wall_ns=wall,
        phase=np.array([StepPhase.BASELINE] * 8 + [StepPhase.TRACED] * 4, np.uint8),
        parts={name: np.full(12, value * 1_000) for name, value in us.items()},
    )
    rank = steps_with_python(20_000, 5 * MS).rank(times=times)
    timeline = Timeline(ranks=(rank,), kind="kineto", paths=("here",), world_size=1)
    facts = measure(timeline)
    return facts, model_of(timeline, facts)


def test_python_that_is_slower_without_the_profiler_is_won_back_as_a_whole() -> None:
    """A host that other programs slow: 12 ms of Python in steps whose traced siblings have 5 ms of it."""
    facts, model = slower_without_the_profiler(12)
    assert isinstance(model, Model) and model.faithful
    # The end of the last operator lies in the same stretch without a call, and is taken to be as slow.
    assert WhatIf.of(model, facts).outcome(["hoist-python"]).step_ns == pytest.approx(2 * MS, rel=0.1)
    verdict = judge(facts)
    assert verdict.bound == "host" and verdict.share == pytest.approx(1 - 0.2 / 14, abs=0.03)
    found = evaluate(facts)
    assert found.finding.cost_ms == pytest.approx(12, rel=0.1)


@pytest.mark.parametrize(("python_ms", "exposed_us"), [(12, 0), (40, 10)])
def test_steps_that_nothing_explains_stay_unexplained(python_ms: float, exposed_us: int) -> None:
    """The device was busy when the next batch was there; or the host took more than three times as long."""
    _, model = slower_without_the_profiler(python_ms, exposed_us=exposed_us)
    assert isinstance(model, Model) and not model.faithful


def test_long_python_is_won_back_where_the_device_waits_for_it() -> None:
    found = what_if_of(steps_with_python(20_000, 5 * MS))
    assert found.model.outcome.step_ns == pytest.approx(7 * MS, rel=0.01)
    assert found.outcome(["hoist-python"]).step_ns == pytest.approx(2 * MS, rel=0.03)
    assert found.outcome(["hoist-python"], Level.LOW).step_ns == pytest.approx(4.5 * MS, rel=0.02)


def test_only_as_much_is_won_back_as_the_device_does_not_need() -> None:
    """2 ms of launches, 5 ms of Python, and 6 ms of kernels: 1 ms of the 5 is waited for."""
    found = what_if_of(steps_with_python(600_000, 5 * MS))
    saved = found.model.outcome.step_ns - found.outcome(["hoist-python"]).step_ns
    assert saved == pytest.approx(1 * MS, rel=0.05)


def test_python_behind_a_busy_device_brings_nothing() -> None:
    found = what_if_of(steps_with_python(900_000, 5 * MS))
    assert found.outcome(["hoist-python"]).step_ns == pytest.approx(found.model.outcome.step_ns, rel=0.005)


def test_without_long_stretches_nothing_is_hoisted_for_sure() -> None:
    found = what_if_of(steps_with_python(20_000, 0))
    assert found.outcome(["hoist-python"], Level.LOW).step_ns == pytest.approx(found.model.outcome.step_ns, rel=0.001)


def test_work_on_the_batch_goes_to_the_workers() -> None:
    """6 ms between fetch and model, of which 1 ms is the way into the model, and 2 ms of launches."""
    builder = TraceBuilder()
    for step in range(4):
        begin = step * 8 * MS
        builder.annotation(FETCH, begin, 10_000)
        builder.op("aten::stack", begin + 2 * MS, 1 * MS)
        for place in range(10):
            at = begin + 6 * MS + place * 195_000
            builder.op("aten::mm", at - 10_000, 190_000)
            builder.kernel("gemm_bf16", at + 8_000, 20_000, launch_ns=at)
        builder.step(step, begin, begin + 8 * MS)
    found = what_if_of(builder)
    assert found.outcome(["preprocess-in-workers"]).step_ns == pytest.approx(3 * MS, rel=0.05)
    scenario, _ = found.applied(["preprocess-in-workers"])
    (feed,) = scenario.feeds.values()
    assert feed.loads_ns[0] == pytest.approx(5 * MS, rel=0.05)  # what left the loop is made by workers
    assert (feed.workers or 0) >= 2


def test_a_batch_that_goes_straight_into_the_model_needs_no_workers() -> None:
    found = what_if_of(steps_with_python(20_000, 5 * MS))
    assert "preprocess-in-workers" in found.predict(["preprocess-in-workers"]).left_out


def steps_with_metrics(copy_ns: int = 10_000) -> TraceBuilder:
    """Each step: ten launches in 2 ms, a copy that waits for them, then 5 ms of operators on what it brought."""
    builder = TraceBuilder()
    length, more = 7_090_000 + copy_ns, copy_ns - 10_000
    for step in range(4):
        begin = step * length
        for place in range(10):
            at = begin + 20_000 + place * 195_000
            builder.op("aten::mm", at - 10_000, 190_000)
            builder.kernel("gemm_bf16", at + 8_000, 150_000, launch_ns=at)
        builder.op("aten::to", begin + 1_980_000, 40_000 + more)
        at, blocked = begin + 1_985_000, 30_000 + more
        builder.memcpy("DtoH (Device -> Pageable)", begin + 2 * MS, copy_ns, 64, launch_ns=at, launch_dur_ns=blocked)
        for place in range(50):
            builder.op("aten::sum", begin + 2_050_000 + more + place * 100_000, 95_000)
        builder.step(step, begin, begin + length)
    return builder


@pytest.mark.parametrize("fix", ["hoist-python", "log-less-often"])
def test_metrics_counted_on_the_cpu_are_won_back(fix: str) -> None:
    """The profiler's share of their 50 operators goes with them; at worst half of the work stays."""
    found = what_if_of(steps_with_metrics())
    assert found.model.outcome.step_ns == pytest.approx(7.1 * MS, rel=0.02)
    assert found.outcome([fix]).step_ns == pytest.approx(2.05 * MS, rel=0.05)
    assert found.outcome([fix], Level.LOW).step_ns == pytest.approx(4.6 * MS, rel=0.05)


def test_what_is_computed_on_the_device_is_not_copied_to_the_host() -> None:
    """2 ms of copying go with the work that is done on what was copied; at worst both are halved or stay."""
    found = what_if_of(steps_with_metrics(2 * MS))
    assert found.model.outcome.step_ns == pytest.approx(9.09 * MS, rel=0.02)
    assert found.outcome(["hoist-python"]).step_ns == pytest.approx(2.05 * MS, rel=0.05)
    assert found.outcome(["hoist-python"], Level.LOW).step_ns == pytest.approx(6.6 * MS, rel=0.05)


def test_removing_the_wait_alone_leaves_the_work_behind_it() -> None:
    found = what_if_of(steps_with_metrics())
    assert found.outcome(["remove-sync"]).step_ns == pytest.approx(found.model.outcome.step_ns, rel=0.02)
