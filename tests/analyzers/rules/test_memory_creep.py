"""Is memory that is never given back told from memory that varies?"""

from __future__ import annotations

import numpy as np
import pytest

from llmprof.analyzers.facts.memory.memory import memory_facts
from llmprof.analyzers.rules.memory_creep import evaluate
from llmprof.timeline.memory import AllocatorStats
from llmprof.timeline.timeline import RankTimeline
from tests.analyzers.rules.facts_builder import make_facts, status
from tests.analyzers.rules.run_builder import GIB

MIB = 1 << 20


def judged(*, per_step_mib: float, steps: int = 600, every: int = 100, noise_mib: float = 0.0, peak: int = 60) -> str:
    return status(evaluate(made(per_step_mib=per_step_mib, steps=steps, every=every, noise_mib=noise_mib, peak=peak)))


def made(*, per_step_mib: float, steps: int = 600, every: int = 100, noise_mib: float = 0.0, peak: int = 60):  # type: ignore[no-untyped-def]
    """20 GiB in use after step 0, on a device of 80."""
    chance = np.random.default_rng(2)
    readings = tuple(
        (step, 20 * GIB + int((per_step_mib * step + noise_mib * float(chance.normal())) * MIB))
        for step in range(0, steps + 1, every)
    )
    stats = AllocatorStats(capacity_bytes=80 * GIB, peak_allocated_bytes=peak * GIB, readings=readings)
    return make_facts(100, memory=memory_facts(RankTimeline(rank=0, events=None, memory=stats)))


@pytest.mark.parametrize(
    ("per_step_mib", "expected"),
    [(0.0, "passed"), (2.9, "passed"), (3.2, "fired"), (8.0, "fired"), (-8.0, "passed")],
)
def test_one_and_a_half_percent_per_hundred_steps(per_step_mib: float, expected: str) -> None:
    """Of 20 GiB that is 3.07 MiB a step; over 600 steps more than 6 % and 512 MiB as well."""
    assert judged(per_step_mib=per_step_mib) == expected


def test_what_goes_up_and_down_is_no_leak() -> None:
    assert judged(per_step_mib=0.0, noise_mib=2000) == "passed"


def test_too_few_steps_and_readings() -> None:
    assert judged(per_step_mib=20, steps=250, every=50) == "not_applicable"
    assert judged(per_step_mib=20, steps=300, every=100) == "no_data"


def test_when_the_device_will_be_full_decides_how_bad_it_is() -> None:
    """8 MiB a step: 20 GiB are left for 2560 steps, with a peak of 79 GiB one for 128."""
    far, near = evaluate(made(per_step_mib=8)), evaluate(made(per_step_mib=8, peak=79))
    assert (far.finding.severity, near.finding.severity) == ("warning", "critical")
    assert "full in about 2,560 steps" in far.finding.summary


def test_unknown_and_not_applicable() -> None:
    assert status(evaluate(make_facts(100))) == "no_data"
    assert status(evaluate(make_facts(100, cpu_only=True))) == "not_applicable"
