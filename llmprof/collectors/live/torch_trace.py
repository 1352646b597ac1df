"""Which kernels and operators make up a step? The bursts: a few steady steps under the PyTorch profiler.

Every run has one burst of its own, after its baseline; others follow when somebody asks (burst_requests.py). All ranks
trace the same steps without a collective of ours: rank 0 writes burst.json well ahead, the others look for it from
threads that do nothing but stat.
"""

from __future__ import annotations

import threading
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from llmprof.collectors.live.burst import Burst
from llmprof.collectors.live.burst_plan import EARLIEST_STEP, SHAPE_STEPS, TRACE_STEPS, BurstPlan
from llmprof.collectors.live.burst_requests import PlanWatch, Requests, read_plan
from llmprof.collectors.live.collector import NEVER
from llmprof.collectors.live.own_burst import POLL_S, OwnBurst, count_of

if TYPE_CHECKING:
    from llmprof.collectors.live.collector import StepRecord
    from llmprof.collectors.live.session import Session

__all__ = ["TorchTrace"]


class TorchTrace:
    """All bursts of one rank as a collector that is called near a burst only; refusals leave an event."""

    name = "torch_trace"

    def __init__(self) -> None:
        self.next_step = 0
        self._session: Session | None = None
        self._requests: Requests | None = None
        self._own: OwnBurst | None = None  # the run's own burst, while it is being planned
        self._longer: OwnBurst | None = None  # it was shortened for a run that may be longer than thought
        self._planned: BurstPlan | None = None  # announced, and not begun
        self._burst: Burst | None = None
        self._reports: list[dict[str, Any]] = []
        self._uninformed = False  # this rank has heard of no burst yet
        self._heard = -1  # number of the latest burst that it has heard of
        self._closed = threading.Event()

    def start(self, session: Session) -> None:
        """Read the options; a given step (`burst_at`) is the plan, else rank 0 makes one and the others wait for it."""
        self._session = session
        if session.rank == 0:
            self._requests = Requests(session, self._why_not_now, self._adopt)
        else:
            session.every_flush.append(PlanWatch(session, self._adopt).look)
        steps = count_of(session.options, "trace_steps", TRACE_STEPS)
        self.next_step = NEVER
        if steps == 0:
            session.set_collector(self.name, "absent", "tracing was switched off (trace_steps is 0)")
        elif session.options.get("burst_at") is not None:
            first = max(count_of(session.options, "burst_at", 0), EARLIEST_STEP)
            shape_steps = count_of(session.options, "shape_steps", SHAPE_STEPS)
            plan = BurstPlan(first_step=first, steps=steps, shape_steps=shape_steps, attempt=session.rank_dir.suffix)
            self._adopt(plan if self._requests is None else self._requests.announce(plan))
        elif self._requests is not None:
            self._own = OwnBurst(session)
            self.next_step = 0
        else:
            self._uninformed = True
            threading.Thread(target=self._await_plan, name="llmprof-burst", daemon=True).start()

    def on_step(self, record: StepRecord) -> None:
        """At the boundary after step n: plan, arm, mark, write or settle."""
        session = self._session
        if session is None or self._closed.is_set():
            return
        began = perf_counter_ns()
        try:
            self._boundary(session, record, int(record["n"]) + 1)
        except Exception as error:
            trouble = self._burst.fail() if self._burst is not None else ""
            self.next_step, self._burst = NEVER, None
            self._closed.set()
            session.disarm(self.name, f"{type(error).__name__}: {error}{trouble}")
        if self._burst is not None:
            session.note_apart("burst", began, perf_counter_ns())
            if self._burst.done:
                self._burst = None

    def abandon(self, reason: str) -> None:
        """Steps are not seen any more, or this was found too dear: no profiler may stay behind."""
        self._closed.set()
        self.next_step, self._planned, self._own = NEVER, None, None
        if self._burst is not None:
            self._burst.close(reason, detach=True)

    def stop(self) -> None:
        """The run ends: keep what a recording in progress has; say why when nothing was traced."""
        session = self._session
        if session is None or self._closed.is_set():
            return
        self._closed.set()
        if self._burst is not None:
            self._burst.close("the run ended during the burst")
        elif self._planned is not None:
            reason = f"the run ended before step {self._planned.first_step}, where the burst was to begin"
            session.event("burst_skipped", burst=self._planned.burst, reason=reason)
        elif self._own is not None:
            session.event("burst_skipped", burst=0, reason=self._own.why_never())
        elif self._uninformed:
            reason = "rank 0 announced no burst (the run was too short, or the ranks do not share the run directory)"
            session.event("burst_skipped", burst=0, reason=reason)

    # In the training thread

    def _boundary(self, session: Session, record: StepRecord, now: int) -> None:
        requests = self._requests
        if self._own is not None and requests is not None:
            plan = self._own.decide(record)
            if plan is not None:
                self._longer = self._own if self._own.longer_after is not None else None
                self._own = None
                self._adopt(requests.announce(plan))
        elif self._longer is not None and requests is not None and self._why_not_now() is None:
            self._go_on(self._longer, requests, now)
        planned = self._planned
        if planned is not None and self._burst is None:
            if now >= planned.arm_step:
                self._planned, self._burst = None, Burst(session, planned, self._written)
            elif planned.burst and session.phase == "after":
                session.phase = "baseline"  # of that burst
        if self._burst is not None:
            self._burst.boundary(now)
        self.next_step = self._wanted_after(now)

    def _wanted_after(self, now: int) -> int:
        """The step after which something has to be done, at the boundary before step `now`."""
        if self._burst is not None and not self._burst.done:
            return now
        if self._planned is not None:
            return self._planned.arm_step - 1
        if self._own is not None:
            return self._own.next_step
        if self._longer is not None:
            return max(now, self._longer.longer_after or 0)
        return NEVER

    def _go_on(self, longer: OwnBurst, requests: Requests, now: int) -> None:
        """The own burst was shortened for a run that has turned out longer: here is the whole one."""
        if now <= (longer.longer_after or 0):
            return
        self._longer = None
        plan = requests.affordable(longer.full_plan(now))
        if plan is not None:
            self._adopt(requests.announce(plan))

    def _written(self, report: dict[str, Any]) -> None:
        """A part of a burst is on the disk."""
        others = [one for one in self._reports if one["burst"] != report["burst"]]
        self._reports = [*others, report]
        latest = next((one for one in reversed(self._reports) if one["complete"]), report)
        if self._session is not None:
            self._session.update_rank(trace=latest, bursts=self._reports)

    # From any thread

    def _adopt(self, plan: BurstPlan) -> None:
        """A burst is to come, and this rank knows of it; two watches read burst.json, and both find every plan."""
        if plan.burst <= self._heard:
            return
        self._heard, self._uninformed = plan.burst, False
        self._planned = plan
        self.next_step = 0
        if self._session is not None:
            self._session.wake()

    def _why_not_now(self) -> str | None:
        """Why no burst can be planned at the moment."""
        planned = self._planned
        if self._closed.is_set():
            return "tracing was switched off earlier in this run; ranks/*/log.txt says why"
        if self._own is not None:
            return "the run's own burst is still to come, after its baseline; ask again after it"
        if planned is not None:
            return f"one is planned already, from step {planned.first_step} on"
        return "one is under way; ask again in a moment" if self._burst is not None else None

    def _await_plan(self) -> None:
        """On ranks other than 0: look for the first plan often."""
        while self._session is not None and not self._closed.wait(POLL_S) and self._uninformed:
            plan = read_plan(self._session)
            if plan is not None and self._uninformed:
                self._adopt(plan)
