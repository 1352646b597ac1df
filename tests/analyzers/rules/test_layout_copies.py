"""Are copies named by what they change, and those of the logits left to the loss?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.rules.layout_copies import evaluate
from tests.analyzers.rules.facts_builder import assert_consistent, fix, status
from tests.analyzers.rules.operators_builder import copied, product, with_operators, work

CAST = "c10::BFloat16;float"


def test_half_of_the_layout_copies_is_expected_back() -> None:
    facts = with_operators(copied(2**24, 8.0), copied(2**24, 6.0, types=CAST))
    found = evaluate(facts)
    gain = fix(found, "keep-layout").gain
    assert (gain.low_ms, gain.expected_ms, gain.high_ms) == (0.0, pytest.approx(4.0), pytest.approx(14.0))
    assert "6.00 ms of it casts" in found.finding.summary
    assert_consistent(fix(found, "keep-layout"), facts)


@pytest.mark.parametrize(("ms", "expected"), [(4.9, "passed"), (5.0, "fired")])
def test_threshold(ms: float, expected: str) -> None:
    assert status(evaluate(with_operators(copied(2**24, ms)))) == expected


def test_copies_of_logits_belong_to_the_loss() -> None:
    dims = "[1024,32000]"
    loss = work("aten::_log_softmax", dims, 2.0, kind="cross_entropy")
    logits = work("aten::copy_", f"{dims};{dims}", 20.0, kind="copy", types="float;c10::BFloat16")
    assert status(evaluate(with_operators(loss, logits, product(1024, 512, 32000, 1.0)))) == "passed"


def test_copies_of_attention_scores_belong_to_attention() -> None:
    scores = "[64,2048,2048]"
    given = [
        work("aten::bmm", "[64,2048,128];[64,128,2048]", 2.0, kind="gemm"),
        work("aten::_softmax", scores, 3.0, kind="softmax"),
        work("aten::copy_", f"{scores};{scores}", 20.0, kind="copy", types="float;c10::BFloat16"),
    ]
    assert status(evaluate(with_operators(*given))) == "passed"


def test_copies_that_a_compiler_fused_do_not_count() -> None:
    assert status(evaluate(with_operators(copied(2**24, 20.0, compiled=True)))) == "passed"
