"""Do the steps run under autocast, is their loss scaled, and do they recompute activations? Watched for a few steps.

Autocast is on only inside the script's forward, where no hook of the recorder runs: a hook on the module would be
traced by torch.compile and seen by DDP and FSDP. So `torch.autocast.__enter__` is wrapped for the first recorded steps
and put back afterwards. Compiled code enters autocast while it is compiled, through the same method, and not at all
when it runs; what was compiled before the watch began is therefore not seen. Activation checkpointing shows itself the
same way: torch.utils.checkpoint restores autocast around every recomputation, whatever its state was.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

from llmprof.collectors.live.configuration.probing import dtype_name

__all__ = ["Regions"]

CHECKPOINT = "torch.utils.checkpoint"
MOST_ENTRIES = 20_000
"""Then the watch ends by itself, should nobody have ended it; three steps of a thousand checkpoints have fewer."""


class Regions:
    """What was entered so far; `begin` and `end` are called in the training thread, entries come from any."""

    def __init__(self) -> None:
        self.autocast: set[str] = set()
        """`cuda bfloat16`"""
        self.scaled = False
        self.recomputed = False
        self.whole_steps = 0
        """Steps that were watched from their beginning to their end."""
        self.failure: str | None = None
        """Why the watch ended before its time."""
        self._entries = 0
        self._undo: list[Callable[[], None]] = []

    def begin(self) -> None:
        """Watch from now on."""
        torch: Any = import_module("torch")
        for device in ("cuda", "cpu"):
            if torch.is_autocast_enabled(device):  # the script holds it open around its whole loop
                self.autocast.add(f"{device} {dtype_name(torch.get_autocast_dtype(device))}")
        self._wrap(import_module("torch.amp.autocast_mode").autocast, "__enter__", self._entered)
        self._wrap(torch.amp.GradScaler, "scale", self._scales)

    def end(self) -> None:
        """Put everything back; one that somebody else has wrapped meanwhile stays, and does nothing."""
        while self._undo:
            with suppress(Exception):
                self._undo.pop()()

    def _entered(self, region: Any, caller: str) -> None:
        self._entries += 1
        if self._entries > MOST_ENTRIES:
            raise RuntimeError(f"autocast was entered more than {MOST_ENTRIES} times")
        torch: Any = sys.modules["torch"]
        if caller == CHECKPOINT:
            self.recomputed = True
        if region._enabled and torch.is_grad_enabled():  # not an evaluation
            self.autocast.add(f"{region.device} {dtype_name(region.fast_dtype)}")

    def _scales(self, scaler: Any, caller: str) -> None:
        if scaler.is_enabled():
            self.scaled = True

    def _give_up(self, error: Exception) -> None:
        self.failure = f"{type(error).__name__}: {error}"
        self.end()

    def _wrap(self, owner: Any, name: str, note: Callable[[Any, str], None]) -> None:
        original, give_up = owner.__dict__[name], self._give_up
        watching = True

        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            if watching:
                try:
                    note(self, sys._getframe(1).f_globals.get("__name__", ""))
                except Exception as error:
                    give_up(error)
            return original(self, *args, **kwargs)

        def undo() -> None:
            nonlocal watching
            watching = False
            if owner.__dict__.get(name) is wrapper:
                setattr(owner, name, original)

        wrapper.__name__, wrapper.__qualname__, wrapper.__doc__ = name, original.__qualname__, original.__doc__
        wrapper.__wrapped__ = original  # type: ignore[attr-defined]  # torch.jit reads the source of what is wrapped
        wrapper._torchdynamo_disable = True  # type: ignore[attr-defined]
        setattr(owner, name, wrapper)
        self._undo.append(undo)
