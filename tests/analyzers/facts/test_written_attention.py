"""Do the clones of attention scores, which the driver copies, count as attention's time?"""

from __future__ import annotations

from llmprof.analyzers.facts.operator_facts import operator_facts
from llmprof.analyzers.facts.windows import windows_of
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
