"""Which kernels and operators make up a step? The burst: a few steady steps under the PyTorch profiler.

Part A, for time, traces `trace_steps` steps (CPU and CUDA, no shapes); part B, for names and sizes, the `shape_steps`
steps after them (CPU with input shapes). Operators of A and B pair up by their order, so B needs no device activity.

All ranks trace the same steps without a collective of ours: rank 0 writes burst.json well ahead, the others look for
it from a thread that does nothing but stat.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from llmprof.collectors.live.collector import NEVER
from llmprof.collectors.live.profiler_session import ProfilerSession, Teardown, cuda_in_use, refusal
from llmprof.timeline.rundir import BURST, TRACE, TRACE_SHAPES, write_json_atomic

if TYPE_CHECKING:
    from llmprof.collectors.live.collector import StepRecord
    from llmprof.collectors.live.session import Session

__all__ = ["BurstPlan", "TorchTrace"]

BASELINE_STEPS = 20
BASELINE_NS, BASELINE_AT_MOST = 2_000_000_000, 60
"""Short steps are timed for longer than 20 of them, since one busy moment of the machine would sway their mean."""
TRACE_STEPS = 4
SHAPE_STEPS = 1
ARM_STEPS = 2
"""Steps between preparing the profiler, which starts CUPTI, and the first traced one."""
SETTLE_STEPS = 2
"""Steps after the last export that still pay for it."""
LEAD_STEPS = 20
LEAD_NS = 2_000_000_000
"""How far ahead rank 0 announces the burst to other ranks, the larger of the two: shared folders can be slow."""
POLL_S = 0.2
EARLIEST_STEP = 1 + ARM_STEPS
"""Step 0 is over before collectors start, so arming can begin at step 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstPlan:
    """Which steps are traced. `attempt` tells the plan of a restarted job from that of the job before it."""

    first_step: int
    steps: int
    shape_steps: int
    attempt: str = ""

    @property
    def arm_step(self) -> int:
        """The step before which the profiler is prepared."""
        return self.first_step - ARM_STEPS

    @property
    def shapes_step(self) -> int:
        """The step after the last one of part A: the first of part B."""
        return self.first_step + self.steps

    @property
    def end_step(self) -> int:
        """The first step without a profiler."""
        return self.shapes_step + self.shape_steps

    @property
    def settled_step(self) -> int:
        """The first step that counts as unprofiled again."""
        return self.end_step + SETTLE_STEPS


class TorchTrace:
    """The burst as a collector: microseconds a step unless the profiler is due; refusals leave an event."""

    name = "torch_trace"

    def __init__(self) -> None:
        self.next_step = 0  # at every step, until the burst is over
        self._burst: _Burst | None = None

    def start(self, session: Session) -> None:
        """Read the options; a given step (`burst_at`) is the plan, else rank 0 makes one and the others wait for it."""
        if _count(session.options, "trace_steps", TRACE_STEPS) == 0:
            session.set_collector(self.name, "absent", "tracing was switched off (trace_steps is 0)")
            self.next_step = NEVER
            return
        self._burst = _Burst(session, self.name)

    def on_step(self, record: StepRecord) -> None:
        """At the boundary after step n: plan, arm, mark, flush or settle."""
        burst = self._burst
        if burst is not None and not burst.done:
            burst.boundary(record)
            if burst.done:
                self.next_step = NEVER

    def stop(self) -> None:
        """The run ends: keep what a recording in progress has."""
        if self._burst is not None:
            self._burst.close()


class _Burst:
    """The burst of one rank, from waiting for its plan to the first settled step after it."""

    def __init__(self, session: Session, name: str) -> None:
        self.done = False
        self._session = session
        self._name = name
        given = session.options.get("baseline_steps")
        self._baseline_wanted = BASELINE_STEPS if given is None else max(int(given), 1)
        self._baseline_at_most = BASELINE_AT_MOST if given is None else self._baseline_wanted
        self._baseline_walls: list[int] = []
        self._plan: BurstPlan | None = None
        self._recording: ProfilerSession | None = None
        self._traced: list[int] = []
        self._sitting_out = False
        self._phase_after = "after"
        self._report: dict[str, Any] = {}
        self._teardown = Teardown()
        self._closed = threading.Event()
        if session.options.get("burst_at") is not None:
            self._announce(max(_count(session.options, "burst_at", 0), EARLIEST_STEP))
        elif session.rank != 0:
            threading.Thread(target=self._wait_for_plan, name="llmprof-burst", daemon=True).start()

    def boundary(self, record: StepRecord) -> None:
        """Step n of the record has ended, step n + 1 begins."""
        now = int(record["n"]) + 1
        try:
            if self._plan is None and self._session.rank == 0:
                self._decide(record, now)
            plan = self._plan
            if plan is not None and now >= plan.arm_step:
                self._advance(plan, now)
        except Exception as error:
            self._fail(error)

    def close(self) -> None:
        """Stop and keep what there is; say why when nothing was traced."""
        self._closed.set()
        if self.done:
            return
        self.done = True
        if self._recording is not None:
            self._give_up("the run ended during the burst")
        elif not self._traced and not self._sitting_out:
            self._session.event("burst_skipped", reason=self._why_never())
        self._teardown.settle()

    # Planning

    def _decide(self, record: StepRecord, now: int) -> None:
        """Rank 0: announce the burst once enough baseline steps have passed."""
        if record.get("phase") != "baseline":
            return
        walls = self._baseline_walls
        walls.append(int(record["wall"]))
        if len(walls) < self._baseline_wanted or (len(walls) < self._baseline_at_most and sum(walls) < BASELINE_NS):
            return
        lead = 1
        if (self._session.world_size or 1) > 1:
            recent = walls[-BASELINE_STEPS:]
            lead = max(LEAD_STEPS, math.ceil(LEAD_NS * len(recent) / max(sum(recent), 1)))
        self._announce(now + lead + ARM_STEPS)

    def _announce(self, first_step: int) -> None:
        options = self._session.options
        plan = BurstPlan(
            first_step=first_step,
            steps=_count(options, "trace_steps", TRACE_STEPS),
            shape_steps=_count(options, "shape_steps", SHAPE_STEPS),
            attempt=self._session.rank_dir.suffix,
        )
        if self._session.rank == 0:
            write_json_atomic(self._session.run_dir / BURST, asdict(plan))
        self._plan = plan

    def _wait_for_plan(self) -> None:
        """Other ranks, in a thread of their own: adopt rank 0's plan when it appears."""
        path = self._session.run_dir / BURST
        seen = 0
        while not self._closed.wait(POLL_S):
            try:
                changed = os.stat(path).st_mtime_ns
                if changed == seen:
                    continue
                seen = changed
                plan = BurstPlan(**json.loads(path.read_text("utf-8")))
            except (OSError, ValueError, TypeError):
                continue
            if plan.attempt == self._session.rank_dir.suffix:
                self._plan = plan
                return

    def _why_never(self) -> str:
        if self._plan is not None:
            return f"the run ended before step {self._plan.first_step}, where the burst was to begin"
        if self._session.rank != 0:
            return "rank 0 announced no burst (the run was too short, or the ranks do not share the run directory)"
        return f"the run ended after {len(self._baseline_walls)} of {self._baseline_wanted} baseline steps"

    # Recording

    def _advance(self, plan: BurstPlan, now: int) -> None:
        """One boundary inside the neighbourhood of the burst."""
        if now >= plan.settled_step and self._recording is None:
            self._session.phase = self._phase_after
            self._teardown.settle()
            self.done = True
        elif self._recording is None:
            if not self._traced and not self._sitting_out:
                self._arm(plan, now)
        elif self._recording.shapes:
            self._continue_shapes(plan, now)
        else:
            self._continue_times(plan, now)

    def _arm(self, plan: BurstPlan, now: int) -> None:
        if self._session.phase == "warmup":  # a burst that was asked for so early comes before the baseline
            self._phase_after = "warmup"
        self._session.phase = "unsteady"
        reason = refusal()
        if now > plan.arm_step:
            reason = f"this rank learned at step {now} of a burst that was to be armed before step {plan.arm_step}"
        if reason is not None:
            self._sitting_out = True
            self._session.event("burst_skipped", reason=reason)
            return
        self._recording = ProfilerSession(
            first_step=plan.first_step, shapes=False, cuda=cuda_in_use(), intruded=self._make_way
        )
        self._recording.start(now)

    def _continue_times(self, plan: BurstPlan, now: int) -> None:
        assert self._recording is not None
        if now > plan.first_step:
            self._traced.append(now - 1)
        if now < plan.shapes_step:
            self._recording.step(now)
            self._session.phase = "traced" if now >= plan.first_step else "unsteady"
            return
        self._session.phase = "unsteady"
        self._finish_times(detach=plan.shape_steps == 0)
        if plan.shape_steps > 0:
            self._recording = ProfilerSession(first_step=now, shapes=True, cuda=False, intruded=self._make_way)
            self._recording.start(now)

    def _continue_shapes(self, plan: BurstPlan, now: int) -> None:
        assert self._recording is not None
        if now < plan.end_step:
            self._recording.step(now)
        else:
            self._finish_shapes(self._recording, detach=True)

    def _finish_times(self, *, detach: bool) -> None:
        """Stop part A and write it.

        CUPTI stays attached until part B has ended: its teardown runs on another thread at some later CUDA call, and
        must not meet a session that starts (pytorch/kineto pull request 1554).
        """
        recording = self._recording
        assert recording is not None
        self._report = {"steps": self._traced, "file": TRACE, "shapes_file": None, "cupti_torn_down": None}
        if recording.cuda:
            self._report["cupti_reason"] = self._teardown.refusal()
            self._request_teardown(detach)
        self._recording = None
        recording.stop()
        recording.export(self._session.rank_dir / TRACE)
        self._session.update_rank(trace=self._report)

    def _finish_shapes(self, recording: ProfilerSession, *, detach: bool) -> None:
        if "cupti_reason" in self._report:
            self._request_teardown(detach)
        self._recording = None
        recording.stop()
        recording.export(self._session.rank_dir / TRACE_SHAPES)
        self._report["shapes_file"] = TRACE_SHAPES
        self._session.update_rank(trace=self._report)

    def _request_teardown(self, detach: bool) -> None:
        """Of the session that is about to stop, unless something speaks against it."""
        allowed = self._report["cupti_reason"] is None
        self._report["cupti_torn_down"] = allowed and detach
        if allowed:
            self._teardown.request(detach)

    # Ending early

    def _make_way(self) -> None:
        """The script starts a profiler of its own during the burst: it must find none running."""
        self._sitting_out = True
        try:
            self._give_up("the script started its own torch.profiler during the burst")
        except Exception as error:
            self._fail(error)

    def _give_up(self, reason: str) -> None:
        """Stop now; keep a recording that holds at least one whole step.

        CUPTI is left attached: the process ends, or the script's own profiler needs it.
        """
        recording = self._recording
        assert recording is not None
        self._session.event("burst_cut_short", reason=reason)
        if recording.shapes:
            self._finish_shapes(recording, detach=False)
        elif self._traced:
            self._finish_times(detach=False)
        else:
            self._recording = None
            recording.stop()

    def _fail(self, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        recording, self._recording = self._recording, None
        self.done = True
        if recording is not None:
            try:
                recording.stop()
            except Exception as second:
                reason += f"; then, while stopping the profiler, {type(second).__name__}: {second}"
        if self._session.phase in ("traced", "unsteady"):
            self._session.phase = self._phase_after
        self._teardown.settle()
        self._session.disarm(self._name, reason)


def _count(options: Mapping[str, Any], key: str, default: int) -> int:
    value = options.get(key)
    return default if value is None else max(int(value), 0)
