"""Is the replay of real recordings true to the traced and to the unprofiled step, and do its gains come true?

Planted bottlenecks on H200 with the unprofiled step before and after the fix; nothing here was fitted to them.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from llmprof.analyzers.diagnose import diagnose
from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.replay.model import Model, model_of
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.collectors.files import load

# case, fix, how far the predicted step may be from the measured one (a share of the step before the fix)
FIXED = (
    ("data_workers2", "dataloader-workers", 0.02),
    ("compute_tf32", "bf16-autocast", 0.10),
    ("host_small", "cuda-graphs", 0.10),
    ("comm_manual", "wrap-ddp", 0.10),
)
MORE = (
    ("data_workers0", "dataloader-workers", 0.02),
    ("compute_recompute", "drop-recompute", 0.03),
    ("compute_fp32", "bf16-autocast", 0.10),
    ("host_optimizer", "fused-optimizer", 0.10),
    ("straggler_data", "repair-straggler", 0.05),
)
CASES = [*FIXED, *(pytest.param(*case, marks=pytest.mark.slow, id=case[0]) for case in MORE)]


@cache
def what_if_of(folder: Path, case: str, step_ms: float) -> WhatIf:
    timeline = load(sorted(str(path) for path in folder.glob(f"{case}.rank*.json.gz")))
    facts = measure(timeline, step_ms=step_ms)
    model = model_of(timeline, facts)
    assert isinstance(model, Model), model
    return WhatIf.of(model, facts)


def labels(folder: Path) -> dict[str, dict[str, float]]:
    return json.loads((folder / "labels.json").read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize(("case", "fix", "tolerance"), CASES)
def test_the_untouched_replay_is_true_to_the_traced_and_the_unprofiled_step(
    recordings: Path, case: str, fix: str, tolerance: float
) -> None:
    folder = recordings / "h200"
    model = what_if_of(folder, case, labels(folder)[case]["unprofiled_step_ms"]).model
    assert abs(model.identity_error) <= 0.01
    assert abs(model.distortion.error or 0) <= 0.03


@pytest.mark.parametrize(("case", "fix", "tolerance"), CASES)
def test_the_step_after_the_fix_is_as_predicted(recordings: Path, case: str, fix: str, tolerance: float) -> None:
    folder = recordings / "h200"
    label = labels(folder)[case]
    found = what_if_of(folder, case, label["unprofiled_step_ms"]).predict([fix])
    before, after = label["unprofiled_step_ms"], label["unprofiled_step_ms_fixed"]
    assert found.step_ns / 1e6 == pytest.approx(after, abs=tolerance * before)


def test_the_parts_of_the_replayed_step_sum_to_it_and_name_what_was_planted(recordings: Path) -> None:
    folder = recordings / "h200"
    found = what_if_of(folder, "data_workers2", labels(folder)["data_workers2"]["unprofiled_step_ms"])
    before = found.parts(found.model.outcome)
    after = found.parts(found.outcome(["dataloader-workers"]))
    assert before is not None and after is not None
    assert sum(before.values()) == pytest.approx(found.model.outcome.step_ns, rel=0.001)
    assert before["data"] > 0.4 * sum(before.values())
    assert after["data"] < 0.01 * sum(after.values())
    assert after["compute"] == pytest.approx(before["compute"], rel=0.01)


def test_the_critical_path_moves_from_the_loader_to_the_kernels(recordings: Path) -> None:
    folder = recordings / "h200"
    found = what_if_of(folder, "data_workers2", labels(folder)["data_workers2"]["unprofiled_step_ms"])
    before, after = found.path(found.model.outcome), found.path(found.outcome(["dataloader-workers"]))
    assert before["data"] > 0.4 * sum(before.values()) and after["data"] < 0.01 * sum(after.values())
    assert sum(before.values()) == pytest.approx(found.model.outcome.step_ns, rel=0.01)
    assert max(after, key=lambda name: after[name]) == "compute"


def test_a_healthy_run_is_promised_nothing_for_sure(recordings: Path) -> None:
    found = diagnose(load([str(recordings / "h200" / "data_workers0_fixed.rank0.json.gz")]))
    assert found.capture.replay_error is not None and found.capture.replay_error < 0.01
    assert found.step.mean_ms is not None
    # Its loss is written out in separate operators, and a fused one is faster for sure: its input is what is healthy.
    replayed = [one for one in found.recommendations if one.gain.basis == "replay" and one.id != "fused-cross-entropy"]
    assert [one.id for one in replayed if one.gain.low_ms > 0.03 * found.step.mean_ms] == []


def test_what_the_step_does_not_wait_for_promises_nothing(recordings: Path) -> None:
    folder = recordings / "h200"
    found = what_if_of(folder, "comm_manual", labels(folder)["comm_manual"]["unprofiled_step_ms"])
    # Its transfers are short and its host is late: half the bytes change nothing.
    assert found.predict(["compress-gradients"]).step_ns == pytest.approx(found.model.step_ns, rel=0.01)
