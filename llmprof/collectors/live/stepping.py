"""Where does one training step end and the next begin, seen from loader fetches, backwards and optimizer steps?

A step is closed by the first fetch, also one that ends the epoch, after at least one optimizer step. A loop that has
not fetched for FETCHLESS_STEPS optimizer steps has no loader: there a step is closed by the first backward after every
optimizer in use has stepped. An optimizer that steps inside a backward (fused into it) closes at the next backward or
fetch. Once the script marks its steps itself, its marks alone count.
"""

from __future__ import annotations

__all__ = ["StepDetector"]

FETCHLESS_STEPS = 8
"""Optimizer steps without a fetch that make a loop one without a loader; several per batch are usual (GANs: 2 to 6)."""
FETCHING_STEPS = 3
"""Steps in a row that a fetch closed that make it a loop with a loader again."""
PATIENCE = 16
"""Optimizer steps to wait for an optimizer that was in use, before it is taken for finished."""


class StepDetector:
    """A state machine without clocks; `fetch` and `backward` answer whether the open step ends at that moment."""

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
        self._closed_by_fetch = 0
        self._closed_by_backward = 0

    @property
    def can_close(self) -> bool:
        """Whether an optimizer has stepped since the last boundary."""
        return bool(self._stepped)

    def fetch(self) -> bool:
        """A loader is about to be asked for a batch."""
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
        closes = bool(self._stepped) and not self.explicit and not self.has_loader and self._cycle_complete()
        if closes:
            self._closed_by_fetch = 0
            self._closed_by_backward += 1
            self.close()
        self.in_backward = True
        self._fused = False
        return closes

    def optimizer_step(self, key: int) -> None:
        """An optimizer has stepped, or its scaler has decided to skip the step."""
        self._stepped.add(key)
        if self.in_backward:
            if self._fused:
                return
            self._fused = True
        self._events += 1
        self._since_fetch += 1
        if self._since_fetch > FETCHLESS_STEPS and self.has_loader:
            self.has_loader = False
            self._closed_by_fetch = 0

    def close(self) -> None:
        """The open step ends now, whoever says so."""
        self._in_use |= self._stepped
        if self._events > PATIENCE:
            self._in_use = set(self._stepped)
        self._stepped.clear()
        self._events = 0

    def _cycle_complete(self) -> bool:
        return self._fused or self._in_use <= self._stepped or self._events > PATIENCE
