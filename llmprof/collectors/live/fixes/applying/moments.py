"""When is there an optimizer that steps, and which models does it train? The moments at which many fixes apply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.models import find_models

__all__ = ["at_first_step", "before_steps", "each_model"]


def before_steps(attempt: Attempt, call: Callable[[Any], None]) -> None:
    """Call with the optimizer before every optimizer step."""
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    attempt.on_undo(register_optimizer_step_pre_hook(_hook(attempt, call)).remove)


def at_first_step(attempt: Attempt, call: Callable[[Any], None]) -> None:
    """Call once, with the optimizer, before the first optimizer step: everything is on its device by then."""
    waiting = [call]

    def first(optimizer: Any) -> None:
        if waiting:
            waiting.pop()(optimizer)

    before_steps(attempt, first)


def each_model(attempt: Attempt, call: Callable[[Any], None]) -> None:
    """Call with every model that an optimizer trains, once, after the first step of that optimizer.

    A model wrapped by another module (DDP, FSDP) is met as the wrapper.
    """
    from torch.optim.optimizer import register_optimizer_step_post_hook

    steppers: set[int] = set()
    models: set[int] = set()

    def stepped(optimizer: Any) -> None:
        if id(optimizer) in steppers:
            return
        steppers.add(id(optimizer))
        found = [model for model in (reference() for reference in find_models([optimizer])) if model is not None]
        if not found:
            attempt.refuse("the model that the optimizer trains was not found in the variables of the running script")
        for model in found:
            if id(model) not in models:
                models.add(id(model))
                call(model)

    attempt.on_undo(register_optimizer_step_post_hook(_hook(attempt, stepped)).remove)


def _hook(attempt: Attempt, call: Callable[[Any], None]) -> Callable[[Any, Any, Any], None]:
    def hook(optimizer: Any, args: Any, kwargs: Any) -> None:
        attempt.guard(call, optimizer)

    hook._torchdynamo_disable = True  # type: ignore[attr-defined]  # never traced into a compiled optimizer
    return hook
