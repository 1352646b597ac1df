"""How does a recording begin once a first step is complete, and what does rank.json say of its end?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from llmprof.collectors.live.crew import Crew
from llmprof.collectors.live.device_timer import DeviceTimer
from llmprof.collectors.live.finished import FinishedSteps
from llmprof.collectors.live.hooks import Apart, Hook
from llmprof.collectors.live.models import find_models
from llmprof.collectors.live.run_length import steps_of_an_epoch
from llmprof.collectors.live.session import Session
from llmprof.collectors.live.step_timer import OpenStep

__all__ = ["begin_collecting", "hide_from_compiler", "how_it_ends"]


def begin_collecting(
    session: Session,
    first: OpenStep,
    optimizers: Sequence[Any],
    hooks: Mapping[str, Hook],
    apart: Apart,
    *,
    unix_offset: int,
    on_many: Callable[[int], None],
) -> FinishedSteps:
    """Start the collectors after the `first` step, on what `optimizers` train; see FinishedSteps for the rest."""
    session.note_apart = apart.note
    if session.expected_steps is None:
        batches = min([first.micro, *[group.count for group in first.fetched or ()]])
        session.expected_steps = steps_of_an_epoch(session.loaders, batches)
    timer = None
    with suppress(Exception):
        session.models = find_models(optimizers)
    with suppress(Exception):
        timer = DeviceTimer.of(_device_of(optimizers), partial(apart.note, "queue"))
    return FinishedSteps(session, Crew(session, list(hooks.values()), apart), timer, unix_offset, on_many)


def hide_from_compiler() -> bool:
    """Tell Dynamo not to look into our code when it compiles code that calls an optimizer; False until it is loaded."""
    rules = sys.modules.get("torch._dynamo.trace_rules")
    if rules is None:
        return False
    with suppress(Exception):
        rules.add(__package__)
    return True


def how_it_ends(kind: type[BaseException] | None, error: BaseException | None) -> tuple[str, str | None]:
    """What rank.json says of the end; sys.exit() is no exception."""
    if kind is None or issubclass(kind, SystemExit):
        return "exit", None
    if issubclass(kind, KeyboardInterrupt):
        return "signal", "SIGINT"
    return "exception", f"{kind.__name__}: {error or getattr(sys, 'last_value', '')}"[:500]


def _device_of(optimizers: Sequence[Any]) -> Any:
    """The device of the first parameter that is trained."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                return parameter.device
    return None
