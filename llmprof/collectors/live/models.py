"""Which modules are being trained, and which objects run them? Looked for in the variables of the running functions."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from types import FrameType
from typing import Any

__all__ = ["find_models", "find_objects", "outermost"]

FRAMES = 64
ITEMS = 64
"""Entries of a list or dict of the script that are looked at: a GAN's models, the stages of a pipeline."""


def find_models(optimizers: Iterable[Any]) -> list[weakref.ref[Any]]:
    """Modules in these variables that hold parameters of the optimizers, as `outermost` has them; may be empty."""
    return outermost(_values(sys._getframe(1)), optimizers)


def outermost(values: Iterable[Any], optimizers: Iterable[Any]) -> list[weakref.ref[Any]]:
    """Those of `values` that are modules with parameters of these optimizers, the largest first.

    Modules inside others of them (DDP, torch.compile) are not listed beside their wrapper.
    """
    from torch.nn import Module

    wanted = {id(parameter) for one in optimizers for group in one.param_groups for parameter in group["params"]}
    shares: dict[int, tuple[int, Any]] = {}
    for module in values:
        if issubclass(type(module), Module) and id(module) not in shares:
            shares[id(module)] = (sum(id(parameter) in wanted for parameter in module.parameters()), module)
    candidates = [(share, module) for share, module in shares.values() if share]
    inner = {id(child) for _, module in candidates for child in module.modules() if child is not module}
    roots = [(share, module) for share, module in candidates if id(module) not in inner]
    return [weakref.ref(module) for share, module in sorted(roots, key=lambda entry: -entry[0])]


def find_objects(classes: Collection[str]) -> list[Any]:
    """Objects of classes with these names, or derived from them, that the running functions reach; each once."""
    found = {id(one): one for one in _values(sys._getframe(1)) if _derives(type(one), classes)}
    return list(found.values())


def _derives(kind: type, classes: Collection[str]) -> bool:
    return any(base.__name__ in classes for base in kind.__mro__)


def _values(frame: FrameType | None) -> Iterator[Any]:
    """What the running functions can reach by a name, through an attribute of their `self`, or in a list or dict."""
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
            for value in list(scope.values()):
                yield value
                if type(value) in (list, tuple):
                    yield from islice(value, ITEMS)
                elif type(value) is dict:
                    yield from islice(list(value.values()), ITEMS)
        frame = frame.f_back
