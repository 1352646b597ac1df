"""How does a step of the usual kind pass the hooks with the least work?

Training empties the processor's caches between two hooks, so that each Python call of ours, and each line, costs some
twenty times what it does in a loop. Here are the four hooks that every step meets, each as one function that does what
Recorder, StepDetector and DataWait do together in the usual case: one batch of the loader that was asked before, one
backward, one step of the only optimizer, nobody waiting for this step. In any other case they hand over to these,
before they have changed anything. They may look at what is private there; tests compare what both ways record.

What costs most is what touches memory that nothing else has touched: a call into C, a new object, an attribute that
only the class has. So a step is made in advance together with its neighbours, a fetch is no object of its own, and
which thread asks is seen by what it asks for: an iterator and an optimizer belong to one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from threading import get_ident
from time import perf_counter_ns
from typing import Any

from llmprof.collectors.live.hooks import LONG_NS, Hook, failed
from llmprof.collectors.live.recorder import Recorder
from llmprof.collectors.live.step_timer import OpenStep
from llmprof.collectors.live.stepping import FETCHLESS_STEPS

__all__ = ["backward", "fetch", "optimizer_begins", "optimizer_ends"]

OptimizerHook = Callable[[Any, Any, Any], None]


def fetch(recorder: Any, hook: Hook, slow: Callable[..., Any]) -> Callable[..., Any]:
    """next() of a DataLoader iterator; `slow` is the hooked function that knows all cases."""
    detector, data_wait, original = _parts(recorder, slow)

    @functools.wraps(original)
    def wrapper(iterator: Any) -> Any:
        begin = 0
        try:
            began = perf_counter_ns()
            step, finished, session = recorder._step, recorder._finished, recorder.session
            usual = hook.armed and not hook.watched and step and finished and session
            usual = usual and detector.has_loader and not detector.explicit and not detector._stepped
            usual = usual and not data_wait.fetching and data_wait.pending is None and data_wait._group is None
            usual = usual and recorder._updates is None and recorder._optimizing is None
            if usual and detector.lone_stepped:
                usual = step.number + 1 < finished.due and session.phase is step.phase
            elif usual:
                usual = not step.sampled and step.stalls is None
            if usual and data_wait._latest() is iterator:
                if detector.lone_stepped:  # the boundary of two steps
                    ended, step = step, step.following or _following(step, finished.due)
                    ended.following, ended.end, step.start = None, began, began
                    finished.aside.append(ended)
                    recorder._step, session.current_step = step, step.number
                    detector.lone_stepped = detector._backwards = False
                detector._events = detector._since_fetch = 0
                data_wait._latest_loader.groups += 1
                data_wait.pending_end = 0
                data_wait.pending, data_wait.fetching = step, True
                hook.calls += 1
                begin = data_wait.pending_begin = perf_counter_ns()
                early = begin - began
                hook.cost_ns += early if early < LONG_NS else hook.long_call(began, early, None)
        except Exception as error:
            begin = 0
            hook.fail(error)
        if not begin:
            return slow(iterator)
        try:
            batch = original(iterator)
        except BaseException as error:
            hook.run(failed, recorder.fetch_ends, data_wait.group, error)
            raise
        try:
            now = data_wait.pending_end = perf_counter_ns()
            data_wait.fetching = False
            counter = data_wait._latest_loader.tokens
            if counter.skip:
                counter.skip -= 1
                data_wait.pending_tokens = counter.tokens
            else:
                data_wait.pending_tokens = counter.count(batch)
            late = perf_counter_ns() - now
            hook.cost_ns += late if late < LONG_NS else hook.long_call(now, late, None)
        except Exception as error:
            hook.fail(error)
        return batch

    wrapper._torchdynamo_disable = True  # type: ignore[attr-defined]
    return wrapper


def backward(recorder: Any, hook: Hook, slow: Callable[..., Any]) -> Callable[..., Any]:
    """torch.autograd.backward; `slow` is the hooked function that knows all cases."""
    detector, data_wait, original = _parts(recorder, slow)

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        begin, step = 0, data_wait.pending
        try:
            began = perf_counter_ns()
            session = recorder.session
            usual = hook.armed and not hook.watched and step and step is recorder._step and data_wait.pending_end
            usual = usual and session and session.during_step is None and data_wait._latest_loader.trained
            usual = usual and detector.has_loader and not detector.lone_stepped and not recorder._in_backward
            usual = usual and recorder._updates is None and recorder._optimizing is None
            if usual and recorder._thread == get_ident():
                data_wait.pending = None
                step.waited += data_wait.pending_end - data_wait.pending_begin
                step.tokens += data_wait.pending_tokens
                step.batches += 1
                step.forward += began - data_wait.pending_end
                step.last_mark = began
                step.micro += 1
                detector.in_backward = detector._backwards = recorder._in_backward = True
                detector._fused = False
                hook.calls += 1
                begin = perf_counter_ns()
                early = begin - began
                hook.cost_ns += early if early < LONG_NS else hook.long_call(began, early, None)
        except Exception as error:
            begin = 0
            hook.fail(error)
        if not begin or step is None:
            return slow(*args, **kwargs)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            hook.run(failed, recorder.backward_ends, begin, error)
            raise
        try:
            now = perf_counter_ns()
            recorder._in_backward = detector.in_backward = False
            if step is recorder._step:
                step.backward += now - begin
                step.last_mark = now
            late = perf_counter_ns() - now
            hook.cost_ns += late if late < LONG_NS else hook.long_call(now, late, None)
        except Exception as error:
            hook.fail(error)
        return result

    wrapper._torchdynamo_disable = True  # type: ignore[attr-defined]
    return wrapper


def optimizer_begins(recorder: Recorder, hook: Hook, slow: OptimizerHook) -> OptimizerHook:
    """Before a step of any optimizer; `slow` is the guarded hook that knows all cases."""
    detector = recorder._detector

    def callback(optimizer: Any, args: Any, kwargs: Any) -> None:
        try:
            began = perf_counter_ns()
            if (
                hook.armed
                and not hook.watched
                and recorder._optimizing is None
                and recorder._updates is None
                and not recorder._in_backward
                and recorder._step is not None
                and recorder._step.phase != "warmup"
                and detector.lone == id(optimizer)
            ):
                recorder._closure_ns = 0
                recorder._optimizing = detector.lone
                hook.calls += 1
                begin = recorder._optimizing_since = perf_counter_ns()
                early = begin - began
                hook.cost_ns += early if early < LONG_NS else hook.long_call(began, early, None)
                return
        except Exception as error:
            hook.fail(error)
        slow(optimizer, args, kwargs)

    callback._torchdynamo_disable = True  # type: ignore[attr-defined]
    return callback


def optimizer_ends(recorder: Recorder, hook: Hook, slow: OptimizerHook) -> OptimizerHook:
    """After it."""
    detector = recorder._detector

    def callback(optimizer: Any, args: Any, kwargs: Any) -> None:
        try:
            now = perf_counter_ns()
            step = recorder._step
            if (
                hook.armed
                and not hook.watched
                and step is not None
                and step.micro
                and step.phase != "warmup"
                and recorder._optimizing is not None
                and recorder._optimizing == detector.lone
                and not detector.lone_stepped
                and not detector._stepped
                and not detector.holds
                and detector.engine is None
                and detector.has_loader
                and detector._backwards
                and not detector.in_backward
                and detector._since_fetch < FETCHLESS_STEPS
                and detector.lone == id(optimizer)
            ):
                recorder._last_optimizer_end = now
                detector.lone_stepped = True
                recorder._optimizing = None
                step.optimizer += now - recorder._optimizing_since - recorder._closure_ns
                if step.last_mark is not None:
                    step.last_mark = now
                hook.calls += 1
                late = perf_counter_ns() - now
                hook.cost_ns += late if late < LONG_NS else hook.long_call(now, late, None)
                return
        except Exception as error:
            hook.fail(error)
        slow(optimizer, args, kwargs)

    callback._torchdynamo_disable = True  # type: ignore[attr-defined]
    return callback


def _following(step: OpenStep, due: int) -> OpenStep:
    """The step after this one; all that come before step `due`, which somebody waits for, are made in advance."""
    following = None
    for number in range(due - 1, step.number, -1):
        made = OpenStep(number, 0, step.phase)
        made.following, following = following, made
    assert following is not None  # `due` is a later one
    return following


def _parts(recorder: Any, slow: Any) -> tuple[Any, Any, Any]:
    """Whose state it is, and the function that is hooked."""
    return recorder._detector, recorder._data_wait, slow.__wrapped__
