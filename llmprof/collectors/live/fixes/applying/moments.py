"""When is there an optimizer that steps, and which models does it train? The moments at which many fixes apply."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.models import find_models, outermost

__all__ = ["at_first_step", "before_steps", "called", "each_model"]


def before_steps(attempt: Attempt, call: Callable[[Any], None]) -> None:
    """Call with the optimizer before every optimizer step."""
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    register_optimizer_step_pre_hook(_hook(attempt, call))


def at_first_step(attempt: Attempt, call: Callable[[Any], None]) -> None:
    """Call once, with the optimizer, before the first optimizer step: everything is on its device by then."""
    waiting = [call]

    def first(optimizer: Any) -> None:
        if waiting:
            waiting.pop()(optimizer)

    before_steps(attempt, first)


def each_model(attempt: Attempt, call: Callable[[Any], None]) -> None:
    """Call with every model that an optimizer trains, once, after the first step of that optimizer.

    The models are what the first step has called: of one that is called in parts, or through a method of its own, the
    parts. What was not called by then is looked for in the variables of the script. A model wrapped by another module
    (DDP, FSDP) is met as the wrapper, one of Lightning as the models inside.
    """
    from torch.optim.optimizer import register_optimizer_step_post_hook

    were_called = _modules_called(attempt)
    steppers: set[int] = set()
    models: set[int] = set()

    def stepped(optimizer: Any) -> None:
        if id(optimizer) in steppers:
            return
        steppers.add(id(optimizer))
        references = outermost(were_called(), [optimizer]) or find_models([optimizer])
        found = [model for model in (reference() for reference in references) if model is not None]
        if not found:
            attempt.refuse("the model that the optimizer trains was not found in the variables of the running script")
        for model in (one for outer in found for one in called(outer)):
            if id(model) not in models:
                models.add(id(model))
                call(model)

    register_optimizer_step_post_hook(_hook(attempt, stepped))


def _modules_called(attempt: Attempt) -> Callable[[], list[Any]]:
    """What is asked after the first step for the modules that were called in it, at the end of which it stops looking.

    Calls without gradients (an evaluation before the training) do not count.
    """
    import torch
    from torch.nn.modules.module import register_module_forward_pre_hook

    seen: dict[int, weakref.ref[Any]] = {}

    def calling(module: Any, inputs: Any) -> None:
        if not torch.compiler.is_compiling() and torch.is_grad_enabled():
            seen[id(module)] = weakref.ref(module)

    warnings.filterwarnings("ignore", message="Using `torch.compile.module.` when there are global hooks")  # one step
    handle = register_module_forward_pre_hook(calling)
    attempt.on_undo(handle.remove)

    def were_called() -> list[Any]:
        handle.remove()
        return [module for module in (reference() for reference in seen.values()) if module is not None]

    return were_called


def called(model: Any) -> list[Any]:
    """The modules whose forward a script calls: of a LightningModule, which runs `training_step`, those inside.

    Of the wrapper of Fabric, which finds its attributes in two modules, the one that it calls.
    """
    kinds = {base.__name__ for base in type(model).__mro__}
    if "_FabricModule" in kinds:
        return called(model._forward_module)
    if "LightningModule" not in kinds:
        return [model]
    return [child for child in model.children() if next(child.parameters(), None) is not None]


def _hook(attempt: Attempt, call: Callable[[Any], None]) -> Callable[[Any, Any, Any], None]:
    """A hook of optimizers that does nothing once the fix has let go.

    It stays in its place: torch is going through the hooks when one of them lets go, and would end the training.
    """

    def hook(optimizer: Any, args: Any, kwargs: Any) -> None:
        attempt.guard(call, optimizer)

    hook._torchdynamo_disable = True  # type: ignore[attr-defined]  # never traced into a compiled optimizer
    return hook
