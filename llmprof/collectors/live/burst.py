"""How does one rank trace the steps of one plan: arm, record, write, settle, and end early where it must?

Part A, for time, traces `steps` steps (CPU and CUDA, no shapes); part B, for names and sizes, the `shape_steps` steps
after them (CPU with input shapes). Operators of A and B pair up by their order, so B needs no device activity.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from llmprof.collectors.live.burst_limits import BurstLimits, is_whole, resident_memory
from llmprof.collectors.live.burst_plan import SETTLE_STEPS, BurstPlan
from llmprof.collectors.live.profiler_session import ProfilerSession, Teardown, cuda_in_use, refusal, uses_cuda_graphs
from llmprof.timeline import rundir

if TYPE_CHECKING:
    from llmprof.collectors.live.session import Session

__all__ = ["Burst", "rearm_refusal"]

REARMING_CUDA = (12, 6)
"""Before CUDA 12.6 a second start of CUPTI makes replays of CUDA graphs fail."""


class Burst:
    """The steps of one plan on one rank. `boundary` is called at every step from `plan.arm_step` on."""

    def __init__(self, session: Session, plan: BurstPlan, written: Callable[[dict[str, Any]], None]) -> None:
        """`written` gets what rank.json is to say, whenever a file is there."""
        self.plan = plan
        self.done = False
        self._written = written
        self._report: dict[str, Any] = {}
        self._session = session
        self._recording: ProfilerSession | None = None
        self._limits: BurstLimits | None = None
        self._traced: list[int] = []
        self._over_at: int | None = None
        self._phase_after = "after"
        self._teardown = Teardown()

    def boundary(self, now: int) -> None:
        """Step `now` begins."""
        if self._over_at is not None:
            if now >= self._over_at:
                self._settle()
        elif self._recording is None:
            if now >= self.plan.arm_step:
                self._arm(now)
        elif self._recording.shapes:
            self._continue_shapes(self._recording, now)
        else:
            self._continue_times(self._recording, now)

    def close(self, reason: str, *, detach: bool = False) -> None:
        """No boundary follows: keep what there is. `detach` where the process goes on, and CUPTI may be torn down."""
        if self.done:
            return
        if self._recording is not None:
            self._cut_short(reason, detach=detach)
        self._settle()

    def fail(self) -> str:
        """Something of this raised: no profiler may stay behind. Returns what went wrong then, if anything."""
        recording, self._recording = self._recording, None
        trouble = ""
        try:
            if recording is not None:
                recording.stop()
        except Exception as error:
            trouble = f"; then, while stopping the profiler, {type(error).__name__}: {error}"
        self._settle()
        return trouble

    # From step to step

    def _arm(self, now: int) -> None:
        if self._session.phase == "warmup":  # a burst that was asked for so early comes before the baseline
            self._phase_after = "warmup"
        self._session.phase = "unsteady"
        reason = refusal() or (rearm_refusal() if self.plan.burst else None)
        if now > self.plan.arm_step:
            reason = f"this rank learned at step {now} of a burst that was to be armed before step {self.plan.arm_step}"
        if reason is not None:
            self._over_at = self.plan.settled_step
            self._session.event("burst_skipped", burst=self.plan.burst, reason=reason)
            return
        self._record(now, self.plan.first_step, shapes=False)

    def _record(self, now: int, first_step: int, *, shapes: bool) -> None:
        cuda = cuda_in_use() and not shapes
        stacks = {"stacks": True} if shapes and self.plan.stacks else {}
        self._recording = ProfilerSession(
            first_step=first_step, shapes=shapes, cuda=cuda, intruded=self._make_way, **stacks
        )
        self._recording.start(now)
        ranks = int(os.environ.get("LOCAL_WORLD_SIZE") or self._session.world_size or 1)
        self._limits = BurstLimits(self._session.rank_dir, shapes=shapes, ranks=ranks, resident=resident_memory)
        if now >= first_step:
            self._begin_watch()

    def _continue_times(self, recording: ProfilerSession, now: int) -> None:
        plan = self.plan
        if now > plan.first_step:
            self._traced.append(now - 1)
        if now < plan.shapes_step:
            recording.step(now)
            self._session.phase = "traced" if now >= plan.first_step else "unsteady"
            if now == plan.first_step:
                self._begin_watch()
            elif now > plan.first_step:
                self._look(force=True)
            return
        self._session.phase = "unsteady"
        self._finish_times(recording, detach=plan.shape_steps == 0, complete=True)
        if plan.shape_steps == 0:
            self._over_at = plan.settled_step
        elif self._over_at is None:
            self._record(now, now, shapes=True)

    def _continue_shapes(self, recording: ProfilerSession, now: int) -> None:
        if now < self.plan.end_step:
            recording.step(now)
            self._look(force=True)
        else:
            self._over_at = self.plan.settled_step
            self._finish_shapes(recording, detach=True)

    def _settle(self) -> None:
        self.done = True
        self._session.during_step = None
        if self._session.phase in ("traced", "unsteady"):
            self._session.phase = self._phase_after
        self._teardown.settle()

    # Limits

    def _begin_watch(self) -> None:
        """Also inside steps: one of many microbatches may take minutes."""
        assert self._limits is not None
        self._session.during_step = self._look_within
        reason = self._limits.begin()
        if reason is not None:
            self._cut_short(reason, detach=True)

    def _look_within(self) -> None:
        began = perf_counter_ns()
        self._look()
        if self._recording is None:
            self._session.note_apart("burst", began, perf_counter_ns())

    def _look(self, *, force: bool = False) -> None:
        reason = self._limits.too_large(force=force) if self._limits is not None else None
        if reason is not None and self._recording is not None:
            self._cut_short(reason, detach=True)

    # Writing

    def _finish_times(self, recording: ProfilerSession, *, detach: bool, complete: bool) -> None:
        """Stop part A and write it.

        CUPTI stays attached until part B has ended: its teardown runs on another thread at some later CUDA call, and
        must not meet a session that starts (pytorch/kineto pull request 1554).
        """
        trace, _ = rundir.trace_files(self.plan.burst)
        self._report = {
            "burst": self.plan.burst,
            "cause": self.plan.cause,
            "steps": self._traced,
            "complete": complete,
            "file": trace,
            "shapes_file": None,
            "cupti_torn_down": None,
        }
        if recording.cuda:
            self._report["cupti_reason"] = self._teardown.refusal()
            self._request_teardown(detach)
        if self._stop_and_write(recording, trace):
            self._written(dict(self._report))

    def _finish_shapes(self, recording: ProfilerSession, *, detach: bool) -> None:
        if "cupti_reason" in self._report:
            self._request_teardown(detach)
        _, shapes = rundir.trace_files(self.plan.burst)
        if self._stop_and_write(recording, shapes):
            self._report["shapes_file"] = shapes
        self._written(dict(self._report))

    def _stop_and_write(self, recording: ProfilerSession, name: str) -> bool:
        """Returns whether there is a whole file now; when not, the reason is an event."""
        limits, self._limits = self._limits, None
        self._recording = None
        self._session.during_step = None
        reason = limits.no_space() if limits is not None else None
        recording.stop()
        path = self._session.rank_dir / name
        if reason is None:
            recording.export(path)
            if is_whole(path):
                return True
            path.unlink(missing_ok=True)
            reason = "the profiler could not write its file to the end; the disk is full, it seems"
        self._over_at = self._session.current_step + SETTLE_STEPS
        self._session.event("burst_cut_short", burst=self.plan.burst, reason=f"{name} is missing: {reason}")
        return False

    def _request_teardown(self, detach: bool) -> None:
        """Of the session that is about to stop, unless something speaks against it."""
        allowed = self._report["cupti_reason"] is None
        self._report["cupti_torn_down"] = allowed and detach
        if allowed:
            self._teardown.request(detach)

    # Ending early

    def _make_way(self) -> None:
        """The script starts a profiler of its own during the burst: it must find none running."""
        try:
            self._cut_short("the script started its own torch.profiler during the burst", detach=False)
        except Exception as error:
            self._session.disarm("torch_trace", f"{type(error).__name__}: {error}{self.fail()}")

    def _cut_short(self, reason: str, *, detach: bool) -> None:
        """Stop now; keep a recording that holds at least one whole step.

        CUPTI is left attached where the process ends, or the script's own profiler needs it.
        """
        recording = self._recording
        assert recording is not None
        self._session.phase = "unsteady"
        self._over_at = self._session.current_step + SETTLE_STEPS
        self._session.event("burst_cut_short", burst=self.plan.burst, reason=reason)
        if recording.shapes:
            self._finish_shapes(recording, detach=detach)
        elif self._traced:
            self._finish_times(recording, detach=detach, complete=False)
        else:
            self._recording = None
            recording.stop()


def rearm_refusal() -> str | None:
    """Why the profiler cannot be started again in this process; None when it can."""
    torch: Any = import_module("torch")
    version = str(getattr(torch.version, "cuda", None) or "")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers and numbers < REARMING_CUDA and cuda_in_use() and uses_cuda_graphs():
        return (
            f"CUDA graphs are in use, and with CUDA {version} their replays do not survive a second start of the "
            "profiler; arming again needs CUDA 12.6 or newer"
        )
    return None
