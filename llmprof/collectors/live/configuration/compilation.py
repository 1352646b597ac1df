"""What was torch.compile asked for, and what did it make of it? Read from the compiled objects; nothing is compiled."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from llmprof.collectors.live.configuration.probing import attempt, inner_modules

__all__ = ["compilation", "is_compiled"]

MODES = {
    (False, False): "default",
    (True, False): "reduce-overhead",
    (True, True): "max-autotune",
    (False, True): "max-autotune-no-cudagraphs",
}
"""By what Inductor was told: (CUDA graphs, autotuning); torch._inductor.list_mode_options()."""


def is_compiled() -> bool:
    """Whether Dynamo has compiled anything in this process; with fullgraph it counts graphs alone, and no frames."""
    dynamo = sys.modules.get("torch._dynamo.utils")
    return bool(dynamo is not None and (dynamo.counters["frames"]["ok"] or dynamo.counters["stats"]["unique_graphs"]))


def compilation(models: Iterable[Any]) -> dict[str, Any] | None:
    """Fields of Compilation; None when Dynamo was never loaded."""
    dynamo = sys.modules.get("torch._dynamo.utils")
    if dynamo is None:
        return None
    roots = list(models)
    found = [(root, context) for root in roots for context in _compiled_below(root)]
    settings = _settings(found[0][1]) if found else {}
    counters = dynamo.counters
    return {
        "modules": len(found),
        "whole_model": any(_is_whole(root) for root in roots) if roots else None,
        "frames": int(counters["frames"]["ok"]),
        "graphs": int(counters["stats"]["unique_graphs"]),
        "graph_breaks": len(counters["graph_break"]),
        **settings,
    }


def _compiled_below(root: Any) -> list[Any]:
    """What knows how each compiled module was compiled: Dynamo's context, or the function made by it."""
    contexts = []
    for module in root.modules():
        if type(module).__name__ == "OptimizedModule":
            contexts.append(module.dynamo_ctx)
        elif getattr(module, "_compiled_call_impl", None) is not None:
            contexts.append(module._compiled_call_impl)
    return contexts


def _is_whole(root: Any) -> bool:
    return any(
        type(module).__name__ == "OptimizedModule" or getattr(module, "_compiled_call_impl", None) is not None
        for module in inner_modules(root)
    )


def _settings(compiled: Any) -> dict[str, Any]:
    context = compiled if hasattr(compiled, "callback") else _context_of(compiled)
    backend = attempt(lambda: _backend(context))
    config = getattr(backend, "config", None)
    inductor = isinstance(config, dict)
    graphs = bool(config.get("triton.cudagraphs")) if inductor and config is not None else None
    mode = MODES[bool(graphs), bool(config.get("max_autotune"))] if inductor and config is not None else None
    asked = getattr(backend, "kwargs", None)
    if mode is None and isinstance(asked, dict):
        mode = asked.get("mode")
    return {
        "backend": getattr(backend, "compiler_name", None) or getattr(backend, "__name__", None),
        "mode": mode if isinstance(mode, str) else None,
        "dynamic": _flag(getattr(backend, "dynamic", None)),
        "fullgraph": _flag(getattr(context, "fullgraph", None)),
        "cuda_graphs": graphs,
    }


def _context_of(function: Any) -> Any:
    """The context whose __call__ made this function: it is in its closure, or in that of the function it wraps."""
    for _ in range(4):
        for cell in getattr(function, "__closure__", None) or ():
            inside = attempt(lambda cell=cell: cell.cell_contents)  # type: ignore[misc]
            if hasattr(inside, "callback") and hasattr(inside, "fullgraph"):
                return inside
        function = getattr(function, "__wrapped__", None)
    return None


def _backend(context: Any) -> Any:
    from torch._dynamo.eval_frame import innermost_backend  # type: ignore[attr-defined,unused-ignore]

    return innermost_backend(context.callback)


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None
