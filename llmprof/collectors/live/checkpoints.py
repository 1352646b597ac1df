"""Which functions save a checkpoint, and how are those of a module found that is not imported yet?

What accelerate, transformers, Lightning and DeepSpeed save goes through one of these in the end. A module is hooked
when it has been executed, before anybody can have taken a function out of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["SAVERS", "ImportWatch", "places_of"]

SAVERS: dict[str, tuple[str, ...]] = {
    "torch.distributed.checkpoint.state_dict_saver": ("save", "async_save", "save_state_dict"),
    # serialize_file is what save_file calls: a script may have taken that one out before torch was imported.
    "safetensors.torch": ("save_file", "save_model", "serialize_file"),
}
"""Functions that save, by the module that defines them; torch.save is there from the start."""


def places_of(module: ModuleType, name: str) -> list[tuple[Any, str]]:
    """The module, and the package that hands the same function on; empty when there is no such function."""
    function = getattr(module, name, None)
    package = sys.modules.get(module.__name__.rpartition(".")[0])
    owners = [module, package] if package is not None else [module]
    return [(owner, name) for owner in owners if function is not None and getattr(owner, name, None) is function]


class ImportWatch:
    """Calls `then(module)` once for each of these modules: now, or as soon as it has been imported."""

    def __init__(self, names: Sequence[str], then: Callable[[ModuleType], None]) -> None:
        self._then = then
        self._awaited = set(names)
        for name in names:
            module = sys.modules.get(name)
            if module is not None:
                self._arrived(module)
        if self._awaited:
            sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Wait no longer."""
        self._awaited.clear()
        with suppress(ValueError):
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """An awaited module as the other finders find it, with a loader that tells when it is done; else None."""
        if name not in self._awaited:
            return None
        for finder in list(sys.meta_path):
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(name, path, target) if find else None
            if spec is not None:
                with suppress(AttributeError):  # no loader that executes, or one with slots: not hooked
                    self._watch(spec.loader)
                return spec
        return None

    def _watch(self, loader: Any) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self._arrived(module)

        loader.exec_module = exec_module

    def _arrived(self, module: ModuleType) -> None:
        if module.__name__ in self._awaited:
            self._awaited.remove(module.__name__)
            with suppress(Exception):
                self._then(module)
