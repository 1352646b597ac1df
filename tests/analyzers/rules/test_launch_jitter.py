"""Are ranks that come late in turn told from one that is always late?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.launch_jitter import evaluate
from llmprof.timeline.environment import Environment
from llmprof.timeline.topology import Node
from tests.analyzers.rules.facts_builder import (
    assert_consistent,
    fix,
    make_collectives,
    make_facts,
    make_partition,
    make_rank,
    make_step,
    status,
)


def waiting(*skew_ms: float, varies: str = "host") -> Facts:
    """Ranks that wait so many ms of a step of 100 for their peers."""
    step = make_step(100)
    ranks = {}
    for number, wait in enumerate(skew_ms):
        traced = replace(make_partition(100, skew=wait), spread={varies: 3e6, "skew": 9e6})
        collectives = replace(make_collectives(count=10, exposed_ms=wait), skew_ns=wait * 1e6)
        ranks[number] = make_rank(
            make_partition(100, skew=wait), rank=number, step=step, traced=traced, collectives=collectives
        )
    return Facts(ranks=ranks, critical=ranks[0], step=step, world_size=len(ranks))


def test_all_waiting_is_jitter() -> None:
    facts = waiting(8.0, 9.0, 12.0)
    found = evaluate(facts)
    assert (found.finding.status, found.finding.cost_ms) == ("fired", pytest.approx(8.0))
    advice = fix(found, "numa-binding")
    assert (advice.gain.low_ms, advice.gain.high_ms) == (0.0, pytest.approx(8.0))
    assert_consistent(advice, facts)


@pytest.mark.parametrize(("numa_nodes", "promised"), [({"0": "0-31"}, False), ({"0": "0-15", "1": "16-31"}, True)])
def test_binding_promises_nothing_where_no_core_is_nearer_to_a_gpu(numa_nodes: dict[str, str], promised: bool) -> None:
    facts = waiting(8.0, 9.0, 12.0)
    critical = replace(facts.critical, environment=Environment(node=Node(numa_nodes=numa_nodes)))
    advice = fix(evaluate(replace(facts, critical=critical, ranks={**facts.ranks, 0: critical})), "numa-binding")
    assert (advice.gain.expected_ms > 0) == promised
    assert ("numactl" in advice.how) == promised


def test_computation_that_varies_is_to_be_balanced() -> None:
    assert [one.id for one in evaluate(waiting(8.0, 9.0, varies="compute")).recommendations] == ["balance-batches"]


def test_one_late_rank_is_no_jitter() -> None:
    assert status(evaluate(waiting(0.0, 40.0, 40.0))) == "passed"


@pytest.mark.parametrize(("least", "expected"), [(4.99, "passed"), (5.0, "fired")])
def test_threshold(least: float, expected: str) -> None:
    assert status(evaluate(waiting(least, 10.0))) == expected


@pytest.mark.parametrize(("world", "expected"), [(1, "not_applicable"), (2, "no_data")])
def test_without_collectives(world: int, expected: str) -> None:
    assert status(evaluate(make_facts(100, world_size=world))) == expected
