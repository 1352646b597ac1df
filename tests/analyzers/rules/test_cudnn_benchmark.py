"""Is cuDNN's setting mentioned where convolutions matter and it is off by neglect?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.rules.base import Judgement
from llmprof.analyzers.rules.cudnn_benchmark import evaluate
from llmprof.timeline.environment import Environment
from llmprof.timeline.settings import Precision
from tests.analyzers.rules.facts_builder import H200, fix, status
from tests.analyzers.rules.operators_builder import with_operators, work


def judged(ms: float, **settings: bool) -> Judgement:
    conv = work("aten::convolution", "[64,64,56,56];[64,64,3,3]", ms, kind="convolution")
    environment = Environment(device=H200, precision=Precision(**settings))
    return evaluate(with_operators(conv, environment=environment))


def test_nothing_is_promised() -> None:
    gain = fix(judged(40.0, cudnn_benchmark=False), "cudnn-benchmark").gain
    assert (gain.low_ms, gain.expected_ms, gain.high_ms) == (0.0, 0.0, pytest.approx(6.0))


@pytest.mark.parametrize(("ms", "expected"), [(9.9, "not_applicable"), (10.0, "fired")])
def test_threshold(ms: float, expected: str) -> None:
    assert status(judged(ms, cudnn_benchmark=False)) == expected


def test_on_or_off_on_purpose_passes_and_unknown_is_no_data() -> None:
    assert status(judged(40.0, cudnn_benchmark=True)) == "passed"
    assert status(judged(40.0, cudnn_benchmark=False, cudnn_deterministic=True)) == "passed"
    assert status(judged(40.0)) == "no_data"
