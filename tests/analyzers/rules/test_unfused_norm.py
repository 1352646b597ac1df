"""Are norms that are written out named, with a fused one's passes as its time?"""

from __future__ import annotations

from pathlib import Path

import pytest

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.operator_facts import operator_facts
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.analyzers.rules.unfused_norm import evaluate
from tests.analyzers.rules.facts_builder import assert_consistent, fix, status
from tests.analyzers.rules.operators_builder import make_operators, product, with_operators, work
from tests.scenarios.launched import launched

X, R = "[16,1024,4096]", "[16,1024,1]"
ELEMENTS = 16 * 1024 * 4096


def facts(scale: float = 1.0) -> Facts:
    """Fifty norms forward, in fp32: square 4 ms, mean 2 ms, scaling 4 ms, and as many products with the weight."""
    given = {"calls": 50, "number_format": "fp32"}
    return with_operators(
        work("aten::pow", X, 4.0 * scale, kind="elementwise", **given),
        work("aten::mean", X, 2.0 * scale, kind="reduction", **given),
        work("aten::rsqrt", R, 0.1, kind="elementwise", **given),
        work("aten::mul", f"{X};{R}", 4.0 * scale, kind="elementwise", **given),
        work("aten::mul", f"[4096];{X}", 4.0 * scale, kind="elementwise", **given),
    )


def test_gain_is_the_time_over_one_reading_and_one_writing() -> None:
    advice = fix(evaluate(facts()), "fused-norm")
    fused = 50 * 2 * 4 * ELEMENTS / (0.8 * 4.8e12) * 1e3
    assert fused == pytest.approx(6.99, abs=0.01)
    assert advice.gain.expected_ms == pytest.approx(14.0 - fused)
    assert advice.gain.low_ms == pytest.approx(0.75 * (14.0 - fused))
    assert_consistent(advice, facts())


@pytest.mark.parametrize(("scale", "expected"), [(0.64, "passed"), (0.65, "fired")])
def test_threshold(scale: float, expected: str) -> None:
    """2 ms of 100 ms over the 6.99 ms of fused norms."""
    assert status(evaluate(facts(scale))) == expected


def test_a_step_without_such_norms_is_no_question() -> None:
    assert status(evaluate(with_operators(product(16384, 4096, 4096, 10.0)))) == "not_applicable"


def test_real_operators_of_a_written_norm_and_of_a_fused_one(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the steps are recorded with PyTorch")
    x = torch.randn(2, 8, 64, requires_grad=True)
    weight = torch.ones(64, requires_grad=True)

    def written() -> None:
        for _ in range(3):
            (weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))).sum().backward()

    rank = launched(written, tmp_path, lambda operator, shapes: 10.0)
    found = operator_facts(rank, windows_of(rank))
    assert found is not None and found.norm is not None
    assert (found.norm.calls, found.norm.width, found.norm.backward) == (3, 64, True)
    assert (found.norm.forward_bytes, found.norm.backward_bytes) == (3 * 4 * 2 * 8 * 64, 3 * 4 * 2 * 8 * 64)
    theirs = {one.key for one in (*found.norm.work, *(one for one, share in found.norm.shared if share == 1.0))}
    others = [one for one in found.work if "[2,8,64]" in (one.shapes or "") and one.key not in theirs]
    assert {one.operator for one in others} == {"aten::add_"}  # into the gradient of x
    rank = launched(lambda: torch.nn.functional.layer_norm(x, (64,)).sum().backward(), tmp_path, lambda o, s: 10.0)
    found = operator_facts(rank, windows_of(rank))
    assert found is not None and found.norm is None


def test_of_products_that_look_alike_those_of_norms_are_counted_by_the_rules_of_differentiation(tmp_path: Path) -> None:
    """A gate beside the norm takes two of five products of whole tensors in backward, and the sum of its gradients."""
    torch = pytest.importorskip("torch", reason="the steps are recorded with PyTorch")
    x = torch.randn(2, 8, 64, requires_grad=True)
    gate = torch.randn(2, 8, 64, requires_grad=True)
    weight = torch.ones(64, requires_grad=True)

    def gated() -> None:
        for _ in range(3):
            (weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)) * gate).sum().backward()

    rank = launched(gated, tmp_path, lambda operator, shapes: 10.0)
    found = operator_facts(rank, windows_of(rank))
    assert found is not None and found.norm is not None
    shares = {one.shapes: share for one, share in found.norm.shared if one.operator == "aten::mul" and one.backward}
    assert shares["[2,8,64];[2,8,64]|float;float"] == pytest.approx(3 / 5)


def test_casts_count_where_inputs_are_cast_before_the_norm() -> None:
    """Norms in fp32 of a stream in bf16 read and write bf16; casts for products after norms in fp32 are not theirs."""
    given = {"calls": 50, "number_format": "fp32"}
    pair = f"{X};{X}"
    norms = (
        work("aten::rsqrt", R, 0.1, kind="elementwise", **given),
        work("aten::mul", f"{X};{R}", 4.0, kind="elementwise", **given),
    )
    down = work("aten::copy_", pair, 3.0, kind="copy", types="c10::BFloat16;float", calls=100)
    up = work("aten::copy_", pair, 3.0, kind="copy", types="float;c10::BFloat16", calls=50)
    alone, cast = make_operators(*norms, down).norm, make_operators(*norms, down, up).norm
    assert alone is not None and cast is not None
    assert (alone.shared, alone.forward_bytes) == ((), 50 * 4 * ELEMENTS)
    assert dict(cast.shared) == {down: 0.5, up: 1.0}
    assert (cast.forward_bytes, cast.ns) == (50 * 2 * ELEMENTS, pytest.approx(4.0e6 + 0.5 * 3.0e6 + 3.0e6))
