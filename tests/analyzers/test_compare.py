"""Two runs side by side: what changed, by how much, and whether it is more than noise."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

import llmprof
from llmprof.analyzers.compare import compare_runs
from llmprof.analyzers.diagnosis import Diagnosis, Finding, Source
from llmprof.errors import NotEnoughDataError
from tests.reports.samples import input_starved, no_verdict


def longer(diagnosis: Diagnosis, part: str, more_ms: float) -> Diagnosis:
    """The same run with a part of the step that takes `more_ms` longer, in every step."""
    assert diagnosis.step.mean_ms is not None
    return replace(
        diagnosis,
        step=replace(diagnosis.step, mean_ms=diagnosis.step.mean_ms + more_ms, tokens_per_s=None),
        partition={**diagnosis.partition, part: diagnosis.partition[part] + more_ms},
        history_ms=tuple(value + more_ms for value in diagnosis.history_ms),
    )


def base() -> Diagnosis:
    known = input_starved()
    return replace(known, partition_noise_ms=dict.fromkeys(known.partition, 0.3))


def test_a_run_beside_itself_has_not_changed() -> None:
    found = compare_runs(base(), base())
    assert found.step.outcome == "same"
    assert found.unlike == found.settings == found.classes == ()
    assert {part.delta_ms for part in found.parts} == {0.0}
    assert {item.state for item in found.findings} == {"same"}


def test_a_planted_slowdown_is_found_in_its_part_alone() -> None:
    found = compare_runs(base(), longer(base(), "communication", 20.0))
    assert found.step.outcome == "slower"
    assert found.step.delta_ms == pytest.approx(20.0)
    assert [part.name for part in found.parts if part.outcome != "same"] == ["communication"]
    assert sum(part.delta_ms for part in found.parts) == pytest.approx(found.step.delta_ms, rel=1e-9)


def test_the_interval_of_the_step_holds_the_planted_difference_and_shrinks_with_the_noise() -> None:
    def noisy(spread: float) -> Diagnosis:
        history = tuple(85.5 + spread * math.sin(index * index) for index in range(96))
        return replace(base(), history_ms=history)

    widths = []
    for spread in (8.0, 1.0):
        step = compare_runs(noisy(spread), longer(noisy(spread), "host", 20.0)).step
        assert step.low_ms is not None and step.high_ms is not None
        assert step.low_ms <= 20.0 <= step.high_ms
        widths.append(step.high_ms - step.low_ms)
    assert widths[1] < widths[0]


def test_a_difference_inside_the_interval_is_noise() -> None:
    history = tuple(85.5 + 30 * math.sin(index * index) for index in range(16))
    noisy = replace(base(), history_ms=history)
    assert compare_runs(noisy, longer(noisy, "host", 3.0)).step.outcome == "unsure"


def test_a_part_without_a_measured_spread_has_no_interval() -> None:
    found = compare_runs(input_starved(), longer(input_starved(), "data", 20.0))
    assert {part.low_ms for part in found.parts} == {None}
    assert [part.outcome for part in found.parts if part.name == "data"] == ["slower"]


def test_a_larger_batch_is_compared_per_token() -> None:
    known = base()
    assert known.step.mean_ms is not None and known.step.tokens_per_s is not None
    double = replace(
        known,
        step=replace(known.step, mean_ms=known.step.mean_ms * 2),
        partition={name: 2 * value for name, value in known.partition.items()},
        history_ms=tuple(2 * value for value in known.history_ms),
    )
    found = compare_runs(known, double)
    assert found.scale == pytest.approx(0.5)
    assert found.step.outcome == "same"
    assert [item.name for item in found.unlike] == ["tokens per step"]


def test_what_cannot_be_compared_as_equals_is_named() -> None:
    other = replace(
        base(),
        environment={**base().environment, "gpu": "NVIDIA H100", "torch": "2.12.0"},
        source=Source(kind="run", paths=("x",), ranks=(0, 1), world_size=2),
        capture=replace(base().capture, basis="profiled"),
    )
    found = compare_runs(base(), other)
    assert [item.name for item in found.unlike] == ["GPU", "world size", "basis"]
    assert [(item.name, item.a, item.b) for item in found.settings] == [("torch", "2.13.0", "2.12.0")]


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        (("fired", 20.0), ("fired", 30.0), "grew"),
        (("fired", 20.0), ("fired", 10.0), "shrank"),
        (("fired", 20.0), ("fired", 20.1), "same"),
        (("fired", 20.0), ("passed", None), "gone"),
        (("passed", None), ("fired", 20.0), "new"),
        (("fired", 20.0), ("no_data", None), "unknown"),
    ],
)
def test_findings_are_new_gone_grew_or_shrank(
    before: tuple[str, float | None], after: tuple[str, float | None], state: str
) -> None:
    def one(told: tuple[str, float | None]) -> Diagnosis:
        finding = Finding(rule="r", status=told[0], title="t", summary="s", cost_ms=told[1])  # type: ignore[arg-type]
        return replace(base(), findings=(finding,))

    assert [item.state for item in compare_runs(one(before), one(after)).findings] == [state]


def test_a_rule_that_fired_in_neither_run_is_not_listed() -> None:
    quiet = replace(base(), findings=(Finding(rule="r", status="passed", title="t", summary="s"),))
    assert compare_runs(quiet, quiet).findings == ()


def test_kernels_that_appear_vanish_or_change_are_listed_by_size() -> None:
    before = replace(base(), costs={"kernels": {"a": 10.0, "b": 5.0, "c": 7.0}, "collectives": {"all_reduce": 3.0}})
    after = replace(base(), costs={"kernels": {"a": 10.1, "d": 9.0, "c": 4.0}, "collectives": {"all_reduce": 3.1}})
    found = compare_runs(before, after)
    assert [(row.name, row.detail) for row in found.kernels] == [("d", "new"), ("b", "gone"), ("c", "")]
    assert found.collectives == ()


def test_a_kernel_below_the_longest_listed_is_not_called_new() -> None:
    long = {f"k{place}": 100.0 - place for place in range(20)}
    after = {**{name: value for name, value in long.items() if name != "k19"}, "x": 90.0}
    found = compare_runs(replace(base(), costs={"kernels": long}), replace(base(), costs={"kernels": after}))
    (row,) = (row for row in found.kernels if row.name == "x")
    assert row.detail == "not among the longest of A"
    assert row.delta_ms == pytest.approx(90.0 - 81.0)


def test_a_run_without_a_step_time_cannot_be_compared() -> None:
    with pytest.raises(NotEnoughDataError, match="B does not tell how long a step is"):
        compare_runs(base(), no_verdict())


def test_the_document_is_json_without_infinities() -> None:
    document = compare_runs(base(), longer(base(), "host", 9.0)).to_dict()
    assert document["schema"] == "llmprof.comparison/1"
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_a_recorded_fix_shows_where_it_saved(recordings: Path) -> None:
    """The labelled pair: the loader of the first waits, that of the second has workers."""
    pair = [
        llmprof.diagnose(llmprof.load(recordings / "h200" / f"{name}.rank0.json.gz"))
        for name in ("data_workers0", "data_workers0_fixed")
    ]
    found = compare_runs(*pair)
    assert found.step.outcome == "faster"
    assert min(found.parts, key=lambda part: part.delta_ms).name == "data"
    assert "input-starvation" in {item.rule for item in found.findings if item.state in ("gone", "shrank")}
    for one in pair:
        again = Diagnosis.from_json(one.to_json())
        assert set(again.costs["kernels"]) == set(one.costs["kernels"])
        assert {"compute", "data"} <= again.partition_noise_ms.keys() <= again.partition.keys()
