"""Is a fix that leaves the step waiting for batches offered with the workers that it needs, and only then?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.replay.fed import WORKERS, with_workers
from llmprof.analyzers.replay.feeds import Feed
from llmprof.analyzers.replay.gains import Replays
from llmprof.analyzers.replay.scenario import run
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.timeline.environment import LoaderSettings
from tests.analyzers.replay.programs import Call, record
from tests.analyzers.replay.test_gains import recommended, replays


def fed(load_ms: float, workers: int, cores: float = 16.0) -> WhatIf:
    """Steps of 2.1 ms of launches, whose kernels take 0.2 ms, and workers that take `load_ms` a batch."""
    found = replays(record([Call(100_000, "launch", 10_000)] * 20)).what_if
    assert found is not None
    model, facts = found.model, found.subject.facts
    loader = LoaderFacts(in_process=False, settings=LoaderSettings(num_workers=workers), own_cores=cores)
    critical = replace(facts.critical, loader=loader)
    feed = Feed(fetches=1.0, workers=workers, loads_ns=(load_ms * 1e6,), cpu_ns=1e5)
    scenario = replace(model.scenario, feeds={0: feed})
    before = run(scenario)
    model = replace(model, scenario=scenario, outcome=before, step_ns=before.step_ns)
    return WhatIf.of(model, replace(facts, ranks={critical.rank: critical}, critical=critical))


def needed(what_if: WhatIf) -> int | None:
    found = with_workers(what_if, ["cuda-graphs"], what_if.predict(["cuda-graphs"]))
    return None if found is None else found[1]


def test_a_shorter_step_takes_more_workers_where_these_just_kept_up() -> None:
    """Two workers make a batch every 2 ms. The graph's step is shorter than half a millisecond."""
    workers = needed(fed(load_ms=4.0, workers=2))
    assert workers is not None and workers > 8
    assert needed(fed(load_ms=4.0, workers=16)) is None  # there are enough of them


def test_where_the_step_waits_for_its_batches_already_more_workers_come_first() -> None:
    assert needed(fed(load_ms=24.0, workers=2)) is None


def test_without_cores_for_more_workers_there_is_nothing_to_offer() -> None:
    assert needed(fed(load_ms=4.0, workers=2, cores=2.0)) is None


def test_the_recommendation_says_what_it_needs_and_promises_both() -> None:
    what_if = fed(load_ms=4.0, workers=2)
    (one,) = Replays(what_if=what_if).improved([recommended("cuda-graphs", verify="try --fix cuda-graphs RUN")])
    assert one.requires == (WORKERS,)
    assert one.verify == f"try --fix {WORKERS}={needed(what_if)} --fix cuda-graphs RUN"  # what is promised is checked
    assert "Alone it leaves the step waiting for batches" in one.why
    both = what_if.predict(["cuda-graphs", WORKERS])
    assert one.gain.expected_ms == pytest.approx((what_if.model.step_ns - both.step_ns) / 1e6)
    assert one.gain.expected_ms > 0.5 * what_if.model.step_ns / 1e6


def test_as_many_workers_are_enough_as_the_step_after_the_other_fixes_needs() -> None:
    """Whichever is named first."""
    what_if = fed(load_ms=4.0, workers=2)
    first, last = (what_if.predict(fixes) for fixes in ([WORKERS, "cuda-graphs"], ["cuda-graphs", WORKERS]))
    assert first == last
