"""What are the optimizers, and which implementation of their step runs?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from llmprof.collectors.live.configuration.probing import attempt, dtype_name, held

__all__ = ["optimizer_settings", "trained_parameters"]

FEW_BITS = re.compile(r"(?<!\d)([48])[-_]?bit", re.IGNORECASE)
FUSED = re.compile(r"^(Fused|DeepSpeedCPU)|Fused(?=[A-Z])")
"""Names of classes whose only implementation is a fused one (apex, DeepSpeed, Transformer Engine)."""


def trained_parameters(optimizers: Iterable[Any]) -> list[Any]:
    """The parameters of these optimizers, each once."""
    unique = {id(p): p for o in optimizers for group in getattr(o, "param_groups", ()) for p in group["params"]}
    return list(unique.values())


def optimizer_settings(optimizer: Any) -> dict[str, Any]:
    """`fused` and `foreach` are what step() does: an optimizer that was told nothing picks foreach by its tensors."""
    parameters = trained_parameters([optimizer])
    kind = type(optimizer)
    defaults = {**getattr(optimizer, "defaults", {}), **_common(optimizer)}
    fused, foreach = defaults.get("fused"), defaults.get("foreach")
    if "foreach" in defaults and foreach is None:
        foreach = False if fused else attempt(lambda: _picks_foreach(parameters))
    bits = FEW_BITS.search(kind.__name__)
    return {
        "name": kind.__name__,
        "fused": bool(fused) if "fused" in defaults else (True if FUSED.search(kind.__name__) else None),
        "foreach": foreach,
        "capturable": defaults.get("capturable"),
        "parameter_tensors": len(parameters),
        "parameter_count": sum(parameter.numel() for parameter in parameters),
        "package": kind.__module__.partition(".")[0],
        "groups": len(getattr(optimizer, "param_groups", ())),
        "state_bits": int(bits[1]) if bits else attempt(lambda: _bits_of(optimizer)),
        "state_bytes": attempt(lambda: _state_bytes(optimizer)) or {},
    }


def _common(optimizer: Any) -> dict[str, Any]:
    """What all groups agree on: a group, a load_state_dict or a script may have changed it since it was built."""
    groups = getattr(optimizer, "param_groups", ())
    names = ("fused", "foreach", "capturable")
    return {
        name: groups[0][name]
        for name in names
        if groups and all(name in group and group[name] == groups[0].get(name) for group in groups)
    }


def _picks_foreach(parameters: list[Any]) -> bool:
    choose: Any = import_module("torch.optim.optimizer")._default_to_fused_or_foreach
    return bool(choose(parameters, differentiable=False, use_fused=False)[1])


def _bits_of(optimizer: Any) -> int | None:
    """Of bitsandbytes' optimizers, which say in their arguments how many bits a state has."""
    bits = getattr(getattr(optimizer, "args", None), "optim_bits", None)
    return bits if bits in (4, 8) else None


def _state_bytes(optimizer: Any) -> dict[str, int]:
    total: dict[str, int] = {}
    for state in list(optimizer.state.values()):
        for value in list(state.values()) if isinstance(state, dict) else ():
            own = held(value)
            if hasattr(own, "element_size") and own.numel() > 1:  # one element: a step counter
                name = str(dtype_name(own.dtype))
                total[name] = total.get(name, 0) + own.numel() * own.element_size()
    return total
