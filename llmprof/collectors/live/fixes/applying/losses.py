"""Which losses does a run have, step by step? Read without ever waiting for the device.

The value of each backward is copied on the device into a small buffer; a full one is copied to the host beside the
training, and read by the thread that writes when it has arrived.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

__all__ = ["Losses"]

AT_A_TIME = 16
MOST = 5_000


class Losses:
    """The losses of one process."""

    def __init__(self) -> None:
        self.values: list[float] = []
        """What each outermost backward of a single value began with, in order."""
        self.reason: str | None = None
        """Why they are not read (any more)."""
        self._buffer: Any = None
        self._filled = 0
        self._pending: list[tuple[Any, Any, int]] = []
        """Values on their way to the host, the event after which they are there, and how many they are."""
        self._unscaled: Any = None
        self._inside = False
        self._reading = threading.Lock()
        self._undo: list[Callable[[], None]] = []

    def watch(self) -> None:
        """Begin, in a process that has imported torch."""
        import torch

        def backward_of(original: Callable[..., Any]) -> Callable[..., Any]:
            def backward(*args: Any, **kwargs: Any) -> Any:
                if self.reason is not None or self._inside:
                    return original(*args, **kwargs)
                self._note(kwargs["tensors"] if "tensors" in kwargs else args[0] if args else None)
                self._inside = True
                try:
                    return original(*args, **kwargs)
                finally:
                    self._inside = False

            return backward

        def scale_of(original: Callable[..., Any]) -> Callable[..., Any]:
            def scale(scaler: Any, outputs: Any) -> Any:
                self._unscaled = outputs
                return original(scaler, outputs)

            return scale

        self._replace(torch.autograd, "backward", backward_of)
        self._replace(torch.amp.GradScaler, "scale", scale_of)

    def collect(self) -> None:
        """Read what has arrived on the host; in any thread."""
        with self._reading:
            while self._pending and (self._pending[0][1] is None or self._pending[0][1].query()):
                values, _, count = self._pending.pop(0)
                self.values += values[:count].tolist()

    def finish(self) -> None:
        """The run is over: read the rest, waiting for the device, and let go."""
        with suppress(Exception):
            self._send(wait=True)
            self.collect()
        while self._undo:
            self._undo.pop()()

    def _note(self, tensors: Any) -> None:
        try:
            loss = tensors[0] if isinstance(tensors, list | tuple) and tensors else tensors
            unscaled, self._unscaled = self._unscaled, None
            loss = unscaled if unscaled is not None else loss
            if getattr(loss, "numel", lambda: 0)() == 1 and len(self.values) < MOST:
                self._keep(loss)
        except Exception as error:  # the losses are lost, the training goes on
            self.reason = f"{type(error).__name__}: {error}"[:400]

    def _keep(self, loss: Any) -> None:
        import torch

        if loss.is_cuda and torch.cuda.is_current_stream_capturing():
            return
        if self._buffer is None or self._buffer.device != loss.device:
            self._send(wait=False)
            self._buffer = torch.empty(AT_A_TIME, dtype=torch.float32, device=loss.device)
        # The value, not a reference: a CUDA graph overwrites it in the next step.
        with torch.no_grad():
            self._buffer[self._filled].copy_(loss.detach().reshape(()))
        self._filled += 1
        if self._filled == AT_A_TIME or not loss.is_cuda:
            self._send(wait=False)

    def _send(self, *, wait: bool) -> None:
        """Have the buffer copied to the host, where `collect` reads it."""
        import torch

        count, self._filled = self._filled, 0
        if not count:
            return
        if not self._buffer.is_cuda:
            self._pending.append((self._buffer.clone(), None, count))
            return
        host = torch.empty(AT_A_TIME, dtype=torch.float32, pin_memory=True)
        host.copy_(self._buffer, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        if wait:
            event.synchronize()
        self._pending.append((host, event, count))

    def _replace(self, owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        original = getattr(owner, name)
        replacement: Any = make(original)
        replacement._torchdynamo_disable = True
        setattr(owner, name, replacement)

        def restore() -> None:
            if getattr(owner, name) is replacement:
                setattr(owner, name, original)

        self._undo.append(restore)
