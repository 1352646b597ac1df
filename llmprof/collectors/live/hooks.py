"""How is code of the training wrapped so that nothing of ours can ever reach it?

A hook that fails is switched off for the rest of the run; the call it was wrapped around goes on as if it were not
there. Every hook keeps account of its own time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter_ns
from typing import Any

__all__ = ["Hook", "around", "guarded"]

Before = Callable[[int, tuple[Any, ...], dict[str, Any]], Any]
After = Callable[[Any, int, Any, "BaseException | None"], None]


class Hook:
    """One thing that is hooked: whether it still is, and what it has cost."""

    __slots__ = ("_report", "armed", "calls", "cost_ns", "name", "reason")

    def __init__(self, name: str, report: Callable[[str, str], None]) -> None:
        self.name = name
        self.armed = True
        self.cost_ns = 0
        self.calls = 0
        self.reason: str | None = None
        self._report = report

    def fail(self, error: Exception) -> None:
        """Switch off for good and tell why, once."""
        if self.armed:
            self.armed = False
            with suppress(Exception):  # when the report fails as well, all that is left is to stay silent
                self.reason = f"{type(error).__name__}: {error}"
                self._report(self.name, self.reason)

    def run(self, call: Callable[..., None], *args: Any) -> None:
        """Call, with the time counted and an exception kept here."""
        if not self.armed:
            return
        began = perf_counter_ns()
        try:
            call(*args)
        except Exception as error:
            self.fail(error)
        self.cost_ns += perf_counter_ns() - began
        self.calls += 1


def around(hook: Hook, original: Callable[..., Any], before: Before, after: After) -> Callable[..., Any]:
    """`original` with `before(now, args, kwargs)` and `after(token, now, result, error)`, times by perf_counter_ns.

    The token is what `before` returned; when it is None, `after` is not called.
    """

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not hook.armed:
            return original(*args, **kwargs)
        began = perf_counter_ns()
        try:
            token = before(began, args, kwargs)
        except Exception as error:
            token = None
            hook.fail(error)
        hook.calls += 1
        spent = perf_counter_ns() - began
        if token is None:
            hook.cost_ns += spent
            return original(*args, **kwargs)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            hook.cost_ns += spent
            _finish(hook, after, token, error)
            raise
        now = perf_counter_ns()  # from here on as _finish, without the call
        try:
            after(token, now, result, None)
        except Exception as failure:
            hook.fail(failure)
        hook.cost_ns += spent + perf_counter_ns() - now
        return result

    wrapper._torchdynamo_disable = True  # type: ignore[attr-defined]  # never traced into a compiled graph
    return wrapper


def guarded(hook: Hook, call: Callable[..., None]) -> Callable[..., None]:
    """`call` as a callback that never raises and returns nothing."""

    def callback(*args: Any) -> None:
        if not hook.armed:
            return
        began = perf_counter_ns()
        try:
            call(*args)
        except Exception as error:
            hook.fail(error)
        hook.calls += 1
        hook.cost_ns += perf_counter_ns() - began

    callback._torchdynamo_disable = True  # type: ignore[attr-defined]
    return callback


def _finish(hook: Hook, after: After, token: Any, error: BaseException) -> None:
    now = perf_counter_ns()
    try:
        after(token, now, None, error)
    except Exception as failure:
        hook.fail(failure)
    hook.cost_ns += perf_counter_ns() - now
