"""Where do the steps of a Lightning Trainer end, and when does it validate or save?

Lightning trains on one batch in `advance`, callbacks included. A step ends with the batch in which an optimizer has
stepped, once or several times: accumulation and manual optimization with several optimizers are covered by that.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from llmprof.collectors.live.frameworks.grip import Adapter, Grip

__all__ = ["MODULES", "NAME", "which_step"]

NAME = "lightning"


def which_step(trainer: Any) -> tuple[str, int]:
    """What a Trainer calls the batch on which it has just trained."""
    return NAME, trainer.fit_loop.total_batch_idx


def _trainer(module: ModuleType, grip: Grip) -> None:
    grip.training(module.Trainer, "fit")
    grip.region("checkpoint", module.Trainer, "save_checkpoint")


def _evaluation(module: ModuleType, grip: Grip) -> None:
    grip.region("evaluation", module._EvaluationLoop, "run")


def _training(module: ModuleType, grip: Grip) -> None:
    def begins(now: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, int]:
        return args[0], args[0].global_step

    def ends(token: tuple[Any, int], now: int, result: Any, error: BaseException | None) -> None:
        loop, before = token
        # An optimizer that is not Lightning's own does not count in global_step.
        if error is None and (loop.global_step != before or grip.marks.has_stepped):
            grip.marks.step_ends(NAME, which_step(loop.trainer))

    grip.around(module._TrainingEpochLoop, "advance", begins, ends)


MODULES: dict[str, Adapter] = {
    f"{package}.{module}": adapter
    for package in ("lightning.pytorch", "pytorch_lightning")
    for module, adapter in (
        ("trainer.trainer", _trainer),
        ("loops.evaluation_loop", _evaluation),
        ("loops.training_epoch_loop", _training),
    )
}
