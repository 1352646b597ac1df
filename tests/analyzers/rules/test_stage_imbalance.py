"""Is the stage with too much work found, and is the gain what equal stages really bring?"""

from __future__ import annotations

from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.stage_imbalance import evaluate
from llmprof.timeline.settings import ModelSettings, Parallelism, PipelineSettings
from llmprof.timeline.timeline import Timeline
from tests.analyzers.rules.exchange_facts import environment, gain_ms
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status
from tests.scenarios.exchange import MIB, MS, Run, ddp_run, pipeline_run


def stages(*forward_ns: int, recorded: int = 2, schedule: str = "ScheduleGPipe") -> tuple[Facts, Run]:
    """Two stages with eight micro-batches, of which the first `recorded` were recorded."""
    runs = [pipeline_run(stage, 8, forward_ns=forward_ns) for stage in (0, 1)]
    ranks = []
    for stage, run in enumerate(runs[:recorded]):
        settings = PipelineSettings(schedule=schedule, microbatches=8, stages=2, local_stages=(stage,))
        own = environment(stage, pipeline=settings, parallelism=Parallelism(pp=2))
        ranks.append(run.builder.rank(stage, environment=own))
    return measure(Timeline(ranks=tuple(ranks), kind="run", paths=(), world_size=2)), runs[0]


def test_the_gain_holds_what_equal_stages_really_bring() -> None:
    facts, before = stages(3 * MS, 5 * MS)
    found = evaluate(facts)
    advice = fix(found, "balance-stages")
    assert "Stage 1 computes" in found.finding.summary
    assert_contains(advice, gain_ms(before, stages(4 * MS, 4 * MS)[1]))
    assert_consistent(advice, facts)


def test_of_a_schedule_that_is_not_played_nothing_is_promised_for_sure() -> None:
    facts, before = stages(3 * MS, 5 * MS, schedule="ScheduleDualPipeV")
    advice = fix(evaluate(facts), "balance-stages")
    assert advice.gain.basis == "bound"
    assert advice.gain.low_ms == 0
    assert_contains(advice, gain_ms(before, stages(4 * MS, 4 * MS)[1]))


def test_layers_are_named_where_the_models_tell_them() -> None:
    """Three and five equal layers: four each, and nothing is left to move."""
    run = [pipeline_run(stage, 8, forward_ns=(3 * MS, 5 * MS)) for stage in (0, 1)]
    ranks = []
    for stage, layers in enumerate((3, 5)):
        settings = PipelineSettings(schedule="ScheduleGPipe", microbatches=8, stages=2, local_stages=(stage,))
        model = ModelSettings(modules={"Block": layers, "Linear": 4 * layers})
        own = environment(stage, pipeline=settings, parallelism=Parallelism(pp=2), models=(model,))
        ranks.append(run[stage].builder.rank(stage, environment=own))
    facts = measure(Timeline(ranks=tuple(ranks), kind="run", paths=(), world_size=2))
    assert "stages of 4, 4 layers" in fix(evaluate(facts), "balance-stages").how


def test_equal_stages_pass() -> None:
    assert status(evaluate(stages(4 * MS, 4 * MS)[0])) == "passed"


def test_no_data_with_one_stage() -> None:
    assert status(evaluate(stages(3 * MS, 5 * MS, recorded=1)[0])) == "no_data"


def test_without_a_pipeline_it_does_not_apply() -> None:
    run = ddp_run([MIB] * 4)
    ranks = tuple(run.builder.rank(number, environment=environment(number)) for number in (0, 1))
    assert status(evaluate(measure(Timeline(ranks=ranks, kind="run", paths=(), world_size=2)))) == "not_applicable"


def test_no_data_without_traced_steps() -> None:
    assert status(evaluate(make_facts(100, world_size=2))) == "no_data"
