"""The view model: names, sums, unknowns and trust that every report shares."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from llmprof.analyzers.diagnosis import (
    PARTS,
    Capture,
    Combined,
    Diagnosis,
    Gain,
    Recommendation,
    Recording,
    RunnerUp,
    Source,
    Verdict,
)
from llmprof.reports.fixes import fixes_of, together_of
from llmprof.reports.labels import CLASS_LABELS, PART_LABELS, headline_label, parts_of_fix
from llmprof.reports.parts import bar_segments, part_rows
from llmprof.reports.trust import trust_of
from llmprof.reports.view import build_view
from tests.reports.samples import SAMPLES, communication_bound, host_bound, input_starved, no_verdict, out_of_memory

RECORDED: dict[str, Any] = {"marked_steps": 4, "has_operators": True, "has_shapes": True, "has_flows": True}
"""A whole recording."""
TIMED = [name for name in SAMPLES if name != "no_verdict"]


@pytest.mark.parametrize("name", TIMED)
def test_table_and_bar_sum_to_the_step(name: str) -> None:
    diagnosis = SAMPLES[name]()
    rows = part_rows(diagnosis)
    step = diagnosis.step.mean_ms
    assert sum(row.ms for row in rows) == pytest.approx(step, rel=1e-3)
    assert sum(part.ms for part in bar_segments(rows)) == pytest.approx(step, rel=1e-3)
    assert sum(part.share for part in bar_segments(rows)) == pytest.approx(1.0)


def test_small_parts_are_in_the_table_and_inside_other_in_the_bar() -> None:
    rows = part_rows(input_starved())
    segments = bar_segments(rows)
    assert "sync" in {row.key for row in rows}
    assert "sync" not in {part.key for part in segments}
    assert "each below 1 %: " in segments[-1].meaning and "host sync" in segments[-1].meaning


def test_parts_keep_their_order_whatever_the_document_says() -> None:
    diagnosis = communication_bound()
    turned = dataclasses.replace(diagnosis, partition=dict(reversed(list(diagnosis.partition.items()))))
    assert [row.key for row in part_rows(turned)] == [row.key for row in part_rows(diagnosis)]


def test_compute_that_its_classes_do_not_fill_gets_a_row_for_the_rest() -> None:
    diagnosis = dataclasses.replace(input_starved(), compute_classes={"gemm": 24.0})
    rest = next(row for row in part_rows(diagnosis) if row.key == "compute.other")
    assert rest.ms == pytest.approx(43.6 - 24.0)


def test_classes_that_exceed_compute_do_not_split_it() -> None:
    diagnosis = dataclasses.replace(input_starved(), compute_classes={"gemm": 99.0})
    assert part_rows(diagnosis)[0].key == "compute"


def test_every_part_has_a_label() -> None:
    assert set(PART_LABELS) == set(PARTS)


def test_parts_have_different_colours() -> None:
    colours = [label.colour for label in PART_LABELS.values()]
    classes = [label.colour for label in CLASS_LABELS.values()]
    assert (len(set(colours)), len(set(classes))) == (len(colours), len(classes))


@pytest.mark.parametrize(
    ("bound", "detail", "label"),
    [
        ("data", "wait", "INPUT-STARVED"),
        ("host", "launch", "HOST-BOUND"),
        ("compute", None, "COMPUTE-BOUND"),
        ("communication", None, "COMMUNICATION-BOUND"),
        ("memory", "capacity", "MEMORY-BOUND (capacity)"),
        ("memory", "bandwidth", "MEMORY-BOUND (bandwidth)"),
        ("imbalance", None, "IMBALANCED"),
        ("none", None, "NOTHING LIMITS"),
        (None, None, "NO VERDICT"),
    ],
)
def test_the_headline_names_the_bound(bound: str | None, detail: str | None, label: str) -> None:
    assert headline_label(bound, detail) == label


def test_unknown_numbers_say_so_and_why() -> None:
    for figure in build_view(no_verdict()).figures:
        assert (figure.value, figure.raw) == ("unknown", None)
        assert figure.note


def test_a_diagnosis_without_anything_has_a_view() -> None:
    empty = Diagnosis(
        source=Source(kind="kineto", paths=(), ranks=()),
        capture=Capture(),
        step=no_verdict().step,
        partition={},
        verdict=Verdict(bound=None, sentence="Nothing was recorded."),
    )
    assert build_view(empty).rows == ()


def test_the_limit_is_marked_on_the_part_that_the_verdict_blames() -> None:
    assert [row.key for row in part_rows(input_starved()) if row.culprit] == ["data"]
    assert [row.key for row in part_rows(out_of_memory()) if row.culprit] == []


@pytest.mark.parametrize(
    ("gain", "told", "share", "side"),
    [
        (Gain(expected_ms=80, low_ms=71, high_ms=94), "saves 80.0 ms (71.0-94.0)", "16 % of the step", ""),
        (Gain(expected_ms=20, low_ms=0, high_ms=94), "saves 20.0 ms (0-94.0)", "4.1 % of the step", ""),
        (Gain(expected_ms=20, low_ms=-4, high_ms=94), "saves 20.0 ms (-4.00 ms to 94.0)", "4.1 % of the step", ""),
        (Gain(expected_ms=8, low_ms=8, high_ms=8), "saves 8.00 ms", "1.6 % of the step", ""),
        (Gain(expected_ms=9900, low_ms=9000, high_ms=12000), "saves 9900 ms (9000 ms to 12.0 s)", "2037 % of the step",
         ""),
        (Gain(expected_ms=0, low_ms=0, high_ms=0), "no gain expected", "", ""),
        (Gain(expected_ms=0, low_ms=0, high_ms=94), "no gain expected", "at most 19 % of the step", ""),
        (Gain(expected_ms=-60, low_ms=-75, high_ms=-50, memory_bytes=2**30), "frees 1.0 GiB", "", "costs 50.0-75.0 ms"),
        (Gain(expected_ms=-60, low_ms=-75, high_ms=5, memory_bytes=2**30), "frees 1.0 GiB", "", "costs up to 75.0 ms"),
        (Gain(expected_ms=9, low_ms=8, high_ms=9, memory_bytes=-(2**30)), "saves 9.00 ms (8.00-9.00)",
         "1.9 % of the step", "takes 1.0 GiB"),
    ],
)  # fmt: skip
def test_a_gain_is_told_with_its_interval(gain: Gain, told: str, share: str, side: str) -> None:
    fix = Recommendation(id="tf32", rule="r", action="a", why="w", how="h", verify="v", gain=gain)
    base = input_starved()
    step = dataclasses.replace(base.step, mean_ms=486.0)
    view = fixes_of(dataclasses.replace(base, recommendations=(fix,), step=step))[0]
    assert (view.gain, view.gain_share, view.side) == (told, share, side)


def test_the_combined_figure_says_whom_it_counts() -> None:
    base = input_starved()
    names = {"dataloader-workers": None, "torch-compile": None, "pin-memory": None, "larger-batch": None}
    said = {}
    for of in (tuple(names)[:2], tuple(names)[:3], tuple(names), tuple(names)[1:4]):
        together = together_of(dataclasses.replace(base, combined=Combined(of=of, step_ms_after=43.5)))
        said[of] = together.who if together else None
    assert list(said.values()) == ["1 and 2 together", "1, 2 and 3 together", "all 4 together", "2, 3 and 4 together"]


def test_a_combined_figure_without_a_step_is_not_shown() -> None:
    assert (
        together_of(dataclasses.replace(input_starved(), combined=Combined(of=("a", "b"), step_ms_after=None))) is None
    )


def test_a_sound_recording_weakens_nothing() -> None:
    assert not build_view(input_starved()).weak


@pytest.mark.parametrize(
    "change",
    [
        {"basis": "profiled"},
        {"steps_measured": 3},
        {"steps_measured": None},
        {"replay_error": 0.2},
        {"overhead_pct": 4.0},
        {"unlinked_kernel_share": 0.3},
        {"warnings": ("The file is cut short.",)},
        {"recording": Recording(**RECORDED, lost_events=5, lost_share=0.01)},
        {"recording": Recording(**RECORDED, cut=True, cut_in_events=True)},
        {"recording": Recording(**RECORDED, clock_quantum_ns=1000, clock_error_share=0.05)},
        {"recording": Recording(**{**RECORDED, "marked_steps": 0})},
    ],
)
def test_whatever_weakens_the_verdict_is_marked(change: dict[str, object]) -> None:
    base = input_starved()
    changed = dataclasses.replace(base, capture=dataclasses.replace(base.capture, **change))  # type: ignore[arg-type]
    assert [item.weak for item in trust_of(changed)].count(True) == 1


def test_what_is_harmless_in_a_recording_is_told_and_not_marked() -> None:
    base = input_starved()
    record = Recording(**{**RECORDED, "has_shapes": False}, cut=True, repaired_events=3, overlapping_rows=1200)
    told = trust_of(dataclasses.replace(base, capture=dataclasses.replace(base.capture, recording=record)))
    new = [item for item in told if item not in trust_of(base)]
    assert [item.text for item in new] == [
        "recording cut short",
        "3 damaged events mended",
        "1,200 overlaps on a stream, kept",
        "recorded without shapes",
    ]
    assert not any(item.weak for item in new)


def test_missing_ranks_and_low_confidence_are_marked() -> None:
    base = input_starved()
    partial = dataclasses.replace(base, source=dataclasses.replace(base.source, world_size=8))
    unsure = dataclasses.replace(base, verdict=dataclasses.replace(base.verdict, confidence=0.2))
    assert [item.text for item in trust_of(partial) if item.weak] == ["1 of 8 ranks seen"]
    assert [item.text for item in trust_of(unsure) if item.weak] == ["confidence low"]


def test_checks_stand_with_findings_first_and_all_of_them() -> None:
    checks = build_view(input_starved()).checks
    assert len(checks) == len(input_starved().findings)
    assert [check.status for check in checks[:3]] == ["fired", "fired", "no_data"]


def test_a_fix_links_only_to_parts_that_exist_in_the_bar_vocabulary() -> None:
    from llmprof.analyzers.rules.fixes import FIXES

    known = {*PARTS, *(f"compute.{name}" for name in CLASS_LABELS)}
    assert {part for fix in FIXES for part in parts_of_fix(fix)} <= known


def test_nested_environment_becomes_readable_lines() -> None:
    facts = dict(build_view(communication_bound()).facts)
    assert (facts["NCCL"], facts["parallelism"]) == ("2.27.3", "dp 2, tp 1, pp 1")


def test_facts_read_in_their_units_and_stand_once() -> None:
    environment = {
        "world_size": 2,
        "cudnn": "9.19",
        "node": {"memory_bytes": 270334464000, "sm_mhz": 1980.0, "utilization": 0.9586666666666666, "fused": True},
    }
    facts = build_view(dataclasses.replace(communication_bound(), environment=environment)).facts
    told = dict(facts)
    assert [name.lower() for name, _ in facts].count("world size") == 1
    assert told["cuDNN"] == "9.19"
    assert told["node"] == "memory 251.8 GiB, sm_mhz 1,980, utilization 0.959, fused yes"


def test_flags_and_a_runner_up_that_the_page_tells_already_are_left_out() -> None:
    base = input_starved()
    flags = ("nothing-found", "cpu-only", "rank-died")
    larger = RunnerUp(bound="compute", share=0.84)
    verdict = dataclasses.replace(base.verdict, flags=flags, share=0.26, runner_up=larger)
    view = build_view(dataclasses.replace(base, verdict=verdict))
    assert (view.flags, view.runner_up) == (("rank died",), "")
    smaller = dataclasses.replace(verdict, runner_up=RunnerUp(bound="compute", share=0.2))
    assert build_view(dataclasses.replace(base, verdict=smaller)).runner_up == "compute 20 %"


def test_the_view_is_a_pure_function() -> None:
    assert build_view(host_bound()) == build_view(host_bound())


def test_without_a_gpu_the_host_part_is_python_and_nothing_is_called_idle() -> None:
    found = host_bound()
    verdict = dataclasses.replace(found.verdict, flags=("cpu-only",))
    rows = {row.key: row for row in part_rows(dataclasses.replace(found, verdict=verdict))}
    assert rows["host"].name == "Python"
    assert not any(row.idle for row in rows.values())
