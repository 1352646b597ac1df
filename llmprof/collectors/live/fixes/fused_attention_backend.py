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
    """Ignore that the script switches fused kernels off, for good or with `sdpa_kernel`, and lay masks out for them.

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
    attempt.wrap(torch.nn.functional, "scaled_dot_product_attention", lambda original: _contiguous(attempt, original))


def _kept_on(attempt: Attempt, original: Callable[..., Any], name: str) -> Callable[..., Any]:
    def enable(enabled: bool) -> Any:
        if attempt.armed and not enabled:
            attempt.applied(f"enable_{name}_sdp(False) left out")
            return original(True)
        return original(enabled)

    return enable


def _contiguous(attempt: Attempt, original: Callable[..., Any]) -> Callable[..., Any]:
    """Attention with a mask that is contiguous in its last dimension: on GPUs no fused kernel takes another one."""
    import torch

    def attend(query: Any, key: Any, value: Any, attn_mask: Any = None, *args: Any, **kwargs: Any) -> Any:
        if attempt.armed and attn_mask is not None and not torch.compiler.is_compiling():
            laid_out = attempt.guard(_laid_out, attempt, attn_mask)
            attn_mask = attn_mask if laid_out is None else laid_out
        return original(query, key, value, attn_mask, *args, **kwargs)

    return attend


def _laid_out(attempt: Attempt, mask: Any) -> Any:
    """The same numbers; what is repeated along a dimension stays a single one in memory."""
    if mask.stride(-1) == 1 or mask.shape[-1] == 1:
        return mask
    single = mask
    for place, stride in enumerate(mask.stride()):
        single = single.narrow(place, 0, 1) if stride == 0 else single
    attempt.applied("masks of attention made contiguous")
    return single.contiguous().expand(mask.shape)
