"""Where do the steps of the Hugging Face Trainer end, and when does it evaluate or save?

A step ends when all callbacks have heard `on_step_end`: after the optimizer, before what is logged, evaluated or saved.
TRL's trainers, and others that build on Trainer, are covered by it.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from llmprof.collectors.live.frameworks.grip import Adapter, Grip

__all__ = ["MODULES", "NAME", "which_step"]

NAME = "huggingface"


def which_step(state: Any) -> tuple[str, int]:
    """What a TrainerState calls the step that has just ended."""
    return NAME, state.global_step


def _trainer(module: ModuleType, grip: Grip) -> None:
    trainer = module.Trainer
    grip.training(trainer, "train")
    grip.region("evaluation", trainer, "evaluate", "predict")
    grip.region("checkpoint", trainer, "_save_checkpoint")


def _callbacks(module: ModuleType, grip: Grip) -> None:
    def begins(now: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return kwargs["state"] if "state" in kwargs else args[2]  # of (self, args, state, control)

    def ends(state: Any, now: int, result: Any, error: BaseException | None) -> None:
        if error is None:
            _expect(grip, state)
            grip.marks.step_ends(NAME, which_step(state))

    grip.around(module.CallbackHandler, "on_step_end", begins, ends)


def _expect(grip: Grip, state: Any) -> None:
    """At the first step: how many this process will train, of which a resumed one has only the rest."""
    if grip.recorder.session is None and state.max_steps > 0:
        session = grip.recorder.open_files()
        if session is not None:
            session.expected_steps = state.max_steps - state.global_step + 1


MODULES: dict[str, Adapter] = {"transformers.trainer": _trainer, "transformers.trainer_callback": _callbacks}
