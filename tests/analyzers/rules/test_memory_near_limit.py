"""Is a full device recognised, and do its fixes promise memory rather than time?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.rules.memory_near_limit import evaluate, near_limit
from llmprof.timeline.environment import Environment, LoaderSettings
from llmprof.timeline.settings import ModelSettings, Precision
from tests.analyzers.rules.facts_builder import fix, make_facts, status

GB = 10**9


def memory(reserved: float, allocated: float | None = None, **more: object) -> MemoryFacts:
    return MemoryFacts(
        capacity_bytes=100 * GB,
        peak_reserved_bytes=int(reserved * GB),
        peak_allocated_bytes=int((reserved if allocated is None else allocated) * GB),
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (memory(96.9), "passed"),
        (memory(97.0), "fired"),
        (memory(50.0, retries=2), "fired"),
        (memory(50.0, retries=0, out_of_memory=False), "passed"),
        (MemoryFacts(capacity_bytes=100 * GB), "no_data"),
        (None, "no_data"),
    ],
)
def test_thresholds(facts: MemoryFacts | None, expected: str) -> None:
    assert status(evaluate(make_facts(100, memory=facts))) == expected
    assert near_limit(facts) == (expected == "fired")


def test_not_applicable_on_the_cpu() -> None:
    assert status(evaluate(make_facts(100, cpu_only=True))) == "not_applicable"


def test_a_run_out_of_memory_is_left_to_its_own_rule() -> None:
    facts = memory(99.0, out_of_memory=True)
    assert status(evaluate(make_facts(100, memory=facts))) == "not_applicable"
    assert near_limit(facts)  # all the same: fixes are ordered by the memory they win


def test_retries_are_critical_and_a_full_device_a_warning() -> None:
    assert evaluate(make_facts(100, memory=memory(99.0, retries=1))).finding.severity == "critical"
    assert evaluate(make_facts(100, memory=memory(98.0))).finding.severity == "warning"


def test_fixes_of_memory_cost_time_or_none() -> None:
    """10 GB of fp32 parameters with Adam hold 40 GB; the other 58 GB are activations."""
    environment = Environment(parameter_bytes={"float32": 10 * GB}, loaders=(LoaderSettings(batch_size=8),))
    found = evaluate(make_facts(100, memory=memory(98.0), environment=environment))
    checkpointing, smaller = fix(found, "activation-checkpointing"), fix(found, "smaller-batch")
    assert checkpointing.gain.expected_ms == pytest.approx(-25.0)
    assert checkpointing.gain.step_ms_after == pytest.approx(125.0)
    assert checkpointing.gain.memory_bytes == pytest.approx(0.6 * 58 * GB)
    assert (smaller.gain.expected_ms, smaller.gain.memory_bytes) == (0.0, 29 * GB)
    assert "batch_size=4" in smaller.how


def test_room_is_the_question_of_another_rule() -> None:
    answer = evaluate(make_facts(100, memory=memory(10.0), host=50.0))
    assert (answer.finding.status, answer.recommendations) == ("passed", ())


def test_what_is_recomputed_is_not_advised_again_and_fp32_is_halved() -> None:
    environment = Environment(
        models=(ModelSettings(trainable_bytes={"float32": GB}, checkpointing=("recompute seen",)),),
        precision=Precision(autocast_watched=True),
    )
    found = evaluate(make_facts(100, memory=memory(98.0), environment=environment))
    assert [one.id for one in found.recommendations] == ["smaller-batch", "bf16-autocast"]
