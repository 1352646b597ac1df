"""Are copies out of the buckets recognised where nothing hides them, with a gain that they really take?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.ddp_bucket_view import evaluate
from llmprof.collectors.files import load
from llmprof.timeline.settings import DdpSettings
from tests.analyzers.rules.exchange_facts import environment, facts_of
from tests.analyzers.rules.facts_builder import assert_consistent, fix, make_collectives, make_facts, status
from tests.scenarios.exchange import MIB, MS, ddp_run

SAMPLES = Path(__file__).resolve().parents[3] / "sample_traces"
COPY = "torch.distributed.ddp.reducer::copy_bucket_to_grad"


def copying(exposed_ms: float | None, total_ms: float = 8.0, *, view: bool | None = False) -> Facts:
    own = environment(ddp=DdpSettings(gradient_as_bucket_view=view))
    collectives = replace(
        make_collectives(count=5, exposed_ms=5.0),
        bucket_copies_ns=None if exposed_ms is None else total_ms * 1e6,
        exposed_bucket_copies_ns=None if exposed_ms is None else exposed_ms * 1e6,
    )
    return make_facts(100, memcpy=5.0, world_size=2, environment=own, collectives=collectives)


def test_the_gain_is_what_nothing_hides() -> None:
    facts = copying(5.0)
    advice = fix(evaluate(facts), "ddp-bucket-view")
    assert (advice.gain.expected_ms, advice.gain.high_ms) == (pytest.approx(5.0), pytest.approx(8.0))
    assert_consistent(advice, facts)


def test_on_the_cpu_copies_are_as_much_shorter_than_traced_as_the_step_is() -> None:
    """Two ranks with gloo on two cores that others used as well: 35.8 ms in a traced step half as long again."""
    known = copying(35.8, 35.8)
    facts = make_facts(
        100,
        traced_ms=150,
        cpu_only=True,
        compute=80.0,
        world_size=2,
        environment=known.critical.environment,
        collectives=known.critical.collectives,
    )
    advice = fix(evaluate(facts), "ddp-bucket-view")
    assert advice.gain.expected_ms == pytest.approx(35.8 / 1.5)
    assert_consistent(advice, facts)


@pytest.mark.parametrize(("exposed_ms", "expected"), [(0.99, "passed"), (1.0, "fired")])
def test_threshold(exposed_ms: float, expected: str) -> None:
    assert status(evaluate(copying(exposed_ms))) == expected


def test_views_pass() -> None:
    assert status(evaluate(copying(5.0, view=True))) == "passed"


def test_no_data_without_operators() -> None:
    assert status(evaluate(copying(None))) == "no_data"


@pytest.mark.parametrize("world", [1, 2])
def test_without_ddp_it_does_not_apply(world: int) -> None:
    assert status(evaluate(make_facts(100, world_size=world))) == "not_applicable"


def test_copies_are_those_that_the_reducer_launches() -> None:
    """After the last reduction 3 ms of copies run alone, 1 ms beside the optimizer; another copy is none of them."""
    run = ddp_run([25 * MIB] * 4, steps=1)
    end = run.step_ns
    b = run.builder
    b.op(COPY, end, MS, 2)
    b.memcpy("DtoD (Device -> Device)", end + MS, 3 * MS, 1 << 20, launch_ns=end + 1000, tid=2)
    b.memcpy("DtoD (Device -> Device)", end - 2 * MS, MS, 1 << 20, launch_ns=end + 2000, tid=2)
    b.memcpy("DtoD (Device -> Device)", end + 5 * MS, MS, 1 << 20, launch_ns=end - MS)
    b._steps[0] = (0, 0, end + 6 * MS)
    collectives = facts_of(run).critical.collectives
    assert collectives is not None
    assert (collectives.bucket_copies_ns, collectives.exposed_bucket_copies_ns) == (4 * MS, 3 * MS)


def test_two_h200_that_copy_beside_their_reductions() -> None:
    """3.2 GB of gradients: 2 ms of copies, of which the reductions that are late anyway hide most."""
    facts = measure(load(SAMPLES / "bandwidth-ddp"))
    collectives = facts.critical.collectives
    assert collectives is not None and collectives.bucket_copies_ns is not None
    assert collectives.bucket_copies_ns == pytest.approx(1.96e6, rel=0.05)
    assert status(evaluate(facts)) == "passed"
