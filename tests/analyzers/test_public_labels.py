"""Does the diagnosis of public traces name what is known of them?

HolisticTraceAnalysis and TraceLens ship these traces as test data. What limits each was read off its timeline by hand.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from llmprof.analyzers.diagnose import diagnose
from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.collectors.files import load

KNOWN = {
    # The loader works in the training process; attention is written out. (Its odd dimensions cost 0.03 % of the step.)
    "tracelens_h100_owlv2": ("data", {"input-starvation", "unfused-attention"}),
    "*timesformer*": ("compute", {"unfused-attention"}),
    "*nsfw*": ("host", {"launch-bound"}),
    "tracelens_h100_bert_small": ("host", {"launch-bound"}),
    # 60 % of its kernel time are pointwise operators and copies.
    "tracelens_h100_qwen": ("memory", {"unfused-elementwise", "layout-copies"}),
}


@lru_cache(maxsize=8)
def diagnosed(recordings: Path, name: str) -> Diagnosis:
    paths = sorted((recordings / "kineto_public").glob(f"{name}.json.gz"))
    if not paths:
        pytest.skip(f"no public trace {name} among the recordings")
    return diagnose(load([paths[0]]))


@pytest.mark.parametrize("name", KNOWN)
def test_the_bound_and_its_causes_are_named(name: str, recordings: Path) -> None:
    bound, rules = KNOWN[name]
    found = diagnosed(recordings, name)
    assert found.verdict.bound == bound
    assert rules <= {one.rule for one in found.findings if one.status == "fired"}


def test_kernels_that_were_issued_and_waited_are_not_blamed_on_the_host(recordings: Path) -> None:
    """Rank 0 of a run on A100 GPUs: more than half of the step the device is idle with work in its queue."""
    found = diagnosed(recordings, "hta_negative_queue")
    assert found.step.mean_ms is not None
    assert found.partition["other"] > 0.5 * found.step.mean_ms
    assert found.partition["host"] < 0.05 * found.step.mean_ms
    assert found.verdict.bound != "host"
