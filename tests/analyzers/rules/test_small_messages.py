"""Are messages that are too small for their number recognised in sharded training?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.rules.small_messages import evaluate
from llmprof.timeline.settings import Parallelism
from tests.analyzers.rules.exchange_facts import facts_of, gain_ms
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status
from tests.scenarios.exchange import MIB, MS, Link, ddp_run, fsdp_run

SETTINGS = {"parallelism": Parallelism(fsdp=2)}


def test_one_size_alone_tells_no_latency() -> None:
    assert status(evaluate(facts_of(fsdp_run([MIB] * 20), settings=SETTINGS))) == "no_data"


def test_the_gain_holds_what_ten_layers_in_one_unit_bring() -> None:
    link = Link(latency_ns=300_000)
    before = fsdp_run([MIB // 16, 4 * MIB] * 30, link=link, layer_ns=MS // 5)
    after = fsdp_run([5 * (MIB // 16 + 4 * MIB)] * 6, link=link, layer_ns=2 * MS)
    facts = facts_of(before, settings=SETTINGS)
    advice = fix(evaluate(facts), "fsdp-larger-units")
    assert_contains(advice, gain_ms(before, after))
    assert_consistent(advice, facts)


def test_a_fast_link_passes() -> None:
    run = fsdp_run([MIB // 16, 4 * MIB] * 30, link=Link(latency_ns=10_000), layer_ns=MS // 5)
    assert status(evaluate(facts_of(run, settings=SETTINGS))) == "passed"


def test_replicated_models_do_not_apply() -> None:
    assert status(evaluate(facts_of(ddp_run([25 * MIB] * 4)))) == "not_applicable"


@pytest.mark.parametrize(("world", "expected"), [(1, "not_applicable"), (2, "no_data")])
def test_without_collectives(world: int, expected: str) -> None:
    assert status(evaluate(make_facts(100, world_size=world))) == expected
