"""Are all-gathers that begin too late recognised, and does the gain hold what prefetching really brings?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.rules.fsdp_prefetch import evaluate
from llmprof.timeline.settings import FsdpSettings, Parallelism
from tests.analyzers.rules.exchange_facts import facts_of, gain_ms
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status
from tests.scenarios.exchange import MIB, Link, ddp_run, fsdp_run

LINK = Link(bytes_per_s=100e9)
SETTINGS = {"parallelism": Parallelism(fsdp=2), "fsdp": FsdpSettings(version=2, shard_size=2)}


def test_the_gain_holds_what_prefetching_really_brings() -> None:
    before = fsdp_run([100 * MIB] * 8, link=LINK, prefetch=False)
    after = fsdp_run([100 * MIB] * 8, link=LINK, prefetch=True)
    facts = facts_of(before, settings=SETTINGS)
    advice = fix(evaluate(facts), "fsdp-prefetch")
    assert_contains(advice, gain_ms(before, after))
    assert_consistent(advice, facts)
    assert "set_modules_to_forward_prefetch" in advice.how


def test_the_wrapper_class_has_arguments() -> None:
    settings = {"parallelism": Parallelism(fsdp=2), "fsdp": FsdpSettings(version=1)}
    found = evaluate(facts_of(fsdp_run([100 * MIB] * 8, link=LINK, prefetch=False), settings=settings))
    assert "forward_prefetch=True" in fix(found, "fsdp-prefetch").how


def test_gathers_ahead_of_their_use_pass() -> None:
    assert status(evaluate(facts_of(fsdp_run([100 * MIB] * 8, link=LINK), settings=SETTINGS))) == "passed"


def test_a_saturated_link_is_no_late_begin() -> None:
    """At 10 GB/s the link never rests: an earlier begin is not possible."""
    run = fsdp_run([100 * MIB] * 8, link=Link(bytes_per_s=10e9))
    found = evaluate(facts_of(run, settings=SETTINGS))
    assert found.finding.status == "passed"


def test_replicated_models_do_not_apply() -> None:
    assert status(evaluate(facts_of(ddp_run([25 * MIB] * 4)))) == "not_applicable"


@pytest.mark.parametrize(("world", "expected"), [(1, "not_applicable"), (2, "no_data")])
def test_without_collectives(world: int, expected: str) -> None:
    assert status(evaluate(make_facts(100, world_size=world))) == expected
