"""Is a slow link told from a good one and from an unknown one, and does the gain hold what the right link brings?"""

from __future__ import annotations

from pathlib import Path

import pytest

from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.rules.slow_interconnect import evaluate
from llmprof.collectors.files import load
from tests.analyzers.rules.exchange_facts import facts_of, gain_ms
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status
from tests.scenarios.exchange import MIB, Link, ddp_run

SAMPLES = Path(__file__).resolve().parents[3] / "sample_traces"
SIZES = [MIB, *[25 * MIB] * 8]
SHARED_MEMORY, NVLINK = Link(bytes_per_s=27e9), Link(bytes_per_s=360e9)


def test_the_gain_is_what_the_expected_link_really_brings() -> None:
    before, after = (
        ddp_run(SIZES, link=SHARED_MEMORY, backward_ns=5_000_000),
        ddp_run(SIZES, link=NVLINK, backward_ns=5_000_000),
    )
    facts = facts_of(before)
    advice = fix(evaluate(facts), "enable-p2p")
    assert advice.gain.expected_ms == pytest.approx(gain_ms(before, after), rel=0.05)
    assert_contains(advice, gain_ms(before, after))
    assert_consistent(advice, facts)


@pytest.mark.parametrize(("share", "expected"), [(0.49, "fired"), (0.51, "passed")])
def test_threshold(share: float, expected: str) -> None:
    run = ddp_run(SIZES, link=Link(latency_ns=0, bytes_per_s=share * 360e9), backward_ns=500_000)
    assert status(evaluate(facts_of(run))) == expected


def test_a_slow_link_that_is_hidden_passes() -> None:
    run = ddp_run([25 * MIB] * 8, link=Link(bytes_per_s=100e9), backward_ns=400_000_000)
    assert status(evaluate(facts_of(run))) == "passed"


def test_a_variable_that_switches_the_link_off_is_named() -> None:
    run = ddp_run(SIZES, link=SHARED_MEMORY, backward_ns=5_000_000)
    advice = fix(evaluate(facts_of(run, settings={"variables": {"NCCL_P2P_DISABLE": "1"}})), "enable-p2p")
    assert advice.action == "Unset NCCL_P2P_DISABLE"
    assert advice.effort == "flag"
    assert fix(evaluate(facts_of(run)), "enable-p2p").effort == "infrastructure"


def test_an_unknown_link_is_not_judged() -> None:
    run = ddp_run(SIZES, link=SHARED_MEMORY)
    assert status(evaluate(facts_of(run, settings={"host": None}))) == "no_data"


def test_small_messages_show_no_bandwidth() -> None:
    assert status(evaluate(facts_of(ddp_run([MIB] * 8, link=SHARED_MEMORY)))) == "not_applicable"


@pytest.mark.parametrize(("world", "expected"), [(1, "not_applicable"), (2, "no_data")])
def test_without_collectives(world: int, expected: str) -> None:
    assert status(evaluate(make_facts(100, world_size=world))) == expected


@pytest.mark.parametrize(
    ("sample", "expected"), [("communication-ddp", "fired"), ("bandwidth-ddp", "passed"), ("host-ddp", "passed")]
)
def test_two_h200_with_and_without_their_links(sample: str, expected: str) -> None:
    """communication-ddp was recorded with NCCL_P2P_DISABLE=1, the others over NVLink."""
    found = evaluate(measure(load(SAMPLES / sample)))
    assert found.finding.status == expected
    if expected == "fired":
        assert fix(found, "enable-p2p").how == "unset NCCL_P2P_DISABLE"
