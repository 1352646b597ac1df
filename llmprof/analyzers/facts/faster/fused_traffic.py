"""How much of its memory traffic does SGD keep when it is fused? Told from the operations that it makes.

A parameter, a gradient and a momentum in fp32 are 4 bytes each, read or written by each operation (PyTorch source,
torch/optim/sgd.py): p -= lr g moves 12 bytes, adding the weight decay 12 more, the momentum 8 for its decay and 12 for
the gradient. One fused pass moves 12, or 20 with a momentum. So SGD without either has one pass already.
"""

from __future__ import annotations

from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts

__all__ = ["fused_traffic"]

_LEFT = {
    frozenset({"add_"}): 12 / 12,
    frozenset({"add", "add_"}): 12 / 24,
    frozenset({"mul_", "add_"}): 20 / 32,
    frozenset({"add", "mul_", "add_"}): 20 / 44,
}
"""By the operations that are made: plain, with weight decay, with momentum, with both (or with Nesterov's momentum)."""


def fused_traffic(operators: OperatorFacts | None) -> float | None:
    """The bytes of a fused pass over those that are moved now; None for other optimizers, or where nothing tells."""
    if operators is None:
        return None
    names = {one.operator.removeprefix("aten::") for one in operators.work if one.kind == "optimizer"}
    return _LEFT.get(frozenset(name.removeprefix("_foreach_") for name in names))
