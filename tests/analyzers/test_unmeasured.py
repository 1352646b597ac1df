"""What is said of a run that ended before a step could be measured, and of a memory snapshot alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmprof.analyzers.diagnose import diagnose
from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.analyzers.rules.registry import all_rules
from llmprof.collectors.files import load
from llmprof.reports.terminal import render_plain
from tests.collectors.files.snapshots import MIB, snapshot, write
from tests.collectors.files.test_run_memory import FAILED, run_of


@pytest.fixture
def ended(tmp_path: Path) -> Diagnosis:
    return diagnose(load(run_of(tmp_path, steps=0, failed={**FAILED, "step": 0})))


def test_a_run_that_ran_out_of_memory_in_its_first_step_has_a_verdict(ended: Diagnosis) -> None:
    verdict = ended.verdict
    assert (verdict.bound, verdict.detail, verdict.flags) == ("memory", "capacity", ("memory-capacity",))
    assert verdict.sentence == (
        "Memory-bound (capacity): the run ran out of memory at step 0 in the backward pass (3.0 GiB asked for, 1.0 GiB "
        "of 80.0 GiB free)."
    )


def test_nothing_is_made_up_about_its_steps(ended: Diagnosis) -> None:
    assert (ended.step.mean_ms, ended.partition, ended.ranks) == (None, {}, ())
    assert ended.step.memory_capacity_bytes == 80 << 30
    gains = [fix.gain for fix in ended.recommendations]
    assert {(gain.step_ms_after, gain.speedup) for gain in gains} == {(None, None)}
    assert "-0.0" not in ended.to_json()


def test_its_fixes_win_memory_the_most_first(ended: Diagnosis) -> None:
    freed = [fix.gain.memory_bytes for fix in ended.recommendations]
    assert len(freed) >= 2 and None not in freed
    assert freed == sorted(freed, reverse=True)  # type: ignore[type-var]


def test_every_rule_has_a_finding(ended: Diagnosis) -> None:
    assert [finding.rule for finding in ended.findings] == [rule.id for rule in all_rules()]
    states = {finding.rule: finding.status for finding in ended.findings}
    assert (states["out-of-memory"], states["input-starvation"]) == ("fired", "no_data")


def test_reports_can_tell_it(ended: Diagnosis) -> None:
    assert "MEMORY-BOUND (capacity)" in render_plain(ended)
    assert Diagnosis.from_json(ended.to_json()) == Diagnosis.from_json(Diagnosis.from_json(ended.to_json()).to_json())


def test_free_pieces_that_would_have_done_come_first(tmp_path: Path) -> None:
    failed = {**FAILED, "step": 0, "allocated": 60 << 30, "inactive_split": 17 << 30}
    found = diagnose(load(run_of(tmp_path, steps=0, failed=failed)))
    assert found.recommendations[0].id == "expandable-segments"


def test_a_few_steps_before_it_change_nothing(tmp_path: Path) -> None:
    found = diagnose(load(run_of(tmp_path, steps=2, failed={**FAILED, "step": 2})))
    assert (found.verdict.bound, found.verdict.detail) == ("memory", "capacity")


def test_a_measured_run_keeps_its_step_time(tmp_path: Path) -> None:
    found = diagnose(load(run_of(tmp_path, steps=10, failed={**FAILED, "step": 10})))
    assert (found.verdict.detail, found.step.mean_ms) == ("capacity", 1.0)
    assert "at step 10 in the backward pass" in found.verdict.sentence


def test_a_failure_that_the_script_survived_in_a_short_run_is_no_verdict(tmp_path: Path) -> None:
    found = diagnose(load(run_of(tmp_path, steps=2, failed={**FAILED, "step": 0}, ended="exit", exit_code=0)))
    assert found.verdict.bound is None


def test_a_snapshot_alone_says_what_fills_the_device_and_no_more(tmp_path: Path) -> None:
    found = diagnose(load(write(tmp_path / "it", snapshot(oom=False))))
    assert (found.verdict.bound, found.source.kind) == (None, "snapshot")
    assert found.verdict.reason is not None
    assert "96.0 MiB are in use in 4 blocks, 64.0 MiB of it from project/train.py:42 forward" in found.verdict.reason
    assert "the peak of its history is 130.0 MiB" in found.verdict.reason
    assert found.step.peak_memory_bytes == 130 * MIB
    pieces = next(finding for finding in found.findings if finding.rule == "fragmentation")
    shown = {item.label: item.value for item in pieces.evidence}
    assert shown["in pieces between blocks in use"] == 24 * MIB
    assert shown["in use: project/train.py:42 forward (2 blocks)"] == 64 * MIB


def test_a_snapshot_of_a_run_that_ran_out_of_memory_has_a_verdict(tmp_path: Path) -> None:
    verdict = diagnose(load(write(tmp_path / "it", snapshot()))).verdict
    assert (verdict.bound, verdict.detail) == ("memory", "capacity")
    assert "(40.0 MiB asked for, 7.0 MiB free)" in verdict.sentence
