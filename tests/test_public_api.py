"""Are the public names what they are said to be, loaded when first used, and do they work together?"""

from __future__ import annotations

from pathlib import Path

import pytest

import llmprof


def test_every_public_name_can_be_had() -> None:
    assert set(dir(llmprof)) == set(llmprof.__all__)
    for name in llmprof.__all__:
        assert getattr(llmprof, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        llmprof.no_such_name  # noqa: B018


def test_a_trace_becomes_a_diagnosis_by_its_path_alone(recordings: Path) -> None:
    trace = recordings / "h200" / "host_small.rank0.json.gz"
    diagnosis = llmprof.diagnose(llmprof.load(trace))
    assert diagnosis == llmprof.diagnose(llmprof.load([str(trace)]))
    assert sum(diagnosis.partition.values()) == pytest.approx(diagnosis.step.mean_ms, rel=1e-3)
