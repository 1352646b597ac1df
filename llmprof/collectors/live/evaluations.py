"""Where does a script evaluate without asking a loader: from a model's `eval()` to its `train()`, with no backward?

While a model is in evaluation mode, and only then, `train` is hooked as well: it calls itself for every submodule.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from llmprof.collectors.live.hooks import Hook, around
from llmprof.collectors.live.step_timer import OpenStep

if TYPE_CHECKING:
    from llmprof.collectors.live.recorder import Recorder

__all__ = ["Evaluations"]

FALSE_ALARMS = 16
"""Models that were put into evaluation mode and were trained on: after as many nobody listens any more."""
STRANGERS = 64
"""Calls of `train` for other modules, after which the model is not waited for any longer (a frozen part of another)."""


class Evaluations:
    """The hooks around Module.eval and Module.train."""

    def __init__(self, recorder: Recorder, hook: Hook) -> None:
        self._recorder = recorder
        self._hook = hook
        self._model: Callable[[], Any] | None = None
        self._begin = 0
        self._step: OpenStep | None = None
        self._micro = self._booked = 0
        self._alarms = self._strangers = 0
        self._unhook: Callable[[], None] | None = None

    def begins(self, now: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Module.eval: an evaluation begins when it is the training thread that calls it, between two steps."""
        step, model = self._recorder.running, args[0]
        if step is None or self._alarms >= FALSE_ALARMS or not model.training or not self._recorder.is_here():
            return
        if self._recorder.ignores_fetches:  # a framework, or the script, has announced it and books it as a whole
            return
        if self._model is not None:
            if not self._trained():  # a part of the model that is in evaluation mode already, or another one
                return
            self._alarms += 1
            self.close()
            if self._alarms >= FALSE_ALARMS:
                return
        self._model, self._begin = weakref.ref(model), now
        self._step, self._micro, self._booked = step, step.micro, _booked(step)
        self._strangers = 0
        self._listen(type(model))

    def ends(self, now: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Module.train: it was one when this is the same model, and no backward has run in between."""
        model, mode = args[0], (args[1] if len(args) > 1 else kwargs.get("mode", True))
        if self._model is None or not mode:
            return
        if self._model() is not model:
            self._strangers += 1
            if self._strangers >= STRANGERS:
                self._alarms += 1
                self.close()
            return
        step, trained = self._recorder.running, self._trained()
        begin, booked = self._begin, self._booked
        if step is not None and step is not self._step:
            begin, booked = max(begin, step.start), 0
        self.close()
        if step is None or trained or not self._recorder.is_here():
            return
        self._recorder.settle_fetches(now)
        duration = now - begin - (_booked(step) - booked)
        if duration > 0:
            step.add_stall("evaluation", duration)
            self._recorder.stalls.evaluated(step, duration)

    def close(self) -> None:
        """Wait for no model, and let go of `train`."""
        self._model = self._step = None
        if self._unhook is not None:
            self._unhook()
            self._unhook = None

    def _trained(self) -> bool:
        """Whether a backward has run since the model was put into evaluation mode."""
        step, before = self._recorder.running, self._step
        if step is None or before is None or before.micro != self._micro:
            return True
        return step is not before and (step.micro > 0 or step.number != before.number + 1)

    def _listen(self, kind: type) -> None:
        owner = next(base for base in kind.__mro__ if base.__module__ == "torch.nn.modules.module")
        original = owner.train  # type: ignore[attr-defined]
        wrapper = around(self._hook, original, self.ends, _nothing)

        def unhook() -> None:
            if owner.train is wrapper:  # type: ignore[attr-defined]
                owner.train = original  # type: ignore[attr-defined]

        owner.train = wrapper  # type: ignore[attr-defined]
        self._unhook = unhook


def _nothing(token: Any, now: int, result: Any, error: BaseException | None) -> None:
    """What follows a call of which only the beginning matters."""


def _booked(step: OpenStep) -> int:
    return sum(step.stalls.values()) if step.stalls is not None else 0
