"""The fix cuda-graphs: forward and backward are replayed as CUDA graphs (torch.compile, mode reduce-overhead)."""

from __future__ import annotations

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.compiling import compile_models

__all__ = ["NEEDS_GPU", "NUMERICS", "VALUE", "apply"]

NUMERICS = True
VALUE = ""
NEEDS_GPU = True


def apply(attempt: Attempt) -> None:
    """Compile every trained model with mode reduce-overhead; there has to be a GPU."""
    import torch

    if not torch.cuda.is_available():
        attempt.refuse("there is no GPU here that could replay a graph")
        return
    compile_models(attempt, mode="reduce-overhead")
    compiled = attempt.proof

    def proof() -> tuple[bool, str]:
        from torch._dynamo.utils import counters

        done, told = compiled() if compiled is not None else (True, "")
        skipped = counters["inductor"].get("cudagraph_skips", 0)
        return done, f"{told}, {skipped} of them without CUDA graphs" if skipped else told

    attempt.proof = proof
