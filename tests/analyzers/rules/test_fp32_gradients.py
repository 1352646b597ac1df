"""Are gradients that are reduced in fp32 recognised, and is the gain what half of the bytes really brings?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.rules.fp32_gradients import evaluate
from llmprof.timeline.settings import FsdpSettings, Parallelism
from tests.analyzers.rules.exchange_facts import facts_of, gain_ms
from tests.analyzers.rules.facts_builder import (
    assert_consistent,
    assert_contains,
    fix,
    make_collectives,
    make_facts,
    make_kernels,
    status,
)
from tests.scenarios.exchange import MIB, Link, ddp_run, fsdp_run, tensor_run

LINK = Link(bytes_per_s=10e9)
SIZES = [MIB, *[25 * MIB] * 8]
HALF = [size // 2 for size in SIZES]


def test_the_gain_is_what_half_of_the_bytes_really_brings() -> None:
    before, after = ddp_run(SIZES, link=LINK, backward_ns=10_000_000), ddp_run(HALF, link=LINK, backward_ns=10_000_000)
    facts = facts_of(before)
    advice = fix(evaluate(facts), "compress-gradients")
    assert_contains(advice, gain_ms(before, after))
    # The casts of 201 MiB of gradients take 0.2 ms on an H200, which the built run does not have.
    assert advice.gain.expected_ms == pytest.approx(gain_ms(before, after) - 0.17, rel=0.05)
    assert_consistent(advice, facts)


def test_gradients_in_bf16_pass() -> None:
    assert status(evaluate(facts_of(ddp_run(HALF, link=LINK, dtype="BFloat16", backward_ns=10_000_000)))) == "passed"


def test_hidden_reductions_pass() -> None:
    assert status(evaluate(facts_of(ddp_run(SIZES, link=Link())))) == "passed"


def test_sharded_gradients_have_a_setting() -> None:
    settings = {"parallelism": Parallelism(fsdp=2), "fsdp": FsdpSettings(version=2, shard_size=2)}
    found = evaluate(facts_of(fsdp_run([100 * MIB] * 8, link=LINK), settings=settings))
    assert "reduce_dtype=torch.bfloat16" in fix(found, "reduce-in-bf16").how


def test_a_model_in_fp32_does_not_apply() -> None:
    facts = make_facts(
        100,
        communication=40.0,
        world_size=2,
        collectives=make_collectives(count=10, exposed_ms=40.0),
        kernels=make_kernels(gemm_ms={"fp32": 30.0}),
    )
    assert status(evaluate(facts)) == "not_applicable"


def test_no_data_without_number_formats() -> None:
    collectives = make_collectives(count=10, exposed_ms=40.0)
    assert status(evaluate(make_facts(100, communication=40.0, collectives=collectives))) == "no_data"


def test_activations_in_fp32_are_no_gradients() -> None:
    run = tensor_run(8, 50 * MIB, link=LINK, dtype="Float")
    assert status(evaluate(facts_of(run, settings={"parallelism": Parallelism(tp=2)}))) == "passed"
