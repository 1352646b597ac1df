"""Is the rank that holds up the others found with its cause, and is repairing it worth what it costs?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from llmprof.analyzers.facts.device.hardware import HardwareFacts
from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.utilization import Utilization
from llmprof.analyzers.rules.straggler_rank import evaluate
from llmprof.collectors.files import load
from llmprof.timeline.settings import Parallelism
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


def ranks_of(
    late: dict[str, float], others: dict[str, float], *, count: int = 4, traced_ms: float | None = None
) -> Facts:
    """A step of 100 ms; rank 1 does what `late` says, the others what `others` says and wait for the rest."""
    step = make_step(100, traced_ms=traced_ms)
    ranks = {}
    for number in range(count):
        detail = late if number == 1 else others
        work = sum(detail.values())
        compute = detail.get("compute", 0.0)
        parts = {"data": detail.get("wait", 0.0), "host": detail.get("launch", 0.0), "skew": 100 - work}
        partition = make_partition(100, detail={k: v for k, v in detail.items() if k != "compute"}, **parts)
        assert partition.parts["compute"] == pytest.approx(compute * 1e6)
        collectives = replace(make_collectives(count=10, exposed_ms=100 - work), skew_ns=(100 - work) * 1e6)
        ranks[number] = make_rank(partition, rank=number, step=step, collectives=collectives)
    return Facts(ranks=ranks, critical=ranks[1], step=step, world_size=count)


def test_a_slow_device_is_found_and_costs_what_it_takes_longer() -> None:
    facts = ranks_of({"compute": 100.0}, {"compute": 80.0})
    found = evaluate(facts)
    assert found.finding.ranks == (1,)
    assert found.finding.cost_ms == pytest.approx(20.0)
    assert "its kernels take longer" in found.finding.summary
    advice = fix(found, "repair-straggler")
    assert advice.gain.expected_ms == pytest.approx(20.0)
    assert_consistent(advice, facts)


def test_more_arithmetic_is_to_be_balanced() -> None:
    facts = ranks_of({"compute": 100.0}, {"compute": 80.0})
    ranks = {n: replace(r, utilization=Utilization(hfu=0.5 if n == 1 else 0.4)) for n, r in facts.ranks.items()}
    found = evaluate(replace(facts, ranks=ranks, critical=ranks[1]))
    advice = fix(found, "balance-batches")
    assert "25 % more" in advice.why
    # 100 ms and three times 80 ms of work are 85 ms on each of four ranks, which no division makes 80.
    assert advice.gain.expected_ms == pytest.approx(15.0)
    assert advice.gain.high_ms == pytest.approx(20.0)


def test_with_experts_it_is_the_router_that_is_to_be_balanced() -> None:
    facts = ranks_of({"compute": 100.0}, {"compute": 80.0})
    ranks = {
        n: replace(
            r,
            utilization=Utilization(hfu=0.5 if n == 1 else 0.4),
            environment=replace(r.environment, parallelism=Parallelism(ep=4)),
        )
        for n, r in facts.ranks.items()
    }
    advice = fix(evaluate(replace(facts, ranks=ranks, critical=ranks[1])), "balance-batches")
    assert "router" in advice.how
    assert "sequences" not in advice.how
    assert advice.effort == "refactor"  # other than shards, which a sampler divides


def test_a_low_clock_is_named() -> None:
    facts = ranks_of({"compute": 100.0}, {"compute": 80.0})
    ranks = {n: replace(r, hardware=HardwareFacts(sm_mhz=1500 if n == 1 else 1900)) for n, r in facts.ranks.items()}
    found = evaluate(replace(facts, ranks=ranks, critical=ranks[1]))
    assert "clock" in fix(found, "repair-straggler").why


def test_a_clock_that_is_low_under_more_work_is_not_the_cause() -> None:
    """Three times the arithmetic, at a clock 10 % lower: the work explains the time, the clock hardly any of it."""
    facts = ranks_of({"compute": 100.0}, {"compute": 30.0})
    ranks = {
        n: replace(
            r,
            utilization=Utilization(hfu=0.6 if n == 1 else 0.2),
            hardware=HardwareFacts(sm_mhz=1800 if n == 1 else 2000),
        )
        for n, r in facts.ranks.items()
    }
    advice = fix(evaluate(replace(facts, ranks=ranks, critical=ranks[1])), "repair-straggler")
    assert "200 % more arithmetic" in advice.why
    assert "clock 10 % below" in advice.why
    assert "work that only this rank does" in advice.how


def test_a_part_that_hardly_differs_is_no_evidence() -> None:
    found = evaluate(ranks_of({"compute": 80.0, "launch": 20.0}, {"compute": 60.1, "launch": 19.9}))
    told = [one.label for one in found.finding.evidence]
    assert any("compute" in name for name in told)
    assert not any("launch" in name for name in told)


def test_input_is_left_to_its_own_rule() -> None:
    found = evaluate(ranks_of({"compute": 60.0, "wait": 40.0}, {"compute": 60.0}))
    assert (found.finding.status, found.recommendations) == ("fired", ())
    assert "waits for its batches" in found.finding.summary


def test_a_late_host_is_not_believed_when_the_profiler_slows_hosts() -> None:
    late, others = {"compute": 60.0, "launch": 40.0}, {"compute": 60.0}
    assert status(evaluate(ranks_of(late, others))) == "fired"
    assert status(evaluate(ranks_of(late, others, traced_ms=150.0))) == "no_data"
    profiled = ranks_of(late, others)
    assert status(evaluate(replace(profiled, step=replace(profiled.step, basis="profiled")))) == "no_data"


@pytest.mark.parametrize(("compute", "expected"), [(90.1, "passed"), (89.9, "fired")])
def test_threshold(compute: float, expected: str) -> None:
    assert status(evaluate(ranks_of({"compute": 100.0}, {"compute": compute}))) == expected


@pytest.mark.parametrize(("world", "expected"), [(1, "not_applicable"), (2, "no_data")])
def test_without_collectives(world: int, expected: str) -> None:
    assert status(evaluate(make_facts(100, world_size=world))) == expected


def test_no_data_with_one_recorded_rank() -> None:
    collectives = make_collectives(count=10, exposed_ms=10.0)
    assert status(evaluate(make_facts(100, communication=10.0, world_size=2, collectives=collectives))) == "no_data"


def test_the_planted_straggler_of_two_h200(recordings: Path) -> None:
    paths = [str(path) for path in sorted((recordings / "h200").glob("straggler_data.rank*.json.gz"))]
    if not paths:
        pytest.skip("no recording of the straggler")
    found = evaluate(measure(load(paths)))
    assert (found.finding.status, found.finding.ranks) == ("fired", (1,))
    assert "waits for its batches" in found.finding.summary
