"""The fix torch-compile: the model is compiled, which makes fewer, fused kernels."""

from __future__ import annotations

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.compiling import compile_models

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = True
VALUE = ""


def apply(attempt: Attempt) -> None:
    """Compile every trained model."""
    compile_models(attempt)
