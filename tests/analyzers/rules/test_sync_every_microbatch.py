"""Are gradients that are reduced too often recognised, and is the gain what reducing them once really brings?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.sync_every_microbatch import evaluate
from llmprof.timeline.settings import ModelSettings
from llmprof.timeline.steps import StepPhase, StepTimes
from tests.analyzers.rules.exchange_facts import facts_of, gain_ms
from tests.analyzers.rules.facts_builder import (
    assert_consistent,
    assert_contains,
    fix,
    make_collectives,
    make_facts,
    status,
)
from tests.scenarios.exchange import MIB, Link, Run, ddp_run

LINK = Link(bytes_per_s=10e9)
SIZES = [25 * MIB] * 8


def accumulated(run: Run, microbatches: int, elements: int = sum(SIZES) // 4) -> Facts:
    """The facts of a run whose steps fetch so many batches, measured without a profiler at the same pace."""
    steps = np.arange(20, dtype=np.int64)
    times = StepTimes(
        number=steps,
        start_ns=steps * run.step_ns,
        wall_ns=np.full(20, run.step_ns),
        phase=np.full(20, StepPhase.BASELINE, np.uint8),
        microbatches=np.full(20, microbatches, np.int64),
    )
    model = ModelSettings(trainable_count=elements)
    return facts_of(run, settings={"models": (model,)}, times=times)


def test_the_gain_is_what_reducing_once_really_brings() -> None:
    """Four reductions of 200 MiB at 10 GB/s, each exposed; the first three go."""
    before = ddp_run(SIZES, link=LINK, microbatches=4, backward_ns=4_000_000)
    after = ddp_run(SIZES, link=LINK, microbatches=4, backward_ns=4_000_000, synchronised=1)
    facts = accumulated(before, 4)
    advice = fix(evaluate(facts), "no-sync")
    assert advice.gain.expected_ms == pytest.approx(gain_ms(before, after), rel=0.05)
    assert_contains(advice, min(gain_ms(before, after), advice.gain.high_ms))
    assert_consistent(advice, facts)


def test_reduced_once_passes() -> None:
    run = ddp_run(SIZES, link=LINK, microbatches=4, synchronised=1)
    assert status(evaluate(accumulated(run, 4))) == "passed"


def test_reduced_often_and_hidden_passes() -> None:
    run = ddp_run(SIZES, link=Link(), microbatches=4)
    assert status(evaluate(accumulated(run, 4))) == "passed"


def test_one_batch_a_step_does_not_apply() -> None:
    assert status(evaluate(accumulated(ddp_run(SIZES, link=LINK), 1))) == "not_applicable"


def test_no_data_without_the_number_of_batches() -> None:
    assert status(evaluate(facts_of(ddp_run(SIZES, link=LINK)))) == "no_data"


def test_no_data_without_the_size_of_the_gradients() -> None:
    run = ddp_run(SIZES, link=LINK, microbatches=4)
    assert status(evaluate(accumulated(run, 4, elements=0))) == "no_data"


def test_one_rank_does_not_apply() -> None:
    assert status(evaluate(make_facts(100, world_size=1))) == "not_applicable"


def test_passes_that_reduce_on_the_host_are_counted_by_their_calls() -> None:
    """gloo, whose messages have no size: four passes reduce, and three quarters of what is exposed is not needed."""
    collectives = replace(make_collectives(count=80, exposed_ms=40.0), microbatches=4.0, passes_reduced=4.0)
    facts = make_facts(100, communication=40.0, collectives=collectives)
    assert fix(evaluate(facts), "no-sync").gain.expected_ms == pytest.approx(30.0)
    once = replace(collectives, passes_reduced=1.0)
    assert status(evaluate(make_facts(100, communication=40.0, collectives=once))) == "passed"
