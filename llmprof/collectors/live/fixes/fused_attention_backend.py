"""The fix fused-attention-backend: scaled_dot_product_attention may use every fused kernel again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = ""
_BACKENDS = ("flash", "mem_efficient", "cudnn")


def apply(attempt: Attempt) -> None:
    """Ignore that the script switches fused kernels off, for good or with `sdpa_kernel`.

    The math kernel stays allowed: where no fused one takes the inputs, attention has to go on.
    """
    import torch

    backends: Any = torch.backends.cuda
    for name in _BACKENDS:
        if hasattr(backends, f"enable_{name}_sdp"):
            attempt.wrap(backends, f"enable_{name}_sdp", lambda original, name=name: _kept_on(attempt, original, name))  # type: ignore[misc]
    import torch.nn.attention as attention

    def change(arguments: dict[str, Any]) -> str | None:
        asked = arguments["backends"]
        asked = list(asked) if isinstance(asked, list | tuple) else [asked]
        names = ("FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION")
        fused = [getattr(attention.SDPBackend, name) for name in names if hasattr(attention.SDPBackend, name)]
        missing = [backend for backend in fused if backend not in asked]
        if not missing:
            return None
        arguments["backends"] = [*missing, *asked]
        return "sdpa_kernel(...) with the fused kernels too"

    attempt.adjust(attention, "sdpa_kernel", change)


def _kept_on(attempt: Attempt, original: Callable[..., Any], name: str) -> Callable[..., Any]:
    def enable(enabled: bool) -> Any:
        if attempt.armed and not enabled:
            attempt.applied(f"enable_{name}_sdp(False) left out")
            return original(True)
        return original(enabled)

    return enable
