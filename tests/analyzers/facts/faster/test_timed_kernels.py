"""Do times that were measured alone take the place of rates, where they can be believed and only there?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.faster.faster_attention import fused_saving
from llmprof.analyzers.facts.faster.number_formats import converted
from llmprof.analyzers.facts.faster.timed_kernels import questions, timed_note, timed_of, with_times
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators.saving import saving_of
from llmprof.timeline.kernel_times import KernelCall, KernelTimes
from tests.analyzers.rules.facts_builder import H200
from tests.analyzers.rules.operators_builder import make_operators, product, work

LARGE = product(4096, 1024, 4096, 6.0, number_format="fp32", calls=4.0, kernel="sgemm")
SMALL = product(4096, 1024, 1024, 2.0, number_format="fp32", calls=4.0, kernel="sgemm")
TINY = product(64, 64, 64, 0.1, number_format="fp32", calls=4.0, kernel="sgemm")
PRODUCTS = make_operators(LARGE, SMALL, TINY)


def asked(fix: str, operators: OperatorFacts) -> tuple[KernelCall, ...]:
    return questions([fix], operators, channels_last=False)


def answered(
    operators: OperatorFacts, ns: dict[KernelCall, float] | None = None, failed: dict[KernelCall, str] | None = None
) -> OperatorFacts:
    return replace(operators, timed=KernelTimes(device="NVIDIA H200", ns=ns or {}, failed=failed or {}))


def test_the_longest_pairs_are_asked_first_and_the_last_twentieth_not_at_all() -> None:
    found = asked("bf16-autocast", PRODUCTS)
    assert [(call.dims[1][1], call.number_format) for call in found] == [
        (4096, "fp32"), (4096, "bf16"), (1024, "fp32"), (1024, "bf16"),
    ]  # fmt: skip
    both = questions(["bf16-autocast", "tf32"], PRODUCTS, channels_last=False)
    assert len(both) == 6  # the call as it is now is timed once


def test_what_is_left_is_the_ratio_of_the_two_times() -> None:
    now, fast, *_ = asked("bf16-autocast", PRODUCTS)
    operators = answered(PRODUCTS, ns={now: 1.4e6, fast: 0.14e6})  # 6 ms in 4 calls: 1.5 ms
    (one,) = timed_of("bf16-autocast", operators, channels_last=False)
    assert one.work == (LARGE,)
    assert one.left == pytest.approx(0.1)
    assert [one.left_at(doubt) for doubt in (-1, 0, 1)] == pytest.approx([0.09, 0.1, 0.11])
    assert not timed_of("tf32", operators, channels_last=False)


@pytest.mark.parametrize(
    ("alone_ns", "believed"), [(1.5e6, True), (2.2e6, True), (1.05e6, True), (2.3e6, False), (0.9e6, False)]
)
def test_a_call_that_takes_another_time_alone_is_not_believed(alone_ns: float, believed: bool) -> None:
    """1.5 ms in the step; a factor of 1.5 either way may be."""
    now, fast, *_ = asked("bf16-autocast", PRODUCTS)
    operators = answered(PRODUCTS, ns={now: alone_ns, fast: 0.1e6})
    assert bool(timed_of("bf16-autocast", operators, channels_last=False)) is believed
    assert ("factor of 1.5" in timed_note("bf16-autocast", operators, channels_last=False)) is not believed


def test_without_answers_nothing_is_changed() -> None:
    saving = saving_of(6e6, low_ns=1e6, expected_ns=2e6, high_ns=3e6, work=(LARGE,))
    failed = dict.fromkeys(asked("tf32", PRODUCTS), "?")
    for operators in (PRODUCTS, answered(PRODUCTS), answered(PRODUCTS, failed=failed)):
        assert with_times("align-dimensions", (saving,), operators, channels_last=False) == (saving,)
        assert timed_note("tf32", operators, channels_last=False) == ""
    assert timed_note("fused-optimizer", answered(PRODUCTS), channels_last=False) == ""


def test_a_product_with_an_odd_vocabulary_saves_what_the_padded_one_saved_alone() -> None:
    odd = product(8192, 1024, 50257, 16.0, calls=1.0, kernel="cutlass_align1")
    table = work("aten::embedding", "[50257,1024];[8,1024]", 0.1, kind="embedding")
    operators = make_operators(odd, table)
    now, then = asked("pad-vocabulary", operators)
    assert (now.dims[1][1], then.dims[1][1]) == (50257, 50304)
    saving = saving_of(odd.ns, low_ns=1e6, expected_ns=2e6, high_ns=15e6, work=(odd,))
    (one,) = with_times(
        "pad-vocabulary", (saving,), answered(operators, ns={now: 16e6, then: 4e6}), channels_last=False
    )
    assert (one.low_ns, one.expected_ns, one.high_ns) == pytest.approx((11.6e6, 12e6, 12.4e6))
    assert not asked("align-dimensions", operators)


def test_attention_that_is_written_out_keeps_its_share_of_the_recorded_time() -> None:
    """10 ms for two calls that took 4 ms each alone, and 1 ms each fused: a quarter is left, 2.5 ms."""
    scores = "[64,2048,2048]"
    operators = make_operators(
        work("aten::bmm", "[64,2048,128];[64,128,2048]", 4.0, kind="gemm", calls=2.0),
        work("aten::_softmax", scores, 6.0, kind="softmax", calls=2.0),
    )
    assert operators.attention is not None
    saving = fused_saving(operators.attention, H200)
    assert saving is not None
    now, then = asked("sdpa-attention", operators)
    assert (now.way, then.way) == ("written", "fused")
    timed = answered(operators, ns={now: 4e6, then: 1e6})
    (one,) = with_times("sdpa-attention", (saving,), timed, channels_last=False)
    assert one.expected_ns == pytest.approx(7.5e6)
    assert (one.ns, one.work, one.launches) == (saving.ns, saving.work, saving.launches)


def test_whether_attention_is_causal_is_what_its_time_says() -> None:
    """2 ms a call in the step: alone 1 ms causal and 2.1 ms not, so that it is not; cuDNN then takes 1.05 ms."""
    q = "[4,16,2048,128]"
    old = work(
        "aten::_scaled_dot_product_flash_attention", f"{q};{q};{q}", 8.0, kind="attention", calls=4.0,
        kernel="flash_fwd_kernel",
    )  # fmt: skip
    operators = make_operators(old)
    causal, newer_causal, full, newer_full = asked("fused-attention-backend", operators)
    assert (causal.causal, full.causal, newer_full.way) == (True, False, "cudnn")
    times = {causal: 1e6, newer_causal: 0.2e6, full: 2.1e6, newer_full: 1.05e6}
    (one,) = timed_of("fused-attention-backend", answered(operators, ns=times), channels_last=False)
    assert one.left == pytest.approx(0.5)


def test_operators_of_one_saving_come_apart_where_one_was_timed() -> None:
    q = "[4,16,2048,128]"
    forward = work(
        "aten::_scaled_dot_product_flash_attention", f"{q};{q};{q}", 2.0, kind="attention", kernel="flash_fwd_kernel"
    )
    backward = work(
        "aten::_scaled_dot_product_flash_attention_backward", f"{q};{q};{q};{q}", 6.0, kind="attention",
        kernel="flash_bwd_kernel", backward=True,
    )  # fmt: skip
    operators = make_operators(forward, backward)
    both = saving_of(8e6, low_ns=0.0, expected_ns=4e6, high_ns=6e6, work=(forward, backward))
    ns = {
        call: 2e6 if call.way == "flash" else 1.8e6
        for call in asked("fused-attention-backend", operators)
        if call.kind == "attention"
    }
    found = with_times("fused-attention-backend", (both,), answered(operators, ns=ns), channels_last=False)
    assert {one.work: one.expected_ns for one in found} == pytest.approx({(forward,): 0.2e6, (backward,): 3e6})
    assert sum(one.ns for one in found) == pytest.approx(8e6)


def test_a_convolution_that_gets_slower_in_channels_last_counts_against_the_conversions() -> None:
    """Conversions of 3 ms go, and the convolution itself takes a tenth longer."""
    backward = work(
        "aten::convolution_backward", "[8,64,56,56];[8,64,56,56];[64,64,3,3]", 10.0, kind="convolution", backward=True
    )
    operators = make_operators(backward, conversion_ns=3e6)
    now, then = asked("channels-last", operators)
    assert (now.way, then.way) == ("nchw", "nhwc")
    named = saving_of(3e6, low_ns=0.0, expected_ns=3e6, high_ns=3e6, named="nchwToNhwc")
    kept, one = with_times(
        "channels-last", (named,), answered(operators, ns={now: 10e6, then: 11e6}), channels_last=False
    )
    assert kept == named
    assert one.expected_ns == pytest.approx(-1e6)
    assert not questions(["channels-last"], operators, channels_last=True)


def test_casts_come_on_top_of_a_product_that_was_timed() -> None:
    """A tenth of 6 ms is left, and the weight is cast in each of four calls, 4096 x 1024 numbers."""
    now, fast, *_ = asked("bf16-autocast", PRODUCTS)
    plain, timed = (
        next(one for one in converted(operators, H200, "bf16") if one.work == LARGE)
        for operators in (PRODUCTS, answered(PRODUCTS, ns={now: 1.5e6, fast: 0.15e6}))
    )
    assert timed.casts == plain.casts > 0
    slow, expected, best = timed.ns
    assert (slow - expected, expected - best) == pytest.approx((0.06e6, 0.06e6))
    assert 0 < expected - 0.6e6 < 0.1e6


def test_a_bias_that_is_not_contiguous_is_timed_contiguous_and_as_it_lies() -> None:
    """A sixth of the time is left of the one, more than before of the other: the middle is expected."""
    scores = "[4,16,1024,1024]"
    add = work("aten::add", f"{scores};[16,1024,1024];[]", 0.0, kind="elementwise")
    slow = replace(add, ns=3e6)
    rest = [
        work("aten::bmm", "[64,1024,64];[64,64,1024]", 1.0, kind="gemm"),
        work("aten::_softmax", scores, 1.0, kind="softmax"),
        work("aten::sum", f"{scores};[];[];[]", 0.5, kind="reduction", backward=True),
    ]
    operators = make_operators(slow, *rest)
    assert operators.attention is not None
    total = operators.attention.ns
    saving = fused_saving(operators.attention, H200)
    assert saving is not None
    now, then, lies = asked("sdpa-attention", operators)
    assert (now.way, now.stride, then.stride, lies.way, lies.stride) == ("written", (16,), (), "fused", (16,))
    timed = answered(operators, ns={now: total, then: total / 6, lies: 1.2 * total})
    (one,) = with_times("sdpa-attention", (saving,), timed, channels_last=False)
    assert one.high_ns == pytest.approx(total * (1 - 0.9 / 6))
    assert one.expected_ns == pytest.approx(total * (1 - (1 / 6 + 1.2) / 2))
    assert one.low_ns == pytest.approx(total * (1 - 1.1 / 6 - 1.2 + 1 / 6))
    half = answered(operators, ns={now: total, then: total / 6})
    assert with_times("sdpa-attention", (saving,), half, channels_last=False) == (saving,)


def test_attention_with_scores_of_two_sizes_is_asked_as_two() -> None:
    some = [
        work(name, dims.replace("T", str(keys)), 2.0, kind=kind)
        for keys in (1024, 512)
        for name, dims, kind in (
            ("aten::bmm", "[64,1024,128];[64,128,T]", "gemm"),
            ("aten::_softmax", "[64,1024,T]", "softmax"),
        )
    ]
    calls = asked("sdpa-attention", make_operators(*some))
    assert sorted((call.dims[1][2], call.way) for call in calls) == [
        (512, "fused"), (512, "written"), (1024, "fused"), (1024, "written"),
    ]  # fmt: skip
