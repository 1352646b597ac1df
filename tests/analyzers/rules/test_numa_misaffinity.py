"""Is a rank that may only run far from its GPU found, and nothing promised beyond its copies?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.device.hardware import HardwareFacts
from llmprof.analyzers.rules.numa_misaffinity import evaluate
from llmprof.timeline.environment import Environment
from llmprof.timeline.topology import Node
from tests.analyzers.rules.facts_builder import assert_consistent, fix, make_facts, status
from tests.analyzers.rules.run_builder import with_rank

TWO = Node(numa_nodes={"0": "0-7", "1": "8-15"})


@pytest.mark.parametrize(("far", "expected"), [(True, "fired"), (False, "passed"), (None, "no_data")])
def test_only_far_cpus_are_a_finding(far: bool | None, expected: str) -> None:
    hardware = HardwareFacts(far_cpus=far, gpu_numa_node=1)
    facts = make_facts(100, environment=Environment(node=TWO, cpu_affinity="0-7"))
    assert status(evaluate(with_rank(facts, hardware=hardware))) == expected


def test_the_binding_names_the_node_and_promises_a_fifth_of_the_copies_at_most() -> None:
    facts = make_facts(100, environment=Environment(node=TWO, cpu_affinity="0-7"), data=10, detail={"input_copy": 10})
    facts = with_rank(facts, hardware=HardwareFacts(far_cpus=True, gpu_numa_node=1))
    advice = fix(evaluate(facts), "numa-binding")
    assert "--cpunodebind=1 --membind=1" in advice.how
    assert (advice.gain.expected_ms, advice.gain.high_ms) == (0.0, pytest.approx(2.0))
    assert_consistent(advice, facts)


def test_one_node_and_no_gpu() -> None:
    one = make_facts(100, environment=Environment(node=Node(numa_nodes={"0": "0-7"})))
    assert status(evaluate(one)) == "not_applicable"
    assert status(evaluate(make_facts(100, cpu_only=True))) == "not_applicable"
    assert status(evaluate(make_facts(100))) == "no_data"
