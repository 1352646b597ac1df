"""When is there an optimizer that steps, and which models does it train? The moments at which many fixes apply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.models import find_models

__all__ = ["at_first_step", "before_steps", "called", "each_model"]


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

    A model wrapped by another module (DDP, FSDP) is met as the wrapper, one of Lightning as the models inside.
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
        for model in (one for outer in found for one in called(outer)):
            if id(model) not in models:
                models.add(id(model))
                call(model)

    attempt.on_undo(register_optimizer_step_post_hook(_hook(attempt, stepped)).remove)


def called(model: Any) -> list[Any]:
    """The modules whose forward a script calls: of a LightningModule, which runs `training_step`, those inside."""
    if all(base.__name__ != "LightningModule" for base in type(model).__mro__):
        return [model]
    return [child for child in model.children() if next(child.parameters(), None) is not None]


def _hook(attempt: Attempt, call: Callable[[Any], None]) -> Callable[[Any, Any, Any], None]:
    def hook(optimizer: Any, args: Any, kwargs: Any) -> None:
        attempt.guard(call, optimizer)

    hook._torchdynamo_disable = True  # type: ignore[attr-defined]  # never traced into a compiled optimizer
    return hook
