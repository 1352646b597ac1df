"""Which fixes can be replayed? All transform modules of this package, by the ids that they declare."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from llmprof.analyzers.replay import transforms
from llmprof.analyzers.replay.transforms.base import Apply

__all__ = ["transforms_by_fix"]

_NOT_TRANSFORMS = {"base", "registry"}


@cache
def transforms_by_fix() -> Mapping[str, Apply]:
    """Fix id to its `apply`; a transform module holds `FIXES = (ids...)` and `def apply(...)`."""
    found: dict[str, Apply] = {}
    for module in pkgutil.iter_modules(transforms.__path__):
        if module.name in _NOT_TRANSFORMS:
            continue
        loaded = importlib.import_module(f"{transforms.__name__}.{module.name}")
        for fix in loaded.FIXES:
            if fix in found:
                raise ValueError(f"two transforms claim the fix {fix}")
            found[fix] = loaded.apply
    return found
