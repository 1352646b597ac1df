"""What is trained? Classes, parameters by dtype, and signs of activation checkpointing and memory format."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

from llmprof.collectors.live.configuration.probing import attempt, dtype_name, held, inner_modules

__all__ = ["bytes_by_dtype", "model_settings"]

MOST_FREQUENT = 24
CHECKPOINT_CLASSES = frozenset({"CheckpointWrapper", "OffloadWrapper", "CheckpointFunction"})


def model_settings(model: Any, *, recompute_seen: bool) -> dict[str, Any]:
    """Fields of ModelSettings; of sharded parameters only what this rank holds is counted."""
    *wrappers, inner = inner_modules(model)
    modules = list(inner.modules())
    parameters = list({id(parameter): parameter for parameter in inner.parameters()}.values())
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    frozen = [parameter for parameter in parameters if not parameter.requires_grad]
    convolutions = _convolutions(modules)
    return {
        "name": _class_name(inner),
        "wrappers": [type(wrapper).__name__ for wrapper in wrappers],
        "modules": dict(Counter(map(_class_name, modules)).most_common(MOST_FREQUENT)),
        "module_count": len(modules),
        "trainable_bytes": bytes_by_dtype(trainable),
        "frozen_bytes": bytes_by_dtype(frozen),
        "buffer_bytes": bytes_by_dtype(inner.buffers()),
        "trainable_count": sum(held(parameter).numel() for parameter in trainable),
        "frozen_count": sum(held(parameter).numel() for parameter in frozen),
        "checkpointing": _checkpointing(modules, recompute_seen),
        "convolutions": len(convolutions),
        "channels_last": attempt(lambda: _channels_last(convolutions)),
    }


def _class_name(model: Any) -> str:
    """The script's own class: fully_shard makes one on top of it, whose name begins with FSDP."""
    name = type(model).__name__
    return name.removeprefix("FSDP") if hasattr(type(model), "_get_fsdp_state") else name


def bytes_by_dtype(tensors: Iterable[Any]) -> dict[str, int]:
    """Bytes that this rank holds, by dtype; of a DTensor its own shard."""
    total: dict[str, int] = {}
    for tensor in tensors:
        own = held(tensor)
        name = str(dtype_name(own.dtype))
        total[name] = total.get(name, 0) + own.numel() * own.element_size()
    return total


def _checkpointing(modules: list[Any], recompute_seen: bool) -> list[str]:
    classes = Counter(type(module).__name__ for module in modules)
    signs = [f"{name} x {classes[name]}" for name in sorted(CHECKPOINT_CLASSES & set(classes))]
    # Hugging Face sets the flag on the submodules that obey it; a config that only allows it has it elsewhere.
    flagged = sum(vars(module).get("gradient_checkpointing") is True for module in modules)
    if flagged:
        signs.append(f"gradient_checkpointing flag x {flagged}")
    contract = sys.modules.get("torch.distributed._composable.contract")
    composed = attempt(lambda: sum(_is_composed(module, contract) for module in modules)) if contract else None
    if composed:
        signs.append(f"composable checkpoint x {composed}")
    if recompute_seen:
        signs.append("recompute seen")
    return signs


def _is_composed(module: Any, contract: Any) -> bool:
    """Whether torch.distributed's composable `checkpoint` was applied: it notes itself in a registry of the module."""
    return "checkpoint" in getattr(module, contract.REGISTRY_KEY, ())


def _convolutions(modules: list[Any]) -> list[Any]:
    weights = (getattr(module, "weight", None) for module in modules if type(module).__name__ in ("Conv2d", "Conv3d"))
    return [held(weight) for weight in weights if weight is not None]


def _channels_last(weights: list[Any]) -> bool | None:
    """Of the weights in which the order shows: with a 1x1 kernel or one channel both are the same."""
    import torch

    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    telling = [weight for weight in weights if weight.dim() in formats and _order_shows(weight)]
    return all(weight.is_contiguous(memory_format=formats[weight.dim()]) for weight in telling) if telling else None


def _order_shows(weight: Any) -> bool:
    return bool(weight.shape[1] > 1 and any(size > 1 for size in weight.shape[2:]))
