"""Which fixes can be replayed? All transform modules of this package, by the ids that they declare."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import ModuleType

from llmprof.analyzers.replay import transforms
from llmprof.analyzers.replay.transforms.base import Apply, Subject

__all__ = ["chance_ns", "transforms_by_fix"]

_NOT_TRANSFORMS = {"base", "registry"}


@cache
def transforms_by_fix() -> Mapping[str, Apply]:
    """Fix id to its `apply`; a transform module holds `FIXES = (ids...)` and `def apply(...)`."""
    return {fix: module.apply for fix, module in _modules().items()}


def chance_ns(fix: str, subject: Subject) -> float:
    """The standard error, ns per step, of what the few recorded steps tell of that which a fix takes away.

    A transform module says so in a `def chance_ns(...)` of its own, where that differs from step to step; else it is 0.
    """
    module = _modules()[fix]
    return float(module.chance_ns(fix, subject)) if hasattr(module, "chance_ns") else 0.0


@cache
def _modules() -> Mapping[str, ModuleType]:
    found: dict[str, ModuleType] = {}
    for module in pkgutil.iter_modules(transforms.__path__):
        if module.name in _NOT_TRANSFORMS:
            continue
        loaded = importlib.import_module(f"{transforms.__name__}.{module.name}")
        for fix in loaded.FIXES:
            if fix in found:
                raise ValueError(f"two transforms claim the fix {fix}")
            found[fix] = loaded
    return found
