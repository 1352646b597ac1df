"""The fix bf16-autocast: the model's forward runs under autocast to bf16."""

from __future__ import annotations

import functools
from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.moments import each_model

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = True
VALUE = ""


def apply(attempt: Attempt) -> None:
    """Wrap the forward of every trained model after its first step; what it returns is in fp32 again."""
    import torch

    def wrap(model: Any) -> None:
        parameter = next(model.parameters())
        if parameter.dtype is not torch.float32:
            attempt.refuse(f"{type(model).__name__} has parameters in {str(parameter.dtype).removeprefix('torch.')}")
            return
        kind, forward = parameter.device.type, model.forward

        @functools.wraps(forward)
        def lower(*args: Any, **kwargs: Any) -> Any:
            if attempt.armed and torch.is_autocast_enabled(kind):
                attempt.refuse(f"the forward of {type(model).__name__} runs under autocast already")
            if not attempt.armed or torch.is_autocast_enabled(kind):
                return forward(*args, **kwargs)
            attempt.applied(f"forward of {type(model).__name__} under autocast to bf16")
            with torch.autocast(kind, dtype=torch.bfloat16):
                result = forward(*args, **kwargs)
            return _in_fp32(result, torch)

        model.forward = lower
        attempt.on_undo(lambda: setattr(model, "forward", forward))

    each_model(attempt, wrap)


def _in_fp32(value: Any, torch: Any) -> Any:
    """The script's loss is computed as it was: on fp32. Dicts that are classes of their own keep their class."""
    if isinstance(value, torch.Tensor):
        return value.float() if value.dtype is torch.bfloat16 else value
    if type(value) in (list, tuple):
        return type(value)(_in_fp32(one, torch) for one in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):  # a named one
        return type(value)(*(_in_fp32(one, torch) for one in value))
    if isinstance(value, dict):
        for key in list(value):
            value[key] = _in_fp32(value[key], torch)
    return value
