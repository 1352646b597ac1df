"""Do the clones of attention scores, which the driver copies, count as attention's time?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.faster.faster_attention import fused
from llmprof.analyzers.facts.faster.timed_calls import written_call
from llmprof.analyzers.facts.operators.operator_facts import operator_facts
from llmprof.analyzers.facts.operators.written_attention import WrittenAttention, as_given
from llmprof.analyzers.facts.steps.windows import windows_of
from tests.analyzers.rules.facts_builder import H200
from tests.analyzers.rules.operators_builder import make_operators, work
from tests.scenarios.builder import TraceBuilder

SCORES, KEYS, QUERIES = [8, 64, 64], [8, 32, 64], [8, 64, 32]
BF16 = "c10::BFloat16"
US = 1000


def trace(*copied: tuple[list[int], str]) -> TraceBuilder:
    """A product and a softmax of 10 us each; then a copy of 5 us for each of these shapes."""
    found = TraceBuilder()
    found.step(0, 0, 200 * US)
    found.op("aten::bmm", 1 * US, 9 * US, shapes=([QUERIES, KEYS], [BF16, BF16]))
    found.kernel("nvjet_sm90_tst_64x64_64x4_1x1_v_bz_TNT", 20 * US, 10 * US, launch_ns=2 * US)
    found.op("aten::_softmax", 11 * US, 9 * US, shapes=([SCORES, [], []], [BF16, "Scalar", "Scalar"]))
    found.kernel("softmax_warp_forward", 30 * US, 10 * US, launch_ns=12 * US)
    for number, (dims, kind) in enumerate(copied):
        at = (50 + 20 * number) * US
        found.op("aten::copy_", at, 9 * US, shapes=([dims, dims, []], [BF16, BF16, "Scalar"]))
        found.memcpy(kind, at + 5 * US, 5 * US, 2**16, launch_ns=at + US)
    return found


def attention_ns(found: TraceBuilder) -> float:
    rank = found.rank()
    facts = operator_facts(rank, windows_of(rank))
    assert facts is not None and facts.attention is not None
    return facts.attention.ns


def test_clones_of_scores_within_the_device_count() -> None:
    on_device = "DtoD (Device -> Device)"
    assert attention_ns(trace()) == 20 * US
    assert attention_ns(trace((SCORES, on_device), (SCORES, on_device))) == 30 * US


def test_other_copies_do_not() -> None:
    assert attention_ns(trace(([4096, 8], "DtoD (Device -> Device)"), (SCORES, "HtoD (Pinned -> Device)"))) == 20 * US


def by_pytorch(mask: str = "c10::BFloat16") -> WrittenAttention:
    """In fp32, as PyTorch writes it out, with a mask in the format of what it was given."""
    scores = "[16,16,1024,1024]"
    found = make_operators(
        work("aten::bmm", "[256,1024,64];[256,64,1024]", 4.0, kind="gemm", number_format="fp32"),
        work("aten::add_", f"{scores};{scores};[]", 5.0, kind="elementwise", types=f"float;{mask};Scalar"),
        work("aten::_softmax", f"{scores};[];[]", 2.0, kind="softmax", number_format="fp32"),
        work("aten::bmm", "[256,1024,1024];[256,1024,64]", 4.0, kind="gemm", number_format="fp32"),
    ).attention
    assert found is not None and found.number_format == "fp32"
    return found


@pytest.mark.parametrize(("mask", "autocast"), [("c10::BFloat16", None), ("float", "bfloat16")])
def test_what_pytorch_widened_is_judged_in_the_format_of_its_operands(mask: str, autocast: str | None) -> None:
    given = as_given(by_pytorch(mask), autocast)
    assert (given.number_format, given.widened) == ("bf16", True)
    wide, short = fused(by_pytorch(mask), H200), fused(given, H200)
    assert wide is not None and short is not None
    assert short.expected_ns < wide.expected_ns / 5


def test_what_was_given_in_fp32_stays() -> None:
    assert as_given(by_pytorch("float"), None) == by_pytorch("float")


def test_what_pytorch_widened_is_no_call_that_is_timed() -> None:
    assert written_call(by_pytorch()) is not None
    assert written_call(as_given(by_pytorch(), None)) is None
