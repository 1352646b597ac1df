"""Are parameters that are gathered twice recognised where they would fit, and only there?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.rules.fsdp_reshard import evaluate
from llmprof.timeline.settings import FsdpSettings, Parallelism
from tests.analyzers.rules.exchange_facts import facts_of, gain_ms
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status
from tests.scenarios.exchange import MIB, Link, ddp_run, fsdp_run

LINK = Link(bytes_per_s=20e9)
GIB = 1 << 30


def sharded(used: int | None = 20 * GIB, reshard: str = "yes", **run: Any) -> Facts:
    """Eight layers of 100 MiB on two ranks of 141 GB, of which `used` bytes are in use."""
    settings = {
        "parallelism": Parallelism(fsdp=2),
        "fsdp": FsdpSettings(version=2, reshard_after_forward=reshard, shard_size=2),
    }
    facts = facts_of(fsdp_run([100 * MIB] * 8, **({"link": LINK} | run)), settings=settings)
    if used is None:
        return facts
    memory = MemoryFacts(capacity_bytes=141 * 10**9, peak_reserved_bytes=used)
    ranks = {number: replace(rank, memory=memory) for number, rank in facts.ranks.items()}
    return replace(facts, ranks=ranks, critical=ranks[facts.critical.rank])


def test_the_gain_holds_what_keeping_them_really_brings() -> None:
    before, after = fsdp_run([100 * MIB] * 8, link=LINK), fsdp_run([100 * MIB] * 8, link=LINK, reshard=False)
    facts = sharded()
    advice = fix(evaluate(facts), "fsdp-keep-unsharded")
    assert_contains(advice, gain_ms(before, after))
    assert_consistent(advice, facts)
    assert advice.how == "fully_shard(module, reshard_after_forward=False)"


def test_without_room_it_stays() -> None:
    found = evaluate(sharded(used=129 * 10**9))
    assert (found.finding.status, found.recommendations) == ("passed", ())
    assert "800.0 MiB" in found.finding.summary


def test_a_second_gather_that_is_hidden_passes() -> None:
    assert status(evaluate(sharded(link=Link(bytes_per_s=300e9)))) == "passed"


def test_parameters_that_are_kept_pass() -> None:
    assert status(evaluate(sharded(reshard="no"))) == "passed"


def test_no_data_without_memory() -> None:
    assert status(evaluate(sharded(used=None))) == "no_data"


def test_replicated_models_do_not_apply() -> None:
    assert status(evaluate(facts_of(ddp_run([25 * MIB] * 4)))) == "not_applicable"


def test_one_rank_does_not_apply() -> None:
    assert status(evaluate(make_facts(100, world_size=1))) == "not_applicable"
