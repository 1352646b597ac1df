"""Where does one training step end and the next begin, seen from loader fetches, backwards and optimizer steps?

A step is closed by the first fetch, also one that ends the epoch, after at least one optimizer step. A loop that has
not fetched for FETCHLESS_STEPS optimizer steps has no loader: there a step is closed by the first backward after every
optimizer in use has stepped, and where no backward is seen (torch.autograd.grad) by the last of these optimizers. An
optimizer that steps inside a backward (fused into it) closes at the next backward or fetch. Once somebody who knows
says where steps end, that alone counts.
"""

from __future__ import annotations

import weakref
from typing import Any

__all__ = ["StepDetector"]

FETCHLESS_STEPS = 8
"""Optimizer steps without a fetch that make a loop one without a loader; several per batch are usual (GANs: 2 to 6)."""
FETCHING_STEPS = 3
"""Steps in a row that a fetch closed that make it a loop with a loader again."""
PATIENCE = 16
"""Optimizer steps to wait for an optimizer that was in use, before it is taken for finished."""


class StepDetector:
    """A state machine without clocks; its methods answer whether the open step ends at that moment."""

    def __init__(self) -> None:
        self.has_loader: bool | None = None
        """Whether fetches bound the steps; None until the first fetch or the second step without one."""
        self.explicit = False
        self._in_use: set[int] = set()
        self._stepped: set[int] = set()
        self._events = 0  # optimizer steps in the open step; all those inside one backward are one
        self._since_fetch = 0
        self.in_backward = False
        """Set when a backward begins; to be cleared when it has ended."""
        self._fused = False
        self._backwards = False  # whether there was one in the open step
        self._closed_by_fetch = 0
        self._closed_by_backward = 0
        self._unused: dict[int, weakref.ref[Any]] = {}
        self.holds = False
        """Whether the first step has been kept open for an optimizer that exists and has not stepped yet."""
        self.lone: int | None = None
        """The key of the only optimizer that is in use, where no other one is waited for."""
        self.lone_stepped = False
        """Set when that one has stepped once, as always: kept apart until somebody has to know."""
        self.engine: int | None = None
        """Set while the optimizer of this key steps others, which then do not count."""

    @property
    def can_close(self) -> bool:
        """Whether an optimizer has stepped since the last boundary."""
        return self.lone_stepped or bool(self._stepped)

    def made(self, optimizer: Any) -> None:
        """There is a new optimizer."""
        self.lone_has_stepped()
        self.lone = None
        self._unused[id(optimizer)] = weakref.ref(optimizer)

    def fetch(self) -> bool:
        """A loader is about to be asked for a batch."""
        if self.lone_stepped:
            self.lone_has_stepped()
        if self.has_loader is None:
            self.has_loader = self._closed_by_backward < 2
        self._since_fetch = 0
        if not self._stepped or self.explicit or not (self.has_loader or self._cycle_complete()):
            return False
        if not self.has_loader:
            self._closed_by_fetch += 1
            self.has_loader = self._closed_by_fetch >= FETCHING_STEPS
        self.close()
        return True

    def backward(self) -> bool:
        """A backward begins that is not part of another; it may run inside an optimizer step (a closure)."""
        if self.lone_stepped:
            self.lone_has_stepped()
        closes = bool(self._stepped) and not self.explicit and not self.has_loader and self._cycle_complete()
        if closes and not self._in_use and self._waits_for_others():
            closes = False
        if closes:
            self._closed_by_fetch = 0
            self._closed_by_backward += 1
            self.close()
        self.in_backward = self._backwards = True
        self._fused = False
        return closes

    def optimizer_step(self, key: int) -> bool:
        """An optimizer has stepped, or its scaler has decided to skip the step."""
        if self.lone_stepped:
            self.lone_has_stepped()
        if self._unused:
            self._unused.pop(key, None)
        if self.engine not in (None, key):
            return False
        self._stepped.add(key)
        if self.in_backward:
            if self._fused:
                return False
            self._fused = True
        self._events += 1
        self._since_fetch += 1
        if self._since_fetch > FETCHLESS_STEPS and self.has_loader:
            self.has_loader = False
            self._closed_by_fetch = 0
        return not self._backwards and self._closes_by_itself()

    def repeats(self, key: int) -> bool:
        """An optimizer is done while the first step is held: has it stepped in it already, without the others?"""
        self.holds = False
        if self.lone_stepped:
            self.lone_has_stepped()
        if key not in self._stepped or self.explicit:
            return False
        self._unused.clear()  # they belong to a later stage of the run
        self.close()
        return True

    def close(self) -> None:
        """The open step ends now, whoever says so."""
        if self.lone_stepped:
            self.lone_has_stepped()
        self._in_use |= self._stepped
        if self._events > PATIENCE:
            self._in_use = set(self._stepped)
        self._stepped.clear()
        self._events = 0
        self._backwards = False
        self.lone = next(iter(self._in_use)) if len(self._in_use) == 1 and not self._unused else None

    def lone_has_stepped(self) -> None:
        """Book the step of the only optimizer, if it has made one, among the others."""
        if self.lone_stepped and self.lone is not None:
            self._stepped.add(self.lone)
            self._events += 1
            self._since_fetch += 1
        self.lone_stepped = False

    def _cycle_complete(self) -> bool:
        return self._fused or self._in_use <= self._stepped or self._events > PATIENCE

    def _waits_for_others(self) -> bool:
        """In the first cycle: whether another optimizer is there that may be a part of it (a GAN's second one)."""
        self.holds = any(reference() is not None for reference in self._unused.values())
        return self.holds

    def _closes_by_itself(self) -> bool:
        """Without any backward: whether this optimizer was the last of a step that no fetch will close."""
        if self.explicit or self.has_loader or not self._cycle_complete():
            return False
        if not self._in_use and self._waits_for_others():
            return False
        self._closed_by_backward += 1
        self.close()
        return True
