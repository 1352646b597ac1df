"""How were the DataLoaders built?"""

from __future__ import annotations

import sys
from typing import Any

from llmprof.collectors.live.configuration.probing import attempt
from llmprof.collectors.live.loading import why_not_measured

__all__ = ["loader_settings"]


def loader_settings(loader: Any) -> dict[str, Any]:
    """The settings of a DataLoader, or of its iterator: `for batch in DataLoader(...)` keeps nothing but that alive."""

    def read(name: str) -> Any:
        return getattr(loader, name, getattr(loader, f"_{name}", None))

    def kind_of(name: str) -> str | None:
        value = read(name)
        return None if value is None else type(value).__name__

    batches = read("batch_sampler") or read("index_sampler")
    samples = getattr(batches, "sampler", None) or read("sampler") or batches
    return {
        "loader": type(loader).__name__,
        "num_workers": read("num_workers"),
        "batch_size": read("batch_size") or getattr(batches, "batch_size", None),
        "drop_last": read("drop_last"),
        "pin_memory": read("pin_memory"),
        "prefetch_factor": read("prefetch_factor"),
        "persistent_workers": read("persistent_workers"),
        "in_order": read("in_order"),
        "timeout_s": _seconds(read("timeout")),
        "multiprocessing_context": _start_method(read("multiprocessing_context")) if read("num_workers") else None,
        "dataset": kind_of("dataset"),
        "dataset_kind": {0: "map", 1: "iterable"}.get(read("dataset_kind")),
        "sampler": None if samples is None else type(samples).__name__,
        "batch_sampler": None if batches is None or batches is samples else type(batches).__name__,
        "collate_fn": None if read("collate_fn") is None else _name(read("collate_fn")),
        "loads_not_measured": attempt(lambda: why_not_measured(loader)),
    }


def _start_method(context: Any) -> str | None:
    """How workers are started; without a context of the loader's own, by the method that is set in the process."""
    if context is None:
        context = sys.modules["multiprocessing"]
        return attempt(lambda: context.get_start_method(allow_none=True))
    return attempt(lambda: str(context.get_start_method()))


def _seconds(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) else None


def _name(function: Any) -> str:
    """The user's function: an iterator may hold what stands for it."""
    function = getattr(function, "function", function)
    return str(getattr(function, "__qualname__", type(function).__name__))
