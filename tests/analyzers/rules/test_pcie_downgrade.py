"""Is a slow link told from one that sleeps?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.device.hardware import HardwareFacts
from llmprof.analyzers.rules.pcie_downgrade import evaluate
from tests.analyzers.rules.facts_builder import assert_consistent, fix, make_facts, status
from tests.analyzers.rules.run_builder import with_rank


def link(gen: int | None, width: int | None, traffic: float = 1e9) -> HardwareFacts:
    return HardwareFacts(
        samples=9, pcie_gen=gen, pcie_width=width, pcie_gen_max=5, pcie_width_max=16,
        traffic_bytes_per_s={"pcie_rx": traffic},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("hardware", "expected"),
    [
        (link(5, 16), "passed"),
        (link(5, 8), "fired"),
        (link(3, 16), "fired"),
        (link(1, 16, traffic=9e7), "passed"),  # asleep
        (link(1, 8, traffic=9e7), "fired"),  # lanes do not sleep
        (link(None, 16), "passed"),
        (link(5, None), "no_data"),
        (None, "no_data"),
    ],
)
def test_lanes_always_count_and_the_generation_only_with_traffic(hardware: HardwareFacts | None, expected: str) -> None:
    assert status(evaluate(with_rank(make_facts(100), hardware=hardware))) == expected


def test_the_gain_is_a_part_of_the_exposed_copies() -> None:
    """8 of 16 lanes: half of 10 ms of copies at most."""
    facts = with_rank(make_facts(100, data=10, detail={"input_copy": 6, "to_host": 4}), hardware=link(5, 8))
    # detail is in ns here as everywhere in facts
    advice = fix(evaluate(facts), "repair-link")
    assert (advice.gain.low_ms, advice.gain.high_ms) == (0.0, pytest.approx(5.0))
    assert_consistent(advice, facts)


def test_not_on_the_cpu() -> None:
    assert status(evaluate(make_facts(100, cpu_only=True))) == "not_applicable"
