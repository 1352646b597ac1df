"""Is a table of pipeline operations diagnosed: who is slow, what a repair saves, and nothing where nobody is?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llmprof.analyzers.diagnosis import PARTS, Diagnosis
from llmprof.analyzers.operations import diagnose_operations
from llmprof.collectors.files.operation_table import read_operations
from llmprof.timeline.operations import OperationTable
from tests.scenarios.operations import pipeline_table


def diagnosed(table: OperationTable) -> Diagnosis:
    found = diagnose_operations(table, "here.parquet")
    assert Diagnosis.from_json(found.to_json()).to_dict() == found.to_dict()
    return found


def test_a_slow_worker_is_imbalance_and_repairing_it_brings_back_the_step_of_the_others() -> None:
    healthy = diagnosed(pipeline_table()).step.mean_ms
    found = diagnosed(pipeline_table(slow=(1, 0), factor=2.0))
    assert (found.verdict.bound, found.verdict.detail) == ("imbalance", "rank")
    assert "rank 2 makes it" in found.verdict.sentence  # replica 1, stage 0 of two stages
    assert [fix.id for fix in found.recommendations] == ["repair-straggler"]
    assert found.recommendations[0].gain.step_ms_after == pytest.approx(healthy, rel=0.2)


def test_a_heavy_stage_is_to_be_balanced_and_its_layers_do_not_vanish() -> None:
    found = diagnosed(pipeline_table(slow=(None, 1), factor=2.0))
    assert (found.verdict.bound, found.verdict.detail) == ("imbalance", "stage")
    (fix,) = found.recommendations
    assert fix.id == "balance-stages"
    light = diagnosed(pipeline_table()).step.mean_ms
    assert light is not None
    assert fix.gain.step_ms_after is not None
    # Two stages of 1 and 2 become two of 1.5: never as short as without the additional work.
    assert fix.gain.step_ms_after == pytest.approx(1.5 * light, rel=0.1)


def test_micro_batches_of_different_size_are_neither_a_slow_rank_nor_a_heavy_stage() -> None:
    found = diagnosed(
        pipeline_table(sizes=lambda step, replica, n: 3.0 if (2 * step + 3 * replica + 5 * n) % 4 == 0 else 1)
    )
    assert (found.verdict.bound, found.verdict.detail) == ("imbalance", "batches")
    assert "micro-batches of equal size" in found.verdict.sentence
    (fix,) = found.recommendations
    assert fix.id == "balance-batches"
    assert fix.gain.low_ms <= fix.gain.expected_ms <= fix.gain.high_ms
    # One of four passes is three times as long: the usual one and a half times as long each.
    usual = diagnosed(pipeline_table()).step.mean_ms
    assert usual is not None
    assert fix.gain.step_ms_after == pytest.approx(1.5 * usual, rel=0.05)


def test_workers_that_are_alike_get_no_advice() -> None:
    found = diagnosed(pipeline_table())
    assert found.verdict.bound == "none"
    assert found.recommendations == ()
    assert {finding.status for finding in found.findings} == {"passed"}


def test_the_document_has_partition_ranks_and_figures() -> None:
    found = diagnosed(pipeline_table(slow=(1, 0), factor=2.0))
    assert set(found.partition) <= set(PARTS)
    assert sum(found.partition.values()) == pytest.approx(found.step.mean_ms, rel=1e-3)
    assert [rank.rank for rank in found.ranks] == [0, 1, 2, 3]
    assert found.partition_rank == 2
    figures = found.details["stragglers"]
    assert figures["worst"]["ranks"] == [2]
    assert figures["slowdown"] == pytest.approx(figures["step_ms"] / figures["ideal_ms"], abs=1e-3)
    assert {(one["replica"], one["stage"]) for one in figures["workers"]} == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_a_step_that_is_cut_is_left_out_and_told() -> None:
    table = pipeline_table(slow=(1, 0), factor=2.0)
    whole = diagnosed(table)
    cut = diagnosed(table.where(np.arange(len(table)) < len(table) - 1))
    assert (cut.capture.steps_measured, cut.capture.steps_excluded) == (2, 1)
    assert any("left out" in warning for warning in cut.capture.warnings)
    assert cut.step.mean_ms == pytest.approx(whole.step.mean_ms)


def test_an_interleaved_schedule_abstains_with_the_reason() -> None:
    table = pipeline_table()
    found = diagnosed(replace(table, chunk=np.ones_like(table.chunk)))
    assert found.verdict.bound is None
    assert "interleaved" in str(found.verdict.reason)


@pytest.mark.parametrize("change", ["empty", "still", "one replica short"])
def test_tables_that_say_too_little_abstain(change: str) -> None:
    table = pipeline_table()
    rows = np.ones(len(table), bool)
    if change == "empty":
        rows[:] = False
    if change == "still":
        table = replace(table, dur_ns=np.zeros_like(table.dur_ns), start_ns=np.zeros_like(table.start_ns))
    if change == "one replica short":
        rows = ~((table.replica == 1) & (table.stage == 1) & (table.kind == 0))
    found = diagnosed(table.where(rows))
    assert found.verdict.bound is None
    assert found.verdict.reason


def test_delays_that_the_operations_do_not_explain_weaken_the_verdict() -> None:
    table = pipeline_table(slow=(1, 0), factor=2.0)
    late = table.start_ns + np.where(np.isin(table.kind, [table.kinds.index("optimizer")]), 200_000_000, 0)
    found = diagnosed(replace(table, start_ns=late))
    assert found.verdict.confidence is not None
    assert found.verdict.confidence <= 0.4
    assert all(fix.gain.low_ms == 0 for fix in found.recommendations)
    assert any("misses the recorded step" in warning for warning in found.capture.warnings)


@pytest.mark.parametrize(
    ("name", "detail", "fix"), [("AR", "rank", "repair-straggler"), ("ST", "stage", "balance-stages")]
)
def test_the_published_jobs(recordings: Path, name: str, detail: str, fix: str) -> None:
    pytest.importorskip("pyarrow", reason="the published traces are Parquet files")
    path = recordings / "stragglers" / f"trace-{name}.parquet"
    if not path.is_file():
        pytest.skip(f"no published trace at {path}")
    found = diagnosed(read_operations(path))
    assert (found.verdict.bound, found.verdict.detail) == ("imbalance", detail)
    assert [one.id for one in found.recommendations] == [fix]
    figures = found.details["stragglers"]
    published = {"AR": (1.973, 1.002, -0.001), "ST": (1.179, 0.031, 1.219)}[name]
    ours = (figures["slowdown"], figures["worst"]["removed"], figures["last_stage"]["removed"])
    assert ours == pytest.approx(published, abs=6e-4)
