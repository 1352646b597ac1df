"""Is an unfused optimizer recognised, and is its cost on the host not taken from the profiler?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.analyzers.rules.unfused_optimizer import evaluate
from llmprof.timeline.environment import Environment, OptimizerSettings
from tests.analyzers.rules.facts_builder import (
    assert_consistent,
    assert_contains,
    fix,
    make_facts,
    make_kernels,
    status,
)
from tests.analyzers.rules.run_builder import table, with_rank


def test_measured_truth_of_a_for_loop_optimizer() -> None:
    """An H200 run of 48 layers with AdamW(foreach=False): 108.1 ms, and 81.0 ms with fused=True."""
    kernels = make_kernels(
        count=5253, optimizer="for-loop", optimizer_kernels=3112, optimizer_host_ms=77.3, optimizer_device_ms=4.0
    )
    facts = make_facts(108.067, traced_ms=201.4, host=95.0, kernels=kernels)
    found = evaluate(facts)
    assert (found.finding.status, found.finding.severity) == ("fired", "critical")
    advice = fix(found, "fused-optimizer")
    assert_contains(advice, 108.067 - 80.982)
    assert advice.gain.expected_ms == pytest.approx(108.067 - 80.982, rel=0.15)
    assert fix(found, "foreach-optimizer").gain.expected_ms < advice.gain.expected_ms
    for one in found.recommendations:
        assert_consistent(one, facts)


def test_passes_when_fused() -> None:
    assert status(evaluate(make_facts(100, kernels=make_kernels(optimizer="fused")))) == "passed"


@pytest.mark.parametrize(("device_ms", "expected"), [(1.53, "passed"), (1.54, "fired")])
def test_threshold(device_ms: float, expected: str) -> None:
    """65 % of the device time is what a fused one saves; the limit is 1 % of the step."""
    kernels = make_kernels(optimizer="foreach", optimizer_device_ms=device_ms)
    assert status(evaluate(make_facts(100, kernels=kernels))) == expected


def test_no_data_without_kernels_or_optimizer() -> None:
    assert status(evaluate(make_facts(100))) == "no_data"
    assert status(evaluate(make_facts(100, kernels=make_kernels()))) == "no_data"


def on_cpu(spent_ms: float, *optimizers: OptimizerSettings, work: tuple[str, ...] = ()) -> Facts:
    """A step of 180 ms on the CPU, of which `Optimizer.step` takes `spent_ms`."""
    facts = make_facts(180, cpu_only=True, compute=100.0, environment=Environment(optimizers=optimizers))
    made = tuple(OperatorWork(operator=f"aten::{name}", kind="optimizer", ns=1e6, calls=1, kernels=1) for name in work)
    measured = table([180.0] * 20, optimizer=[spent_ms] * 20)
    return with_rank(facts, table=measured, operators=OperatorFacts(work=made) if work else None)


ADAMW = OptimizerSettings(name="AdamW", fused=False, foreach=False, package="torch")


def test_measured_truth_of_a_for_loop_optimizer_on_the_cpu() -> None:
    """480 tensors of 64 x 64 on one core: 138 ms a step, 74.8 of them in AdamW; 104 and 23.9 ms with fused=True."""
    facts = on_cpu(180 * 74.8 / 138.2, ADAMW)
    found = evaluate(facts)
    advice = fix(found, "fused-optimizer")
    assert_consistent(advice, facts)
    assert_contains(advice, 180 * (74.8 - 23.9) / 138.2)
    assert advice.gain.expected_ms == pytest.approx(180 * (74.8 - 23.9) / 138.2, rel=0.1)
    assert [one.id for one in found.recommendations] == ["fused-optimizer"], "lists are worked off one by one there"


@pytest.mark.parametrize(
    ("work", "left"), [(("add_",), 1.0), (("mul_", "add_"), 20 / 32), (("add", "mul_", "add_"), 20 / 44)]
)
def test_of_sgd_on_the_cpu_the_traffic_of_its_operations_decides(work: tuple[str, ...], left: float) -> None:
    found = evaluate(on_cpu(40.0, OptimizerSettings(name="SGD", fused=False), work=work))
    if left == 1:
        assert status(found) == "passed"
    else:
        assert fix(found, "fused-optimizer").gain.expected_ms == pytest.approx(40 * (1 - left))


@pytest.mark.parametrize(
    ("optimizers", "expected"),
    [
        ((OptimizerSettings(name="AdamW", fused=True),), "passed"),
        ((OptimizerSettings(name="RMSprop", fused=None),), "not_applicable"),
        ((OptimizerSettings(name="AdamW", package="bitsandbytes"),), "not_applicable"),
        ((OptimizerSettings(name="SGD", fused=False),), "no_data"),
        ((), "not_applicable"),
    ],
)
def test_on_the_cpu_only_what_has_a_fused_form_and_does_not_use_it_is_told(
    optimizers: tuple[OptimizerSettings, ...], expected: str
) -> None:
    assert status(evaluate(on_cpu(40.0, *optimizers))) == expected


def test_a_short_optimizer_on_the_cpu_is_left_alone() -> None:
    assert status(evaluate(on_cpu(2.7, ADAMW))) == "passed"


def test_not_applicable_on_the_cpu_without_measured_steps() -> None:
    kernels = make_kernels(optimizer="for-loop")
    assert status(evaluate(make_facts(100, cpu_only=True, kernels=kernels))) == "not_applicable"


def test_a_foreach_optimizer_of_a_busy_device_saves_traffic() -> None:
    kernels = make_kernels(optimizer="foreach", optimizer_device_ms=10.0)
    advice = fix(evaluate(make_facts(100, kernels=kernels)), "fused-optimizer")
    assert (advice.gain.low_ms, advice.gain.high_ms) == (0.0, pytest.approx(6.5))
    assert advice.gain.basis == "roofline"


def test_sgd_without_momentum_has_one_pass_already() -> None:
    """A list operation that moves 12 bytes a parameter in 10 ms, as a fused kernel would; the device sets the pace."""
    kernels = make_kernels(optimizer="foreach", optimizer_device_ms=10.0)
    one = OperatorWork(operator="aten::_foreach_add_", kind="optimizer", ns=10e6, calls=1, kernels=64)
    facts = make_facts(100, kernels=kernels)
    plain = with_rank(facts, operators=OperatorFacts(work=(one,)))
    assert status(evaluate(facts)) == "fired"
    assert status(evaluate(plain)) == "passed"


def test_host_time_that_the_device_hides_is_worth_nothing() -> None:
    """50 ms of optimizer on the host, and the device is idle for 2 ms of the step."""
    kernels = make_kernels(optimizer="for-loop", optimizer_host_ms=50.0, optimizer_kernels=500)
    advice = fix(evaluate(make_facts(100, host=2.0, kernels=kernels)), "fused-optimizer")
    assert advice.gain.high_ms <= 2.0
    assert advice.gain.expected_ms < 0.5


def test_an_optimizer_without_a_fused_form_gets_foreach() -> None:
    environment = Environment(optimizers=(OptimizerSettings(name="RMSprop", foreach=False),))
    kernels = make_kernels(optimizer="for-loop", optimizer_host_ms=50.0, optimizer_kernels=500)
    found = evaluate(make_facts(100, host=80.0, kernels=kernels, environment=environment))
    assert [one.id for one in found.recommendations] == ["foreach-optimizer"]
    assert "RMSprop" in found.recommendations[0].how


@pytest.mark.parametrize(("fused", "expected"), [((True, True), "passed"), ((True, None), "no_data"), ((), "no_data")])
def test_where_the_kernels_do_not_tell_the_settings_of_all_optimizers_do(
    fused: tuple[bool | None, ...], expected: str
) -> None:
    environment = Environment(optimizers=tuple(OptimizerSettings(name="AdamW", fused=one) for one in fused))
    assert status(evaluate(make_facts(100, kernels=make_kernels(), environment=environment))) == expected
    assert status(evaluate(make_facts(100, environment=environment))) == expected


def test_what_was_measured_without_the_profiler_wins_over_the_trace() -> None:
    """20 ms of the unprofiled step are the optimizer; the trace corrected would say something else."""
    kernels = make_kernels(count=1000, optimizer="for-loop", optimizer_kernels=800, optimizer_host_ms=36.0)
    facts = make_facts(46, traced_ms=86, host=38.0, kernels=kernels)
    measured = with_rank(facts, table=table([46.0] * 20, optimizer=[20.0] * 20))
    advice = fix(evaluate(measured), "fused-optimizer")
    assert_consistent(advice, measured)
    assert (advice.gain.expected_ms, advice.gain.high_ms) == pytest.approx((19.0, 20.0))
    assert fix(evaluate(facts), "fused-optimizer").gain.expected_ms < 17.0
