"""Does the model reproduce the recorded step, and what comes with every micro-batch?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.pipeline.pipeline_model import (
    HIGH,
    LOW,
    PipelineModel,
    fitted,
    pipeline_model,
)
from llmprof.analyzers.facts.pipeline.stage_costs import PassCost, StageCost
from llmprof.analyzers.facts.pipeline.stage_layers import best_division
from llmprof.timeline.settings import Parallelism, PipelineSettings
from llmprof.timeline.timeline import Timeline
from tests.analyzers.rules.exchange_facts import environment
from tests.scenarios.exchange import MS, pipeline_run


def model_of(stages: int = 2, microbatches: int = 4, **more: Any) -> PipelineModel:
    """Equal stages of 1 and 2 ms a micro-batch without anything fixed; `more` belongs to each pass."""
    stage = StageCost(
        forward=PassCost(busy_ns=MS, kernels=10, **({"gap_ns": 0, "least_ns": 0} | more)),
        backward=PassCost(busy_ns=2 * MS, kernels=20, **({"gap_ns": 0, "least_ns": 0} | more)),
        once_ns=0.0,
        message_ns=0.0,
    )
    model = PipelineModel(
        stages=(stage,) * stages, schedule="1f1b", microbatches=microbatches, measured_ns=1.0, row_ns=0.0
    )
    return replace(model, measured_ns=model.step_ns(microbatches))


@pytest.mark.parametrize("more", [8, 16])
def test_without_anything_fixed_the_gain_is_that_of_the_formula(more: int) -> None:
    bubble, left = 1 / (4 + 1), 1 / (more + 1)
    assert model_of().saved_share(more) == pytest.approx(1 - (1 - bubble) / (1 - left))


def test_gaps_and_casts_come_with_every_micro_batch() -> None:
    """Four more micro-batches on both stages: five turns of 2 x 0.3 ms become nine of the same."""
    for fixed in ("gap_ns", "casts_ns"):
        model = model_of(**{fixed: 300_000})
        turn = 3 * MS + (600_000 if fixed == "gap_ns" else 0)
        shrinks = 3 * MS - (600_000 if fixed == "casts_ns" else 0)
        assert model.step_ns(4) == pytest.approx(5 * turn)
        assert model.step_ns(8) == pytest.approx(9 * (600_000 + shrinks / 2))


def test_gradients_of_the_first_micro_batch_are_added_to_nothing() -> None:
    one = PassCost(busy_ns=10.0, gap_ns=0.0, least_ns=0.0, added_ns=4.0)
    assert one.ns(1, 1, 1.0) == 10.0
    assert 2 * one.ns(1, 2, 1.0) == pytest.approx(10.0 + 4.0)
    assert 4 * one.ns(1, 4, 1.0) == pytest.approx(10.0 + 3 * 4.0)


def test_the_host_bounds_how_many_can_be_launched() -> None:
    model = model_of()
    busy = replace(model, stages=tuple(replace(stage, host_ns=11.0 * MS) for stage in model.stages))
    assert busy.step_ns(8) == pytest.approx(22 * MS)
    assert busy.host_bound(8)
    assert not busy.host_bound(4)
    assert busy.best(64) == 4


def test_nothing_is_blamed_on_a_host_that_a_dearer_profiler_row_would_clear() -> None:
    """12 ms of rows leave 8 of the 20 ms, too much for 8 micro-batches; dearer rows leave a third, which is not."""
    stages = tuple(replace(stage, host_ns=20.0 * MS, host_rows=6000.0) for stage in model_of().stages)
    unsure = replace(model_of(), stages=stages, row_ns=2000.0)
    assert unsure.step_ns(8) == pytest.approx(16 * MS)
    assert not unsure.host_bound(8)
    assert unsure.host_bound(16)


def test_low_and_high_lie_on_both_sides() -> None:
    model = model_of(least_ns=100_000)
    assert model.saved_share(8, LOW) < model.saved_share(8) < model.saved_share(8, HIGH)


def test_equal_stages_cannot_be_divided_better() -> None:
    assert model_of().moved_share((1.0, 1.0)) == pytest.approx(0.0)
    assert model_of().moved_share((1.5, 0.5)) < 0


def recorded(microbatches: int, schedule: str = "ScheduleGPipe", stages: int = 2) -> Facts:
    runs = [pipeline_run(stage, microbatches) for stage in (0, 1)]
    ranks = []
    for stage, run in enumerate(runs):
        settings = PipelineSettings(schedule=schedule, microbatches=microbatches, stages=stages, local_stages=(stage,))
        own = environment(stage, pipeline=settings, parallelism=Parallelism(pp=2), models=())
        ranks.append(run.builder.rank(stage, environment=own))
    return measure(Timeline(ranks=tuple(ranks), kind="run", paths=(), world_size=2))


@pytest.mark.parametrize("microbatches", [2, 4, 16])
def test_the_recorded_step_is_reproduced(microbatches: int) -> None:
    """To what its optimizer makes out, which takes 1 of 37 ms or less and cannot be told from the passes here."""
    model = pipeline_model(recorded(microbatches))
    assert isinstance(model, PipelineModel)
    assert abs(model.error) < 0.02


def test_a_stage_that_was_not_traced_is_told() -> None:
    assert pipeline_model(recorded(2, stages=4)) == "not every stage was traced, or ranks have several"


def test_a_schedule_that_is_not_known_is_told() -> None:
    found = pipeline_model(recorded(2, schedule="ScheduleInterleaved1F1B"))
    assert isinstance(found, str)
    assert "ScheduleInterleaved1F1B is not played" in found


def test_the_profilers_cost_is_fitted_where_the_host_sets_the_pace() -> None:
    """Traced, the host takes 40 ms; measured without the profiler the step took 20: half was the profiler's."""
    facts = recorded(4)
    ranks = {
        number: replace(
            rank,
            step=replace(rank.step, mean_ns=200.0 * MS, basis="unprofiled"),
            host=replace(rank.host, busy_ns=400.0 * MS, recorded_events=100_000.0, launches=0.0),  # type: ignore[type-var]
        )
        for number, rank in facts.ranks.items()
    }
    critical = ranks[facts.critical.rank]
    model = pipeline_model(replace(facts, ranks=ranks, critical=critical, step=critical.step))
    assert isinstance(model, PipelineModel)
    assert abs(model.error) < 0.01
    assert model.stages[0].host_untraced_ns(model.row_ns) == pytest.approx(200 * MS, rel=0.05)


def with_late_half(model: PipelineModel, *, early: bool) -> PipelineModel:
    """Half of the first stage began after rests, and the step took 3 % longer than its passes, less than its host."""
    rows = model.measured_ns / 2_000
    first = replace(model.stages[0], late_share=0.5, host_ns=1.5 * model.measured_ns, host_rows=rows)
    return replace(
        model,
        stages=(first, *model.stages[1:]),
        measured_ns=1.03 * model.measured_ns,
        row_ns=2_000.0,
        host_early=early,
    )


def test_a_host_that_was_ahead_is_not_made_the_reason_of_a_longer_step() -> None:
    """Kernels after a rest are then the slower ones; what nobody saw stays in doubt."""
    early, late = (fitted(with_late_half(model_of(), early=one)) for one in (True, False))
    assert early.row_ns == 2_000
    assert early.stages[0].forward.busy_ns > model_of().stages[0].forward.busy_ns
    assert early.stages[0].work_ns == pytest.approx(model_of().stages[0].work_ns)  # no layer has become longer
    assert early.stages[1] == model_of().stages[1]
    assert abs(early.error) < 0.01
    assert early.off == pytest.approx(0.03, abs=0.01)
    assert early.faithful
    assert late.row_ns < 2_000
    assert late.stages[0].forward == model_of().stages[0].forward


def test_kernels_that_never_rested_are_not_made_slower() -> None:
    model = replace(model_of(), measured_ns=1.03 * model_of().measured_ns, row_ns=2_000.0, host_early=True)
    assert fitted(model) == model


def on_h200(forward_us: float, backward_us: float, *, weights_us: float, host_ms: float, once_us: float) -> StageCost:
    """A stage as recorded on an H200: bf16 autocast, gaps of 1.6 us, some 100 and 240 kernels for 4 layers."""
    scale = weights_us / 420
    return StageCost(
        forward=PassCost(
            busy_ns=forward_us * 1e3,
            gap_ns=165e3 * scale,
            least_ns=320e3 * scale,
            casts_ns=weights_us * 1e3,
            kernels=105,
        ),
        backward=PassCost(
            busy_ns=backward_us * 1e3,
            gap_ns=380e3 * scale,
            least_ns=720e3 * scale,
            casts_ns=weights_us * 1e3,
            added_ns=2 * weights_us * 1e3,
            kernels=240,
        ),
        once_ns=once_us * 1e3,
        message_ns=200e3,
        host_ns=host_ms * 1e6,
    )


def test_smaller_micro_batches_made_a_step_on_two_h200_longer() -> None:
    """Four blocks of width 2048 a stage, batch 16 of 1024 tokens: 2 micro-batches took 85.1 ms, 8 of them 89.2 ms."""
    model = PipelineModel(
        stages=(
            on_h200(6392, 15264, weights_us=420, host_ms=22.2, once_us=2913),
            on_h200(9566, 19828, weights_us=420, host_ms=19.7, once_us=3399),
        ),
        schedule="1f1b",
        microbatches=2,
        measured_ns=85.1e6,
        row_ns=0.0,
    )
    assert abs(model.error) < 0.01
    assert model.step_ns(8) == pytest.approx(89.2e6, rel=0.03)
    formula = 1 - (1 - 1 / 3) / (1 - 1 / 9)
    assert formula == pytest.approx(0.25)
    assert model.saved_share(8) < 0


def test_six_layers_on_each_stage_instead_of_three_and_nine_on_two_h200() -> None:
    """8 micro-batches of 2 x 1024 tokens: 162.4 ms before, 123.0 ms after; the last stage has the output layer too."""
    model = PipelineModel(
        stages=(
            on_h200(1457, 4030, weights_us=341, host_ms=61.6, once_us=2382),
            on_h200(5268, 12706, weights_us=813, host_ms=150.0, once_us=6062),
        ),
        schedule="1f1b",
        microbatches=8,
        measured_ns=162.4e6,
        row_ns=0.0,
    )
    division = best_division([stage.work_ns for stage in model.stages], (3, 9))
    assert abs(model.error) < 0.02
    assert division.layers == (6, 6)
    assert model.measured_ns * (1 - model.moved_share(division.factors)) == pytest.approx(123.0e6, rel=0.03)
