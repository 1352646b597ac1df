"""Is the bubble that of the schedule's formula, and waiting for stages told from other collectives?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.pipeline.pipeline import bubble_of, busy_by_stage, waiting_for_stages
from llmprof.timeline.settings import PipelineSettings
from tests.analyzers.rules.exchange_facts import facts_of
from tests.scenarios.exchange import MIB, MS, ddp_run, pipeline_run


@pytest.mark.parametrize(
    ("stages", "local", "microbatches", "bubble"),
    [(4, (0,), 1, 3 / 4), (4, (0,), 12, 3 / 15), (2, (1,), 2, 1 / 3), (8, (0, 4), 4, 3 / 11), (1, (0,), 4, 0.0)],
)
def test_the_formula(stages: int, local: tuple[int, ...], microbatches: int, bubble: float) -> None:
    settings = PipelineSettings(stages=stages, local_stages=local)
    assert bubble_of(settings, microbatches) == pytest.approx(bubble)


def test_a_built_pipeline_waits_as_long_as_the_formula_says() -> None:
    runs = [pipeline_run(stage, 4) for stage in (0, 1)]
    facts = facts_of(*runs)
    settings = PipelineSettings(stages=2, local_stages=(0,))
    without_optimizer = runs[0].step_ns - MS
    assert waiting_for_stages(facts.ranks) == pytest.approx(bubble_of(settings, 4) * without_optimizer, rel=0.01)


def test_reductions_are_no_waiting_for_stages() -> None:
    assert waiting_for_stages(facts_of(ddp_run([MIB] * 4)).ranks) == 0.0


def test_ranks_with_the_same_stages_are_averaged() -> None:
    settings = {"pipeline": PipelineSettings(stages=2, local_stages=(0,))}
    busy = busy_by_stage(facts_of(pipeline_run(0, 4), pipeline_run(0, 8), settings=settings).ranks)
    assert set(busy) == {(0,)}
