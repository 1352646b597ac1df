"""How is something read that may not be there? One probe at a time; what fails is None, with its reason."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

__all__ = ["Probes", "alive", "attempt", "dtype_name", "held", "inner_modules"]

T = TypeVar("T")

REASON_CHARACTERS = 200
WRAPPER_DEPTH = 16


class Probes:
    """Reads settings one by one; `unread` says of each that failed why."""

    def __init__(self) -> None:
        self.unread: dict[str, str] = {}

    def read(self, name: str, probe: Callable[[], T]) -> T | None:
        """What `probe` returns; None when it raises."""
        try:
            return probe()
        except Exception as error:
            self.unread[name] = f"{type(error).__name__}: {error}"[:REASON_CHARACTERS].split("\n")[0]
            return None

    def read_all(self, prefix: str, probes: dict[str, Callable[[], Any]]) -> dict[str, Any]:
        """Each probe on its own, under its name; in `unread` as `prefix.name`."""
        return {name: self.read(f"{prefix}.{name}" if prefix else name, probe) for name, probe in probes.items()}


def attempt(probe: Callable[[], T]) -> T | None:
    """What `probe` returns; None when it raises, for a thing that another probe or the next look tells as well."""
    try:
        return probe()
    except Exception:
        return None


def dtype_name(dtype: Any) -> str | None:
    """`bfloat16` for torch.bfloat16; None for None."""
    return None if dtype is None else str(dtype).removeprefix("torch.")


def held(tensor: Any) -> Any:
    """What this rank has of a tensor: of a distributed one its own shard."""
    return getattr(tensor, "_local_tensor", tensor)


def alive(objects: Iterable[Any]) -> list[Any]:
    """The objects themselves, of weak references those that still live; in their order, each once."""
    found = (entry() if isinstance(entry, weakref.ReferenceType) else entry for entry in list(objects))
    return list({id(entry): entry for entry in found if entry is not None}.values())


def inner_modules(model: Any) -> Iterator[Any]:
    """The model, then what it wraps (DDP, FSDP, torch.compile, DeepSpeed), the innermost last."""
    for _ in range(WRAPPER_DEPTH):
        yield model
        children = getattr(model, "_modules", {})
        name = next((name for name in ("_orig_mod", "_fsdp_wrapped_module", "module") if name in children), None)
        if name is None or (name == "module" and len(children) > 1):
            return
        model = children[name]
