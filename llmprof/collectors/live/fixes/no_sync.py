"""The fix no-sync: DistributedDataParallel reduces gradients only in the last micro-step of a step."""

from __future__ import annotations

from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.ddp import before_forwards
from llmprof.collectors.live.fixes.applying.moments import before_steps

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = ""
SHORTER = 2
"""Steps in a row with fewer micro-steps than expected that end the fix; one is the end of an epoch."""
SEEN_ALIKE = 2
"""Steps with the same number of micro-steps that have to be seen first."""


def apply(attempt: Attempt) -> None:
    """Learn how many micro-steps a step has, then let all but the last go without a reduction."""
    accumulation = _Accumulation(attempt)
    before_forwards(attempt, accumulation.forward_begins)
    before_steps(attempt, accumulation.step_begins)
    attempt.on_undo(accumulation.let_go)


class _Accumulation:
    """The micro-steps of the running step."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._model: Any = None
        self._micro_steps = 0
        self._usual = 0
        self._alike = 0
        self._held_back = False
        self._shorter = 0

    def forward_begins(self, model: Any) -> None:
        """A micro-step begins; DDP decides in the forward whether its backward reduces."""
        evaluated = not (model.training or model.module.training)  # Lightning sets only the one inside back to training
        if evaluated or not _gradients_wanted():
            return
        if self._model is None:
            self._model = model
        if model is not self._model:
            raise RuntimeError("the script trains several DistributedDataParallel models")
        if not model.require_backward_grad_sync and not self._held_back:
            self._attempt.refuse("the script uses no_sync() already")
            self._attempt.remove()
            return
        self._micro_steps += 1
        learned = self._alike >= SEEN_ALIKE and self._usual > 1
        self._held_back = learned and self._micro_steps < self._usual
        model.require_backward_grad_sync = not self._held_back
        if self._held_back:
            self._attempt.applied(f"{self._usual - 1} of {self._usual} micro-steps without a reduction")

    def step_begins(self, optimizer: Any) -> None:
        """The step is complete, perhaps earlier than it used to be: then the gradients are reduced here."""
        if self._model is None or not self._micro_steps:
            return
        if self._held_back:
            self._reduce()
            self._shorter += 1
            if self._shorter == SHORTER:
                raise RuntimeError(f"{SHORTER} steps in a row had fewer micro-steps than {self._usual}")
            self._attempt.applied("a shorter step reduced at its end")
            self._micro_steps = 0
            return
        self._shorter = 0
        self._alike = self._alike + 1 if self._micro_steps == self._usual else 1
        self._usual, self._micro_steps = self._micro_steps, 0
        if self._usual == 1 and self._alike >= SEEN_ALIKE:
            self._attempt.refuse("a step has one micro-step: there is nothing to leave out")
            self._attempt.remove()

    def let_go(self) -> None:
        """Reduce in every micro-step again."""
        if self._model is not None and self._held_back:
            self._model.require_backward_grad_sync = True

    def _reduce(self) -> None:
        import torch.distributed as dist

        for parameter in self._model.parameters():
            if parameter.grad is not None:
                parameter.grad.div_(dist.get_world_size(self._model.process_group))
                dist.all_reduce(parameter.grad, group=self._model.process_group)


def _gradients_wanted() -> bool:
    import torch

    return torch.is_grad_enabled()
