"""Do the rules name the bottleneck that was planted in real recordings, and promise what its fix really brought?

Each recording comes with the unprofiled step time with the bottleneck and with the fix.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.ranking import rank
from llmprof.analyzers.rules.registry import evaluate_all
from llmprof.collectors.files import load

PLANTED = {
    "data_workers0": "dataloader-workers",
    "data_workers2": "dataloader-workers",
    "compute_fp32": "bf16-autocast",
    "compute_tf32": "bf16-autocast",
    "compute_recompute": "drop-recompute",
    "host_small": "cuda-graphs",
    "comm_manual": "wrap-ddp",
    "straggler_data": "dataloader-workers",
}


def ranked(recordings: Path, case: str) -> tuple[tuple[Recommendation, ...], float]:
    """The ranked fixes of a case, and what its fix really saved, in ms per step."""
    folder = recordings / "h200"
    label = json.loads((folder / "labels.json").read_text())[case]
    step = label["unprofiled_step_ms"]
    facts = measure(load([str(path) for path in sorted(folder.glob(f"{case}.rank*.json.gz"))]), step_ms=step)
    answers = evaluate_all(facts)
    assert all(one.finding.status != "error" for one in answers), answers
    return rank([fix for one in answers for fix in one.recommendations], facts)[0], step - label[
        "unprofiled_step_ms_fixed"
    ]


GRAPHS_FIRST = pytest.mark.xfail(strict=True, reason="CUDA graphs stand first: see tests/analyzers/test_diagnose.py")


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=GRAPHS_FIRST if case == "comm_manual" else ()) for case in PLANTED]
)
def test_the_first_fix_is_the_planted_one_and_its_gain_holds(recordings: Path, case: str) -> None:
    fixes, truth = ranked(recordings, case)
    gain = fixes[0].gain
    assert fixes[0].id == PLANTED[case]
    assert gain.low_ms <= truth <= gain.high_ms
    assert gain.expected_ms == pytest.approx(truth, rel=0.2)


@pytest.mark.parametrize(("case", "fix"), [("host_optimizer", "fused-optimizer"), ("comm_manual", "wrap-ddp")])
def test_a_fix_below_the_launch_fixes_is_named_with_an_honest_gain(recordings: Path, case: str, fix: str) -> None:
    """Launch fixes may stand above it: the step stays host-bound with a fused optimizer, and with DDP."""
    fixes, truth = ranked(recordings, case)
    gain = next(one.gain for one in fixes if one.id == fix)
    assert gain.low_ms <= truth <= gain.high_ms
    assert gain.expected_ms == pytest.approx(truth, rel=0.2)


def test_a_pause_of_the_host_is_not_called_launch_overhead(recordings: Path) -> None:
    """The allocator starts over in this run; CUDA graphs would not help."""
    fixes, _ = ranked(recordings, "memory_ragged")
    assert "cuda-graphs" not in {one.id for one in fixes}
