"""Is a pipeline with too few micro-batches recognised, and is the gain what more of them really bring?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from llmprof.analyzers.facts.host.host import HostFacts
from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.pipeline_bubble import evaluate
from llmprof.timeline.settings import LoaderSettings, ModelSettings, Parallelism, PipelineSettings
from llmprof.timeline.timeline import Timeline
from tests.analyzers.rules.exchange_facts import environment, facts_of, gain_ms
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status
from tests.scenarios.exchange import MIB, MS, Run, ddp_run, pipeline_run


def pipeline(microbatches: int, total_ns: int = 32 * MS, schedule: str | None = "ScheduleGPipe") -> tuple[Facts, Run]:
    """Two stages whose forward passes take `total_ns` together, split into so many micro-batches; no weights."""
    each = total_ns // microbatches
    runs = [pipeline_run(stage, microbatches, forward_ns=(each, each)) for stage in (0, 1)]
    return measured(runs, microbatches, schedule), runs[0]


def measured(runs: list[Run], microbatches: int, schedule: str | None, **more: Any) -> Facts:
    """The facts of one rank for each stage."""
    ranks = []
    for stage, run in enumerate(runs):
        settings = PipelineSettings(
            schedule=schedule, microbatches=microbatches, stages=len(runs), local_stages=(stage,)
        )
        values = {"models": (), "pipeline": settings, "parallelism": Parallelism(pp=len(runs))} | more
        ranks.append(run.builder.rank(stage, environment=environment(stage, **values)))
    return measure(Timeline(ranks=tuple(ranks), kind="run", paths=(), world_size=len(runs)))


def test_the_gain_holds_what_more_micro_batches_really_bring() -> None:
    facts, before = pipeline(2)
    advice = fix(evaluate(facts), "more-microbatches")
    assert "16 micro-batches instead of 2" in advice.action
    assert_contains(advice, gain_ms(before, pipeline(16)[1]))
    assert_consistent(advice, facts)


def with_host(facts: Facts, busy_ms: float) -> Facts:
    """The same, with a host that needs so long for a step, of which the profiler's share is nothing."""
    host = HostFacts(launches=0.0, recorded_events=0.0, busy_ns=busy_ms * MS)
    ranks = {number: replace(rank, host=host) for number, rank in facts.ranks.items()}
    return replace(facts, ranks=ranks, critical=ranks[facts.critical.rank])


def test_no_more_micro_batches_than_the_host_can_launch() -> None:
    """Two take it three tenths of the step: four fit into the shorter one that they make, eight do not."""
    facts, before = pipeline(2)
    step = before.step_ns / MS
    advice = fix(evaluate(with_host(facts, 0.3 * step)), "more-microbatches")
    assert "4 micro-batches instead of 2" in advice.action
    assert_contains(advice, gain_ms(before, pipeline(4)[1]))
    assert (advice.gain.step_ms_after or 0.0) >= 0.6 * step


def test_nothing_is_promised_where_the_host_has_no_time_for_more() -> None:
    facts, before = pipeline(2)
    judged = evaluate(with_host(facts, 0.6 * before.step_ns / MS))
    assert status(judged) == "fired"
    assert not judged.recommendations


def test_weights_that_every_micro_batch_moves_eat_the_gain() -> None:
    """Autocast of 4 billion fp32 parameters casts 96 GB for a micro-batch: at 3.84 TB/s 25 ms in each direction."""
    runs = [pipeline_run(stage, 2, forward_ns=(16 * MS, 16 * MS)) for stage in (0, 1)]
    model = ModelSettings(trainable_count=4_000_000_000, trainable_bytes={"float32": 16_000_000_000})
    judged = evaluate(measured(runs, 2, "ScheduleGPipe", models=(model,), autocast_dtype="bfloat16"))
    assert status(judged) == "fired"
    assert not judged.recommendations
    assert "besides its data" in judged.finding.summary


def test_no_more_micro_batches_than_samples() -> None:
    runs = [pipeline_run(stage, 2, forward_ns=(16 * MS, 16 * MS)) for stage in (0, 1)]
    loader = LoaderSettings(batch_size=4)
    judged = evaluate(measured(runs, 2, "ScheduleGPipe", loaders=(loader,)))
    assert "4 micro-batches instead of 2" in fix(judged, "more-microbatches").action


def test_a_schedule_that_is_not_played_is_bounded_by_the_formula() -> None:
    runs = [pipeline_run(stage, 2, forward_ns=(16 * MS, 16 * MS)) for stage in (0, 1)]
    advice = fix(evaluate(measured(runs, 2, "ScheduleInterleaved1F1B")), "more-microbatches")
    assert advice.gain.basis == "bound"
    assert advice.gain.low_ms == 0
    assert_contains(advice, gain_ms(runs[0], pipeline(4)[1]))


def test_the_formula_stands_beside_what_was_seen() -> None:
    shown = {one.label: one.value for one in evaluate(pipeline(2)[0]).finding.evidence}
    assert shown["bubble of the schedule"] == pytest.approx(1 / 3)
    assert shown["waiting in sends and receives, mean over ranks"] == pytest.approx(1 / 3, rel=0.02)


def test_a_filled_pipeline_passes() -> None:
    assert status(evaluate(pipeline(16)[0])) == "passed"


def test_a_bubble_that_is_not_seen_passes() -> None:
    settings = PipelineSettings(schedule="ScheduleGPipe", microbatches=2, stages=2, local_stages=(0,))
    facts = facts_of(ddp_run([MIB] * 4), settings={"pipeline": settings})
    assert status(evaluate(facts)) == "passed"


def test_schedules_that_fill_the_bubble_do_not_apply() -> None:
    assert status(evaluate(pipeline(2, schedule="ScheduleZBVZeroBubble")[0])) == "not_applicable"


def test_no_data_without_the_number_of_micro_batches() -> None:
    runs = [pipeline_run(stage, 2) for stage in (0, 1)]
    assert status(evaluate(facts_of(*runs, settings={"parallelism": Parallelism(pp=2)}))) == "no_data"


def test_without_a_pipeline_it_does_not_apply() -> None:
    assert status(evaluate(facts_of(ddp_run([MIB] * 4)))) == "not_applicable"
    assert status(evaluate(make_facts(100, world_size=1, environment=environment()))) == "not_applicable"


def test_no_data_without_traced_steps() -> None:
    assert status(evaluate(make_facts(100, world_size=2))) == "no_data"
