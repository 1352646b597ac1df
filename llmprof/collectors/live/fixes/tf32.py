"""The fix tf32: fp32 matrix products run on TF32 tensor cores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.moments import at_first_step

__all__ = ["NEEDS_GPU", "NUMERICS", "VALUE", "apply"]

NUMERICS = True
VALUE = ""
NEEDS_GPU = True


def apply(attempt: Attempt) -> None:
    """Allow TF32 from the start, and once more before the first update, when the script has had its say."""
    import torch

    why = _why_not(torch)
    if why:
        attempt.refuse(why)
        return
    before = torch.get_float32_matmul_precision()
    if before != "highest":
        attempt.refuse("the precision of fp32 matrix products is lowered already")
        return
    set_precision: Callable[[str], None] = torch.set_float32_matmul_precision
    set_precision("high")
    attempt.on_undo(lambda: set_precision(before))

    def again(optimizer: Any) -> None:
        if _on_cpu(optimizer):
            attempt.refuse("the model is trained on the CPU, and TF32 is a format of GPUs")
            return
        set_precision("high")
        attempt.applied('torch.set_float32_matmul_precision("high")')

    at_first_step(attempt, again)
    attempt.proof = lambda: (
        torch.get_float32_matmul_precision() != "highest",
        f"precision of fp32 matrix products: {torch.get_float32_matmul_precision()}",
    )


def _on_cpu(optimizer: Any) -> bool:
    return all(one.device.type == "cpu" for group in optimizer.param_groups for one in group["params"])


def _why_not(torch: Any) -> str:
    """Why no matrix product here could run in TF32; empty when one could."""
    if not torch.cuda.is_available():
        return "there is no GPU here, and TF32 is a format of GPUs"
    if torch.version.hip is None and torch.cuda.get_device_capability() < (8, 0):
        return f"{torch.cuda.get_device_name()} has no TF32, which came with compute capability 8.0"
    return ""
