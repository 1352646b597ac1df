"""The document is written and read back without loss, and refuses what is not one."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmprof.analyzers.diagnosis import (
    Capture,
    Combined,
    Diagnosis,
    Evidence,
    Finding,
    Gain,
    RankSummary,
    Recommendation,
    RunnerUp,
    Source,
    StepSummary,
    Verdict,
)
from llmprof.errors import UnknownFormatError

DIAGNOSIS = Diagnosis(
    source=Source(kind="run", paths=("runs/a",), ranks=(0, 1), world_size=2),
    environment={"gpu": "NVIDIA H200"},
    capture=Capture(steps_measured=96, basis="unprofiled", warnings=("cut",)),
    step=StepSummary(mean_ms=41.25),
    partition={"compute": 6.0, "host": 35.25},
    partition_rank=0,
    ranks=(RankSummary(rank=0, step_ms=41.25, partition={"compute": 6.0}), RankSummary(rank=1, step_ms=None)),
    verdict=Verdict(bound="host", sentence="Host-bound.", runner_up=RunnerUp(bound="compute", share=0.15)),
    findings=(Finding(rule="r", status="fired", title="t", summary="s", evidence=(Evidence(label="x", value=1.5),)),),
    recommendations=(
        Recommendation(
            id="cuda-graphs",
            rule="r",
            action="a",
            why="w",
            how="h",
            verify="v",
            requires=("remove-sync",),
            gain=Gain(expected_ms=3.0, low_ms=1.0, high_ms=4.0),
        ),
    ),
    combined=Combined(of=("cuda-graphs",), step_ms_after=38.25),
)


def test_a_document_survives_writing_and_reading() -> None:
    assert Diagnosis.from_json(DIAGNOSIS.to_json()) == DIAGNOSIS


def test_the_document_names_its_schema_and_its_tool() -> None:
    document = json.loads(DIAGNOSIS.to_json())
    assert document["schema"] == "llmprof.analysis/1"
    assert document["tool"]["name"] == "llmprof"


def test_unknown_is_null_and_never_zero() -> None:
    document = json.loads(DIAGNOSIS.to_json())
    assert document["step"]["mfu"] is None
    assert document["ranks"][1]["step_ms"] is None


@given(st.floats())
def test_no_figure_makes_the_document_invalid(value: float) -> None:
    text = replace(DIAGNOSIS, partition={"compute": value}).to_json()
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    written = document["partition"]["compute"]
    assert written == pytest.approx(value, abs=1e-4) if math.isfinite(value) else written is None


def test_keys_of_a_later_version_are_ignored() -> None:
    document = json.loads(DIAGNOSIS.to_json())
    document["novelty"] = {"x": 1}
    document["verdict"]["novelty"] = 1
    assert Diagnosis.from_json(json.dumps(document)) == DIAGNOSIS


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": "other/1"}', '{"schema": "llmprof.analysis/1"}'])
def test_what_is_no_document_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(UnknownFormatError, match=r"where\.json"):
        Diagnosis.from_json(text, "where.json")
