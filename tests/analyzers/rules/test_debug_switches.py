"""Are debugging switches seen, and is a gain promised only where there is a model of it?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.host.host import HostFacts
from llmprof.analyzers.rules.debug_switches import evaluate
from llmprof.timeline.environment import Environment
from llmprof.timeline.settings import Precision
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status


def variables(**values: str) -> Environment:
    return Environment(variables=values)


def test_host_and_device_that_take_turns_gain_the_shorter_of_the_two() -> None:
    facts = make_facts(100, host=40.0, environment=variables(CUDA_LAUNCH_BLOCKING="1"))
    found = evaluate(facts)
    assert (found.finding.status, found.finding.severity, found.finding.cost_ms) == (
        "fired",
        "critical",
        pytest.approx(40.0),
    )
    advice = fix(found, "debug-off")
    assert_consistent(advice, facts)
    assert_contains(advice, 40.0)


def test_each_launch_waits_for_the_end_of_its_kernel_besides() -> None:
    """1,000 launches of 5 µs each that the device idles; at most what it idles beside the other half of the turns."""
    blocking = variables(CUDA_LAUNCH_BLOCKING="1")
    facts = make_facts(100, host=60.0, environment=blocking, host_facts=HostFacts(launches=1000.0))
    gain = fix(evaluate(facts), "debug-off").gain
    assert (gain.low_ms, gain.expected_ms, gain.high_ms) == (pytest.approx(20), pytest.approx(45), pytest.approx(50))
    facts = make_facts(100, host=42.0, environment=blocking, host_facts=HostFacts(launches=1000.0))
    assert fix(evaluate(facts), "debug-off").gain.expected_ms == pytest.approx(42)


@pytest.mark.parametrize(
    ("environment", "severity"),
    [
        (variables(TORCH_DISTRIBUTED_DEBUG="DETAIL"), "warning"),
        (variables(NCCL_DEBUG="INFO"), "info"),
        (Environment(precision=Precision(detect_anomaly=True)), "warning"),
    ],
)
def test_what_has_no_model_promises_nothing(environment: Environment, severity: str) -> None:
    found = evaluate(make_facts(100, environment=environment))
    assert (found.finding.status, found.finding.severity, found.finding.cost_ms) == ("fired", severity, None)
    assert fix(found, "debug-off").gain.expected_ms == 0


@pytest.mark.parametrize(
    "environment",
    [variables(CUDA_LAUNCH_BLOCKING="0"), variables(TORCH_DISTRIBUTED_DEBUG="INFO"), variables(NCCL_DEBUG="WARN")],
)
def test_values_that_are_harmless_pass(environment: Environment) -> None:
    assert status(evaluate(make_facts(100, environment=environment))) == "passed"


def test_no_data_when_the_environment_is_unknown() -> None:
    assert status(evaluate(make_facts(100))) == "no_data"
