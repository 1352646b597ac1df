"""Do checkpoints cost what they cost, and is nothing promised that is not in the step?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.memory.composition import Composition
from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.facts.pace.step_table import StepTable
from llmprof.analyzers.rules.checkpoint_stall import evaluate
from llmprof.timeline.steps import StepPhase
from tests.analyzers.rules.facts_builder import assert_consistent, fix, make_facts, status
from tests.analyzers.rules.run_builder import table, with_rank


def every(steps: int, ms: float, of: int = 100) -> StepTable | None:
    """A checkpoint of `ms` in every so many steps of 40 ms."""
    saved = {step: ms for step in range(steps - 1, of, steps)}
    return table([40.0 + saved.get(step, 0.0) for step in range(of)], checkpoint=saved)


def test_the_whole_stall_is_the_cost_and_most_of_it_the_gain() -> None:
    """200 ms every 10 steps: 20 ms of a mean step of 60; nothing left but a tenth, at least a half is won."""
    facts = with_rank(make_facts(60, stalls=20), table=every(10, 200))
    found = evaluate(facts)
    assert found.finding.cost_ms == pytest.approx(20.0)
    assert "10 checkpoints, one every 10 steps, of up to 200 ms" in found.finding.summary
    advice = fix(found, "async-checkpoint")
    assert (advice.gain.low_ms, advice.gain.expected_ms, advice.gain.high_ms) == pytest.approx((10.0, 18.0, 20.0))
    assert_consistent(advice, facts)


@pytest.mark.parametrize(("ms", "expected"), [(11.5, "passed"), (12.5, "fired")])
def test_the_limit_is_three_percent_of_the_step(ms: float, expected: str) -> None:
    """Every 10 steps, so a tenth of it per step: 1.15 or 1.25 of 40 ms."""
    assert status(evaluate(with_rank(make_facts(40), table=every(10, ms)))) == expected


def test_a_checkpoint_outside_of_the_mean_is_told_and_not_promised() -> None:
    """The 20 steps of the mean have none; over all 100 it is 4 ms per step."""
    phases = [StepPhase.BASELINE] * 20 + [StepPhase.AFTER] * 80
    run = table([40.0] * 60 + [440.0] + [40.0] * 39, phases=phases, checkpoint={60: 400})
    found = evaluate(with_rank(make_facts(40), table=run))
    assert found.finding.status == "fired" and found.finding.cost_ms == pytest.approx(4.0)
    advice = fix(found, "async-checkpoint")
    assert (advice.gain.low_ms, advice.gain.expected_ms) == (0.0, 0.0)
    assert advice.gain.high_ms == pytest.approx(4.0)
    assert "nothing of these is promised" in advice.why


def test_no_checkpoint_and_no_steps() -> None:
    assert status(evaluate(with_rank(make_facts(40), table=table([40.0] * 30)))) == "not_applicable"
    assert status(evaluate(make_facts(40))) == "no_data"


def test_a_checkpoint_that_takes_longer_than_the_steps_between_is_only_partly_hidden() -> None:
    """600 ms every 10 steps of 40 ms: 60 ms of a mean step of 100, beside which 40 ms of training can run."""
    facts = with_rank(make_facts(100, stalls=60), table=every(10, 600))
    advice = fix(evaluate(facts), "async-checkpoint")
    assert (advice.gain.low_ms, advice.gain.expected_ms, advice.gain.high_ms) == pytest.approx((20.0, 36.0, 40.0))
    assert "no more than that is hidden" in advice.why


def test_copying_the_states_to_host_memory_may_take_most_of_a_checkpoint() -> None:
    """150 MB of 200 ms every 10 steps: at 1 GB/s 150 ms are copying, and 5 of 20 ms a step are won at least."""
    held = Composition(parameters=50_000_000, gradients=50_000_000, optimizer=100_000_000, activations=0)
    facts = with_rank(make_facts(60, stalls=20, memory=MemoryFacts(composition=held)), table=every(10, 200))
    advice = fix(evaluate(facts), "async-checkpoint")
    assert (advice.gain.low_ms, advice.gain.expected_ms, advice.gain.high_ms) == pytest.approx((5.0, 11.5, 20.0))
    assert "up to 150 ms of a checkpoint of 200 ms" in advice.why
    assert_consistent(advice, facts)


def test_states_that_take_longer_to_copy_than_a_checkpoint_promise_nothing_for_sure() -> None:
    """Only the weights may be saved: 400 MB do not fit into 200 ms."""
    held = Composition(parameters=150_000_000, gradients=0, optimizer=250_000_000, activations=0)
    facts = with_rank(make_facts(60, stalls=20, memory=MemoryFacts(composition=held)), table=every(10, 200))
    gain = fix(evaluate(facts), "async-checkpoint").gain
    assert (gain.low_ms, gain.expected_ms) == pytest.approx((0.0, 9.0))
