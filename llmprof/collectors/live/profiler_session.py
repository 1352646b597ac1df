"""How is torch.profiler driven in somebody else's training? With the run's step numbers, no clash, and no residue."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["ProfilerSession", "Teardown", "cuda_in_use", "refusal", "uses_cuda_graphs"]


TEARDOWN_CALLS = 8
"""CUDA calls after which a teardown has run, in a process that makes none of its own: one is enough for kineto."""


class ProfilerSession:
    """One session of torch.profiler whose ProfilerStep annotations carry the run's own step numbers."""

    def __init__(
        self, *, first_step: int, shapes: bool, cuda: bool, intruded: Callable[[], None], stacks: bool = False
    ) -> None:
        profiler: Any = import_module("torch.profiler")
        action, activity = profiler.ProfilerAction, profiler.ProfilerActivity

        self.shapes = shapes
        self.cuda = cuda
        self._intruded = intruded
        self._restore_prepare: Any = None

        def schedule(step: int) -> Any:
            return action.WARMUP if step < first_step else action.RECORD

        # The profiler asks for the action of step 0 when it is made, and again at every step(): `start` puts its
        # counter to the run's step, and sets the action that goes with it.
        self._schedule = schedule
        with _quiet():
            self._profiler = profiler.profile(
                activities=[activity.CPU, *([activity.CUDA] if cuda else [])],
                schedule=schedule,
                record_shapes=shapes,
                with_stack=stacks,
                experimental_config=_experimental_config(cuda and not uses_cuda_graphs()),
            )

    def start(self, now: int) -> None:
        """Prepare the profiler; record at once when `now` is the first step."""
        self._profiler.step_num = now
        self._profiler.current_action = self._schedule(now)
        with _quiet():
            self._profiler.start()
        self._guard()

    def step(self, now: int) -> None:
        """Step `now` begins."""
        self._profiler.step_num = now - 1
        with _quiet():
            self._profiler.step()

    def stop(self) -> None:
        """Stop recording; the current ProfilerStep annotation ends here. Waits for the device, as the profiler does."""
        if self._restore_prepare is not None:
            self._restore_prepare()
        with _quiet():
            self._profiler.__exit__(None, None, None)

    def export(self, path: Path) -> None:
        """Write the trace under a name of its own first, so that a kill leaves no half file under the final one."""
        partial = path.with_name(path.name + ".partial.json")
        self._profiler.export_chrome_trace(str(partial))
        os.replace(partial, path)

    def _guard(self) -> None:
        """Two profilers on one thread raise in whoever comes second; that must never be the script."""
        cls: Any = import_module("torch.autograd.profiler").profile
        original = cls._prepare_trace
        own, caller = self._profiler, self._intruded

        def guarded(profiler: Any) -> Any:
            if profiler is not own.profiler:
                caller()
            return original(profiler)

        def restore() -> None:
            cls._prepare_trace = original
            self._restore_prepare = None

        cls._prepare_trace = guarded
        self._restore_prepare = restore


class Teardown:
    """Detaching CUPTI after the burst, through the variable that kineto reads when a session stops.

    While CUPTI stays attached, the run stays 10 to 20 % slower (pytorch pull request 146604). Where CUDA graphs are in
    use it stays attached all the same: on an H200 with CUDA 13.0 and torch 2.11 the first replay after a burst with
    teardown failed with a launch failure, and older versions are known to crash (torch/profiler/profiler.py). Kineto
    finishes a teardown inside some later CUDA call; a process that ends before one hangs (seen on the same machine),
    so that no teardown may be asked for at the end of a run, and the variable must not stay for a profiler that the
    script itself uses last.
    """

    VARIABLE = "TEARDOWN_CUPTI"

    def __init__(self) -> None:
        self._given = os.environ.get(self.VARIABLE)
        self._pending = False

    def refusal(self) -> str | None:
        """Why CUPTI has to stay attached; None when it may be torn down."""
        if self._given is not None and self._given != "1":
            return f"{self.VARIABLE}={self._given} was set before the burst"
        if uses_cuda_graphs():
            return "CUDA graphs are in use, and their replays do not survive it"
        return None

    def request(self, detach: bool) -> None:
        """Whether the session that stops next detaches CUPTI."""
        os.environ[self.VARIABLE] = "1" if detach else "0"
        self._pending = detach

    def settle(self) -> None:
        """The variable is again what it was; a teardown that waits for a CUDA call gets one that waits for nothing."""
        if self._given is None:
            os.environ.pop(self.VARIABLE, None)
        else:
            os.environ[self.VARIABLE] = self._given
        if self._pending:
            self._pending = False
            torch: Any = import_module("torch")
            for _ in range(TEARDOWN_CALLS):
                torch.cuda.current_stream().query()


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of the profiler's own talk reaches the script's output.

    Kineto reads its log level once, when the first session is prepared; from torch 2.13 on it greets on stderr. The
    Python side warns about cycles and accumulated events, none of which the script asked for.
    """
    given = os.environ.get("KINETO_LOG_LEVEL")
    if given is None:
        os.environ["KINETO_LOG_LEVEL"] = "99"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if given is None:
            os.environ.pop("KINETO_LOG_LEVEL", None)


def refusal() -> str | None:
    """Why the profiler must not be used in this process; None when it may."""
    torch: Any = import_module("torch")
    if os.environ.get("NSYS_PROFILING_SESSION_ID"):
        return "nsys is recording this process, and CUPTI serves one profiler at a time"
    steppers = getattr(getattr(torch.autograd.profiler, "KinetoStepTracker", None), "_step_dict", {})
    if torch.autograd._profiler_enabled() or "ProfilerStep" in steppers:
        return "the script uses torch.profiler itself"
    return None


def cuda_in_use() -> bool:
    """Whether this process uses a CUDA device that the profiler can trace; never initialises CUDA."""
    torch: Any = import_module("torch")
    profiler: Any = import_module("torch.profiler")
    return bool(torch.cuda.is_initialized()) and profiler.ProfilerActivity.CUDA in profiler.supported_activities()


def uses_cuda_graphs() -> bool:
    """Whether the allocator holds a private pool, which is what a captured graph leaves."""
    torch: Any = import_module("torch")
    return any(segment.get("segment_pool_id", (0, 0)) != (0, 0) for segment in torch.cuda.memory_snapshot())


def _experimental_config(sync_events: bool) -> Any:
    """Sync events where wanted; no Python event objects (torch 2.13 on), which only make stopping slower."""
    config: Any = import_module("torch._C._profiler")._ExperimentalConfig
    wanted = {"enable_cuda_sync_events": True} if sync_events else {}
    try:
        return config(**wanted, trace_only=True)
    except TypeError:
        return config(**wanted)
