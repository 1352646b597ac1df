"""How does a recording outlive what atexit does not see: os._exit, the end of a multiprocessing child, a fork?"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

__all__ = ["before_exit", "when_stepping"]

HURRY_S = 1.0
"""How long os._exit waits for the last lines: it is also the way out of a process that hangs."""


def before_exit(flush: Callable[[int], None], stop: Callable[[], Any]) -> Callable[[], None]:
    """Call `flush(exit code)` before os._exit, for HURRY_S at most, and `stop()` when a multiprocessing child ends.

    Returns what takes both out again.
    """
    original = os._exit

    @functools.wraps(original)
    def leave(status: int) -> Any:
        with suppress(Exception):
            thread = threading.Thread(target=flush, args=(status,), name="llmprof-exit", daemon=True)
            thread.start()
            thread.join(HURRY_S)
        original(status)

    finalizer = None
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        from multiprocessing.util import Finalize

        finalizer = Finalize(None, stop, exitpriority=0)
    os._exit = leave

    def undo() -> None:
        if os._exit is leave:
            os._exit = original
        if finalizer is not None:
            finalizer.cancel()

    return undo


def when_stepping(call: Callable[[], Any]) -> None:
    """Call this when an optimizer begins its first step, which in most forked processes never happens."""
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    waiting = [call]

    def first(*args: Any) -> None:  # stays registered: a hook cannot be taken out while the hooks are gone through
        while waiting:
            with suppress(Exception):
                waiting.pop()()

    first._torchdynamo_disable = True  # type: ignore[attr-defined]
    register_optimizer_step_pre_hook(first)
