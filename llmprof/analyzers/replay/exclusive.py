"""Of which fixes can only one be done?"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["alternatives", "excluding"]

_ALTERNATIVES = (
    {"fused-optimizer", "foreach-optimizer"},
    {"cuda-graphs", "torch-compile"},
    {"bf16-autocast", "tf32", "fp8"},
    {"drop-recompute", "selective-recompute"},
    {"compress-gradients", "reduce-in-bf16"},
    {"repair-straggler", "balance-batches"},
)
"""Of each of these only one can be done."""


def alternatives(fix: str) -> set[str]:
    """The fixes that exclude `fix`, itself included."""
    return next((some for some in _ALTERNATIVES if fix in some), {fix})


def excluding(fixes: Sequence[str]) -> tuple[str, str] | None:
    """The first two of these fixes of which only one can be done; None when all go together."""
    pairs = ((one, other) for place, one in enumerate(fixes) for other in fixes[place + 1 :])
    return next(((one, other) for one, other in pairs if one != other and other in alternatives(one)), None)
