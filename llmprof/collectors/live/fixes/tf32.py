"""The fix tf32: fp32 matrix products run on TF32 tensor cores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.moments import at_first_step

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = True
VALUE = ""


def apply(attempt: Attempt) -> None:
    """Allow TF32 from the start, and once more before the first update, when the script has had its say."""
    import torch

    before = torch.get_float32_matmul_precision()
    if before != "highest":
        attempt.refuse("the precision of fp32 matrix products is lowered already")
        return
    set_precision: Callable[[str], None] = torch.set_float32_matmul_precision
    set_precision("high")
    attempt.on_undo(lambda: set_precision(before))

    def again(optimizer: Any) -> None:
        set_precision("high")
        attempt.applied('torch.set_float32_matmul_precision("high")')

    at_first_step(attempt, again)
    attempt.proof = lambda: (
        torch.get_float32_matmul_precision() != "highest",
        f"precision of fp32 matrix products: {torch.get_float32_matmul_precision()}",
    )
