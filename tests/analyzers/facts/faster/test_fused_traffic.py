"""Is the traffic that fusing leaves of SGD counted by its operations, and of no other optimizer?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.faster.fused_traffic import fused_traffic
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators.operators import OperatorWork


def updated_by(*operators: str) -> OperatorFacts:
    """Operators of an optimizer, beside a product."""
    some = [OperatorWork(operator=f"aten::{name}", kind="optimizer", ns=1e6, calls=1, kernels=60) for name in operators]
    return OperatorFacts(work=(OperatorWork(operator="aten::mm", kind="gemm", ns=1e6, calls=1, kernels=1), *some))


@pytest.mark.parametrize("prefix", ["", "_foreach_"])
@pytest.mark.parametrize(
    ("operations", "left"),
    [(["add_"], 1.0), (["add", "add_"], 0.5), (["mul_", "add_"], 20 / 32), (["add", "mul_", "add_"], 20 / 44)],
)
def test_sgd_moves_what_its_operations_move(prefix: str, operations: list[str], left: float) -> None:
    """12 bytes plain, 24 with weight decay, 32 with momentum, 44 with both; in one pass 12, with momentum 20."""
    assert fused_traffic(updated_by(*(f"{prefix}{name}" for name in operations))) == pytest.approx(left)


def test_of_other_optimizers_and_without_operators_it_is_not_known() -> None:
    adam = ["mul_", "lerp_", "mul_", "addcmul_", "sqrt", "div_", "add_", "addcdiv_"]
    assert fused_traffic(updated_by(*(f"_foreach_{name}" for name in adam))) is None
    assert fused_traffic(updated_by()) is None
    assert fused_traffic(None) is None
