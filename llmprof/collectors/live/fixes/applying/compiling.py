"""How is a model compiled while it is being trained, and was anything compiled?"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.moments import called, each_model

__all__ = ["compile_models"]


def compile_models(attempt: Attempt, **options: Any) -> None:
    """Compile every trained model in place after its first step; one that is compiled already is left alone.

    Calls go through the compiled code from the second step on, so that compiling falls into the warm-up. Of a
    DistributedDataParallel the model inside is compiled: its own forward is never part of a graph, and hands no
    function to Dynamo when that model is one of torch's containers.
    """
    from torch.nn.parallel import DistributedDataParallel

    def compile_model(model: Any) -> None:
        if isinstance(model, DistributedDataParallel):
            for inside in called(model.module):
                compile_model(inside)
            return
        name = type(model).__name__
        if name == "OptimizedModule" or getattr(model, "_compiled_call_impl", None) is not None:
            attempt.refuse(f"{getattr(model, '_orig_mod', model).__class__.__name__} is compiled already")
            return
        forward = model.forward
        model.forward = _let_go(attempt, forward, _compiled(forward, options))
        attempt.on_undo(lambda: setattr(model, "forward", forward))
        attempt.applied(f"{name}.compile({', '.join(f'{key}={value!r}' for key, value in options.items())})")

    def compiled() -> tuple[bool, str]:
        from torch._dynamo import utils  # not before: it takes seconds to import

        graphs = utils.counters["stats"].get("unique_graphs", 0)
        breaks = sum(utils.counters["graph_break"].values())
        return graphs > 0, f"{graphs} graphs compiled, {breaks} graph breaks"

    each_model(attempt, compile_model)
    attempt.proof = compiled


def _let_go(attempt: Attempt, forward: Callable[..., Any], compiled: Callable[..., Any]) -> Callable[..., Any]:
    """The compiled forward until the compiler gives up, and from then on the one of the script."""

    @functools.wraps(forward)
    def call(*args: Any, **kwargs: Any) -> Any:
        if attempt.armed:
            try:
                return compiled(*args, **kwargs)
            except Exception as error:
                if all(base.__name__ != "TorchDynamoException" for base in type(error).__mro__):
                    raise  # of the model itself
                attempt.fail(error)
        return forward(*args, **kwargs)

    return call


def _compiled(forward: Any, options: dict[str, Any]) -> Any:
    """The compiled forward.

    Dynamo begins no graph in code of torch itself: the forward of a Sequential has to be called by a function that it
    may begin in, which torch.compile puts around such modules as well.
    """
    import torch

    if forward.__module__.partition(".")[0] == "torch":
        from torch._dynamo.external_utils import wrap_inline

        forward = wrap_inline(forward)
    return torch.compile(forward, **options)
