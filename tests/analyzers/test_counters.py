"""Do the GPU's counters confirm a verdict, contradict it, or say nothing?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.counters import witness
from llmprof.analyzers.diagnosis import Bound
from llmprof.analyzers.facts.device.hardware import HardwareFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.verdict import judge
from tests.analyzers.rules.facts_builder import make_facts
from tests.analyzers.rules.run_builder import with_rank


def sampled(facts: Facts, *, samples: int = 10, **shares: float) -> Facts:
    return with_rank(facts, hardware=HardwareFacts(samples=samples, activity=shares))


@pytest.mark.parametrize(
    ("bound", "share", "shares", "agrees"),
    [
        ("data", 0.6, {"sm_active": 0.3}, True),
        ("data", 0.6, {"sm_active": 0.49}, True),
        ("data", 0.6, {"sm_active": 0.51}, False),  # 40 % of the step is left for kernels, and a tenth for edges
        ("host", 0.8, {"sm_active": 0.05}, True),
        ("host", 0.8, {"sm_active": 0.9}, False),
        ("compute", 0.9, {"sm_active": 0.8, "tensor_active": 0.4, "dram_active": 0.5}, True),
        ("compute", 0.9, {"sm_active": 0.8, "tensor_active": 0.1, "dram_active": 0.8}, False),  # it is bandwidth
        ("compute", 0.9, {"sm_active": 0.3}, False),
        ("memory", 0.8, {"dram_active": 0.6}, True),
        ("memory", 0.8, {"dram_active": 0.2}, False),
        ("memory", 0.8, {"dram_active": 0.4}, None),
        ("communication", 0.5, {"sm_active": 0.9}, None),
        ("data", 0.6, {}, None),
    ],
)
def test_what_they_say(bound: Bound, share: float, shares: dict[str, float], agrees: bool | None) -> None:
    found = witness(sampled(make_facts(100), **shares).critical, bound, share)
    assert (None if found is None else found.agrees) == agrees


def test_two_samples_are_no_witness() -> None:
    assert witness(sampled(make_facts(100), samples=2, sm_active=0.1).critical, "data", 0.6) is None
    assert witness(make_facts(100).critical, "data", 0.6) is None


def test_a_witness_makes_the_verdict_surer_and_a_contradiction_less_sure() -> None:
    facts = make_facts(100, data=60, detail={"wait": 60})
    alone = judge(facts)
    agreeing, contrary = judge(sampled(facts, sm_active=0.35)), judge(sampled(facts, sm_active=0.95))
    assert alone.confidence is not None and agreeing.confidence is not None and contrary.confidence is not None
    assert contrary.confidence < alone.confidence < agreeing.confidence
    assert "counters-disagree" in contrary.flags and "counters do not fit" in contrary.sentence
    assert agreeing.flags == alone.flags and agreeing.sentence == alone.sentence


def test_bandwidth_told_from_kernel_names_alone_is_believed_when_the_memory_is_seen_busy() -> None:
    classes = {"elementwise": 80.0, "gemm": 10.0}
    facts = make_facts(100, compute_classes=classes, host=2)
    confirmed = judge(sampled(facts, dram_active=0.7))
    assert confirmed.bound == judge(facts).bound == "memory"
    assert (judge(facts).confidence or 0) <= 0.6 < (confirmed.confidence or 0)


def test_the_verdict_itself_is_the_trace_s() -> None:
    facts = make_facts(100, data=60, detail={"wait": 60})
    assert judge(sampled(facts, sm_active=1.0)).bound == judge(facts).bound
    assert replace(judge(facts), confidence=None).bound == "data"
