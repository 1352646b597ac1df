"""Is the cost of slow workers what the published study found, and is the blame on the worker that is slow?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from llmprof.analyzers.facts.pipeline.stragglers import StragglerFacts, straggler_facts
from llmprof.collectors.files.operation_table import read_operations
from llmprof.errors import InputError
from llmprof.timeline.operations import OperationTable
from tests.scenarios.operations import pipeline_table


@pytest.fixture(params=["AR", "ST"])
def published(request: pytest.FixtureRequest, recordings: Path) -> tuple[StragglerFacts, dict[str, dict]]:
    """Our facts of a published trace, and its published results by the name of their file."""
    pytest.importorskip("pyarrow", reason="the published traces are Parquet files")
    folder, name = recordings / "stragglers", request.param
    if not folder.is_dir():
        pytest.skip(f"no published traces at {folder}")
    results = {kind: json.loads((folder / f"{kind}-{name}.json").read_text()) for kind in ("result", "mw", "ms")}
    return straggler_facts(read_operations(folder / f"trace-{name}.parquet")), results


def test_the_published_figures_to_three_decimals(published: tuple[StragglerFacts, dict[str, dict]]) -> None:
    facts, results = published
    assert facts.slowdown == pytest.approx(results["result"]["blocking_slowdown"], abs=5e-4)
    assert facts.replay_error + 1 == pytest.approx(results["result"]["launch_slowdown"], abs=5e-4)
    for blame, name in ((facts.worst, "mw"), (facts.last_stage, "ms")):
        assert blame.removed == pytest.approx(results[name]["rem"], abs=5e-4)
        assert blame.added == pytest.approx(results[name]["add"], abs=5e-4)


def test_the_published_attributions(published: tuple[StragglerFacts, dict[str, dict]]) -> None:
    facts, results = published
    wanted = results["result"]
    assert dict(facts.by_kind) == pytest.approx(wanted["blocking_decompose_by_optype"], abs=5e-4)
    for ours, name in ((facts.by_replica, "dp_rank"), (facts.by_stage, "stage")):
        assert {str(k): v for k, v in ours.items()} == pytest.approx(wanted[f"blocking_decompose_by_{name}"], abs=5e-4)


def test_workers_that_are_alike_lose_nothing() -> None:
    facts = straggler_facts(pipeline_table())
    assert facts.slowdown == pytest.approx(1.0)
    assert facts.worst.removed is None


def test_a_slow_worker_is_found_and_repairing_it_brings_everything() -> None:
    facts = straggler_facts(pipeline_table(slow=(1, 0), factor=2.0))
    assert facts.worst_ranks == (2,)  # replica 1, stage 0 of two stages
    assert facts.slowdown > 1.2
    # The ideal is the mean with the slow worker in it, so the others are a little faster than ideal: more than all.
    assert facts.worst.removed > 1.0
    assert facts.by_replica[1] > facts.by_replica[0]


def test_a_heavy_last_stage_is_told_from_a_slow_worker() -> None:
    facts = straggler_facts(pipeline_table(slow=(None, 1), factor=2.0))
    assert facts.last_stage.removed > 0.9
    assert max(facts.by_stage, key=facts.by_stage.__getitem__) == 1


def test_steps_with_different_operations_are_refused() -> None:
    table = pipeline_table()
    columns = ("kind", "replica", "stage", "rank", "step", "sequence", "chunk", "start_ns", "dur_ns")
    cut = OperationTable(kinds=table.kinds, **{name: getattr(table, name)[:-1] for name in columns})
    with pytest.raises(InputError, match="same operations"):
        straggler_facts(cut)


def test_an_empty_table_is_refused() -> None:
    none = np.empty(0, np.int64)
    names = ("kind", "replica", "stage", "rank", "step", "sequence", "chunk", "start_ns", "dur_ns")
    with pytest.raises(InputError, match="no operations"):
        straggler_facts(OperationTable(kinds=(), **dict.fromkeys(names, none)))
