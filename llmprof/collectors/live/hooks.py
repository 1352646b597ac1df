"""How is code of the training wrapped so that nothing of ours can ever reach it?

A hook that fails, or that costs too much, is switched off for the rest of the run; the call it was wrapped around goes
on as if it were not there. Every hook keeps account of its own time.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter_ns, thread_time_ns
from typing import Any

__all__ = ["Apart", "Hook", "TooSlowError", "around", "failed", "guarded", "guarded_step"]

Before = Callable[[int, tuple[Any, ...], dict[str, Any]], Any]
After = Callable[[Any, int, Any, "BaseException | None"], None]

LONG_NS = 1_000_000
"""A call may take 1 ms. One that took longer may have been preempted, on a host with more threads than cores that is
usual, so that it only puts the hook under watch: its next WATCHED_CALLS calls are measured in CPU time of the thread,
which does not pass while another one runs. Time that a hook spends waiting counts in its share (MAX_SHARE)."""
WATCHED_CALLS = 100
LONG_CALLS = 3
"""Calls over 1 ms of CPU time, among the watched ones, that switch a hook off; one can be a first use. A call that does
what was put off for several steps has 1 ms for each of them; in the warm-up nothing is a long call."""
MAX_SHARE = 0.005
"""Of the run, that one hook may take."""
FREE_NS = 500_000_000
"""What a hook may have cost before its share counts: nobody notices half a second once, and a run of small steps still
gets its baseline and its burst."""
APART_MOMENTS = 16


class TooSlowError(Exception):
    """The hook costs the training more than it may."""

    def __str__(self) -> str:
        return str(self.args[0])


class Apart:
    """Time that no hook has to answer for: opening the session, the burst, Python's garbage, a full launch queue.

    Hooks contain each other and these moments; a call over 1 ms is judged without what is noted here.
    """

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        """ns by the name of what they were spent on."""
        self.starting = False
        """While the run warms up: code and memory are touched for the first time, and a long call says nothing yet."""
        self._moments: deque[tuple[int, int]] = deque(maxlen=APART_MOMENTS)
        self._gone_through = (0, 1)

    def gone_through(self, now: int, steps: int) -> None:
        """At `now` the work of so many steps, put off until then, has been done in one call."""
        self._gone_through = (now, steps)

    def allowed_ns(self, begin: int, end: int) -> int:
        """What a call from `begin` to `end` may take: LONG_NS for each step whose work it has done."""
        when, steps = self._gone_through
        return LONG_NS * max(steps, 1) if begin <= when <= end else LONG_NS

    def note(self, name: str, begin: int, end: int) -> None:
        """From `begin` to `end` (perf_counter_ns) `name` was busy."""
        self.totals[name] = self.totals.get(name, 0) + end - begin
        self.cover(begin, end)

    def cover(self, begin: int, end: int) -> None:
        """The same, without a name to book it under."""
        self._moments.append((begin, end))

    def within(self, begin: int, end: int) -> int:
        """How many ns between `begin` and `end` were such moments."""
        covered, reached = 0, begin
        for start, stop in sorted(self._moments):
            start, stop = max(start, reached), min(stop, end)
            if stop > start:
                covered += stop - start
                reached = stop
        return covered


class Hook:
    """One thing that is hooked: whether it still is, and what it has cost."""

    __slots__ = (
        *("_apart", "_long_calls", "_longest_ns", "_report", "armed", "calls", "cost_ns", "name", "reason", "watched"),
    )

    def __init__(self, name: str, report: Callable[[str, str], None], apart: Apart | None = None) -> None:
        self.name = name
        self.armed = True
        self.cost_ns = 0
        self.calls = 0
        self.reason: str | None = None
        self.watched = 0
        """Calls, from the next one on, that are measured in CPU time as well."""
        self._long_calls = 0
        self._longest_ns = 0
        """One pause, of a machine that was suspended or a process that was stopped, is no slow hook."""
        self._report = report
        self._apart = apart if apart is not None else Apart()

    def fail(self, error: Exception) -> None:
        """Switch off for good and tell why, once."""
        if self.armed:
            self.armed = False
            with suppress(Exception):  # when the report fails as well, all that is left is to stay silent
                self.reason = str(error) if isinstance(error, TooSlowError) else f"{type(error).__name__}: {error}"
                self._report(self.name, self.reason)

    def run(self, call: Callable[..., None], *args: Any) -> None:
        """Call, with the time counted and an exception kept here."""
        if not self.armed:
            return
        cpu = self.watch() if self.watched else None
        began = perf_counter_ns()
        try:
            call(*args)
        except Exception as error:
            self.fail(error)
        spent = perf_counter_ns() - began
        self.calls += 1
        if spent < LONG_NS:
            self.cost_ns += spent
        else:  # judged here, and not once more in the hook that it runs in
            self.cost_ns += self.long_call(began, spent, cpu)
            self._apart.cover(began, began + spent)

    def watch(self) -> int:
        """A watched call begins; returns the CPU time of the thread, in ns."""
        self.watched -= 1
        return thread_time_ns()

    def long_call(self, began: int, spent: int, cpu: int | None) -> int:
        """A call has taken `spent` ns, LONG_NS or more; returns those that count.

        `cpu` is the CPU time of the thread when it began, None when the hook was not watched then. Never raises.
        """
        try:
            own = self._own_part(began, spent, cpu)
        except Exception as error:
            self.fail(error)
            return spent
        self._longest_ns = max(self._longest_ns, own)
        return own

    def _own_part(self, began: int, spent: int, cpu: int | None) -> int:
        apart = self._apart.within(began, began + spent)
        own = spent - apart
        if own < LONG_NS:
            return own
        if cpu is None or self._apart.starting:
            self.watched, self._long_calls = WATCHED_CALLS, 0
            return own
        busy = thread_time_ns() - cpu - apart
        self._long_calls += busy >= self._apart.allowed_ns(began, began + spent)
        if self._long_calls >= LONG_CALLS:
            self.fail(TooSlowError(f"{LONG_CALLS} of its calls took over 1 ms each, the last one {busy / 1e6:.1f} ms"))
        return own

    def judge(self, elapsed_ns: int, within_ns: int = 0) -> None:
        """Switch off when it has cost more than MAX_SHARE of the `elapsed_ns` that it has been there.

        `within_ns` is what others, which answer for themselves, have spent inside its calls. The longest call does not
        count: see `_longest_ns`.
        """
        own = self.cost_ns - within_ns - self._longest_ns
        if own > FREE_NS and own > MAX_SHARE * elapsed_ns:
            share = own / max(elapsed_ns, 1)
            self.fail(TooSlowError(f"it took {share:.1%} of the run's time; {MAX_SHARE:.1%} is what a hook may take"))


def around(hook: Hook, original: Callable[..., Any], before: Before, after: After) -> Callable[..., Any]:
    """`original` with `before(now, args, kwargs)` and `after(token, now, result, error)`, times by perf_counter_ns.

    The token is what `before` returned; when it is None, `after` is not called.
    """

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not hook.armed:
            return original(*args, **kwargs)
        cpu = hook.watch() if hook.watched else None
        began = perf_counter_ns()
        try:
            token = before(began, args, kwargs)
        except Exception as error:
            token = None
            hook.fail(error)
        spent = perf_counter_ns() - began
        if spent >= LONG_NS:
            spent = hook.long_call(began, spent, cpu)
        hook.calls += 1
        if token is None:
            hook.cost_ns += spent
            return original(*args, **kwargs)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            hook.cost_ns += spent
            hook.run(failed, after, token, error)
            raise
        if cpu is not None:
            cpu = thread_time_ns()
        now = perf_counter_ns()
        try:
            after(token, now, result, None)
        except Exception as failure:
            hook.fail(failure)
        late = perf_counter_ns() - now
        if late >= LONG_NS:
            late = hook.long_call(now, late, cpu)
        hook.cost_ns += spent + late
        return result

    wrapper._torchdynamo_disable = True  # type: ignore[attr-defined]  # never traced into a compiled graph
    return wrapper


def guarded(hook: Hook, call: Callable[..., None]) -> Callable[..., None]:
    """`call` as a callback that never raises and returns nothing."""

    def callback(*args: Any) -> None:
        hook.run(call, *args)

    callback._torchdynamo_disable = True  # type: ignore[attr-defined]
    return callback


def guarded_step(hook: Hook, call: Callable[[Any, Any, Any], None]) -> Callable[[Any, Any, Any], None]:
    """As `guarded`, for hooks of optimizer steps, which are called at every step: without the calls in between."""

    def callback(optimizer: Any, args: Any, kwargs: Any) -> None:
        if not hook.armed:
            return
        cpu = hook.watch() if hook.watched else None
        began = perf_counter_ns()
        try:
            call(optimizer, args, kwargs)
        except Exception as error:
            hook.fail(error)
        spent = perf_counter_ns() - began
        if spent >= LONG_NS:
            spent = hook.long_call(began, spent, cpu)
        hook.calls += 1
        hook.cost_ns += spent

    callback._torchdynamo_disable = True  # type: ignore[attr-defined]
    return callback


def failed(after: After, token: Any, error: BaseException) -> None:
    """Tell `after` of a hook that what it is wrapped around has raised."""
    after(token, perf_counter_ns(), None, error)
