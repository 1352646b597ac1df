"""Does the replayed step lose what the played schedule says?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.facts.pipeline.pipeline_model import PipelineModel, pipeline_model
from llmprof.analyzers.facts.pipeline.stage_layers import division_for
from llmprof.analyzers.replay.model import Model, model_of
from llmprof.analyzers.replay.transforms.pipeline import FIXES
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.timeline.settings import Parallelism, PipelineSettings
from llmprof.timeline.timeline import Timeline
from tests.analyzers.rules.exchange_facts import environment
from tests.scenarios.exchange import MS, pipeline_run


def asked(microbatches: int, forward_ns: tuple[int, int], schedule: str = "ScheduleGPipe") -> WhatIf:
    ranks = []
    for stage in (0, 1):
        settings = PipelineSettings(schedule=schedule, microbatches=microbatches, stages=2, local_stages=(stage,))
        own = environment(stage, pipeline=settings, parallelism=Parallelism(pp=2), models=())
        ranks.append(pipeline_run(stage, microbatches, forward_ns=forward_ns).builder.rank(stage, environment=own))
    timeline = Timeline(ranks=tuple(ranks), kind="run", paths=(), world_size=2)
    facts = measure(timeline)
    model = model_of(timeline, facts)
    assert isinstance(model, Model), model
    return WhatIf.of(model, facts)


def saved_share(found: WhatIf, fix: str) -> float:
    return 1 - found.predict([fix]).step_ns / found.model.step_ns


def played(found: WhatIf) -> PipelineModel:
    model = pipeline_model(found.subject.facts)
    assert isinstance(model, PipelineModel)
    return model


def test_more_micro_batches_save_what_the_schedule_does() -> None:
    found = asked(2, (16 * MS, 16 * MS))
    model = played(found)
    assert saved_share(found, "more-microbatches") == pytest.approx(model.saved_share(model.best(64)), abs=0.01)


def test_balanced_stages_save_what_the_schedule_does() -> None:
    found = asked(8, (3 * MS, 5 * MS))
    expected = played(found).moved_share(division_for(found.subject.facts, played(found)).factors)
    assert expected > 0.1
    assert saved_share(found, "balance-stages") == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("fix", FIXES)
def test_a_schedule_that_is_not_played_is_left_out(fix: str) -> None:
    found = asked(2, (8 * MS, 8 * MS), schedule="ScheduleZBVZeroBubble").predict([fix])
    assert "cannot be played" in found.left_out[fix]


def test_a_filled_pipeline_gets_no_shorter() -> None:
    found = asked(32, (MS, MS)).predict(["more-microbatches"])
    assert "not get shorter" in found.left_out["more-microbatches"]
