"""Which modules are being trained? Looked for once, in the variables of the functions that are running."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

__all__ = ["find_models"]

FRAMES = 64


def find_models(optimizers: Iterable[Any]) -> list[weakref.ref[Any]]:
    """Root modules that hold parameters of these optimizers, the largest first; best effort, may be empty.

    Modules wrapped by others (DDP, torch.compile) are not listed beside their wrapper.
    """
    wanted = {id(parameter) for one in optimizers for group in one.param_groups for parameter in group["params"]}
    shares: dict[int, tuple[int, Any]] = {}
    for module in _modules(sys._getframe(1)):
        if id(module) not in shares:
            shares[id(module)] = (sum(id(parameter) in wanted for parameter in module.parameters()), module)
    candidates = [(share, module) for share, module in shares.values() if share]
    inner = {id(child) for _, module in candidates for child in module.modules() if child is not module}
    roots = [(share, module) for share, module in candidates if id(module) not in inner]
    return [weakref.ref(module) for share, module in sorted(roots, key=lambda entry: -entry[0])]


def _modules(frame: FrameType | None) -> Iterator[Any]:
    """Modules that the running functions can reach by a name, or through an attribute of their `self`."""
    from torch.nn import Module

    seen: set[int] = set()
    for _ in range(FRAMES):
        if frame is None:
            return
        scopes = [frame.f_locals]
        owner = frame.f_locals.get("self")
        if owner is not None and isinstance(getattr(owner, "__dict__", None), dict):
            scopes.append(owner.__dict__)
        if id(frame.f_globals) not in seen:
            seen.add(id(frame.f_globals))
            scopes.append(frame.f_globals)
        for scope in scopes:
            yield from [value for value in list(scope.values()) if issubclass(type(value), Module)]
        frame = frame.f_back
