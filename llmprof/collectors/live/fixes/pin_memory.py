"""The fix pin-memory: batches lie in pinned memory and are copied to the device without waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.loaders import adjust_loaders

__all__ = ["NEEDS_GPU", "NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = ""
NEEDS_GPU = True


def apply(attempt: Attempt) -> None:
    """Set pin_memory of every loader, and non_blocking of copies of pinned tensors to the device."""
    import torch

    def change(arguments: dict[str, Any]) -> str | None:
        if not torch.cuda.is_available():
            attempt.refuse("there is no GPU here that pinned memory could serve")
            return None
        if arguments["pin_memory"]:
            attempt.refuse("a loader pins its batches already")
            return None
        arguments["pin_memory"] = True
        return "pin_memory False -> True"

    adjust_loaders(attempt, change)
    for name in ("to", "cuda"):
        attempt.wrap(torch.Tensor, name, lambda original: _without_waiting(attempt, original))


def _without_waiting(attempt: Attempt, original: Callable[..., Any]) -> Callable[..., Any]:
    def pinned(tensor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether the copy reads pinned memory, and the script leaves open whether it waits for it."""
        said = "non_blocking" in kwargs or any(isinstance(value, bool) for value in args)
        return not said and tensor.device.type == "cpu" and tensor.is_pinned()

    def copy(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        if attempt.guard(pinned, tensor, args, kwargs):
            attempt.applied("copies of pinned tensors with non_blocking=True")
            return original(tensor, *args, non_blocking=True, **kwargs)
        return original(tensor, *args, **kwargs)

    return copy
