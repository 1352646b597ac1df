"""Are parameters updated although no torch.optim.Optimizer steps? Asked until the first of those does.

For scripts that bring an optimizer of their own: every in-place change of a parameter raises its version, which is
read for a few parameters of the first backward. Changes through `.data` cannot be seen; `llmprof.step()` tells of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

__all__ = ["UpdateWatch"]

NODES = 2_000
"""Nodes of the autograd graph that are looked at, once."""


class UpdateWatch:
    """The parameters that the first backward has found, and their versions when they were looked at last."""

    def __init__(self) -> None:
        self._parameters: list[Any] = []
        self._versions: list[int] = []

    def backward(self, tensors: Any) -> None:
        """A backward of these tensors begins; the first one that reaches parameters says which to watch."""
        if not self._parameters:
            self._parameters = list(_parameters(tensors if isinstance(tensors, (list, tuple)) else [tensors]))
            self._versions = self._now()

    def happened(self) -> bool:
        """Whether a parameter has changed since the last time."""
        before, self._versions = self._versions, self._now()
        return before != self._versions

    def stand_in(self) -> Any:
        """What has the parameters of the optimizer that nobody has seen."""
        return SimpleNamespace(param_groups=[{"params": self._parameters}])

    def _now(self) -> list[int]:
        return [parameter._version for parameter in self._parameters]


def _parameters(tensors: Iterable[Any]) -> Iterable[Any]:
    """The parameters that the gradients of these tensors flow to."""
    from torch.nn import Parameter

    waiting = [tensor.grad_fn for tensor in tensors if getattr(tensor, "grad_fn", None) is not None]
    seen = set(waiting)
    for _ in range(NODES):
        if not waiting:
            return
        node = waiting.pop()
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, Parameter):
            yield leaf
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                waiting.append(following)
