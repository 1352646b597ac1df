"""Who asks for a burst in the course of the run, is it granted, and how do all ranks learn of it?

Everything here runs in the writing thread, every FLUSH_S seconds. Rank 0 looks for trigger.json (`llmprof trigger`),
watches the step time, answers, and writes burst.json well ahead; the other ranks look for burst.json.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from llmprof.collectors.live.burst import rearm_refusal
from llmprof.collectors.live.burst_plan import ARM_STEPS, BurstPlan
from llmprof.collectors.live.profiler_session import refusal
from llmprof.collectors.live.regression import StepWatch
from llmprof.errors import LlmprofError
from llmprof.timeline import rundir
from llmprof.units import NS_PER_S

if TYPE_CHECKING:
    from llmprof.collectors.live.session import Session

__all__ = ["PlanWatch", "Requests", "read_plan"]

MOST_TRACED_STEPS = 10
"""Traced steps of a run, of all its bursts (option `most_traced_steps`); who asks for more by name gets more."""
MOST_ON_REQUEST = 50
"""Of one burst, whoever asks."""
REQUESTED_STEPS, REQUESTED_SHAPE_STEPS = 4, 1
LEAD_STEPS = 24
"""How far ahead a burst is announced: the training thread looks for news every 16 steps at the latest."""
LEAD_NS = 6_000_000_000
"""The same where other ranks have to hear of it: they look every two seconds, and shared folders can be slow."""


class Requests:
    """On rank 0: bursts that are asked for, within the number of traced steps that a run may have."""

    def __init__(self, session: Session, busy: Callable[[], str | None], adopt: Callable[[BurstPlan], None]) -> None:
        """`busy` says why no burst can be planned now; `adopt` takes a plan that has been announced."""
        given = session.options.get("most_traced_steps")
        self._most = MOST_TRACED_STEPS if given is None else max(int(given), 0)
        self._session = session
        self._busy = busy
        self._adopt = adopt
        self._watch = StepWatch()
        self._slower: str | None = None
        self._asked_by_itself = False
        self._traced = 0
        self._bursts = 0
        self._seen = _changed(session.run_dir / rundir.TRIGGER)  # was meant for the job before a restart
        session.on_lines.append(self._see)
        session.every_flush.append(self.look)

    def announce(self, plan: BurstPlan) -> BurstPlan:
        """Write burst.json; the plan has its number then."""
        plan = replace(plan, burst=self._bursts, attempt=self._session.rank_dir.suffix)
        rundir.write_json_atomic(self._session.run_dir / rundir.BURST, asdict(plan))
        self._bursts += 1
        self._traced += plan.traced
        return plan

    def affordable(self, plan: BurstPlan) -> BurstPlan | None:
        """As much of the plan as the run may still trace and the profiler can be started for."""
        steps, shape_steps = self.room_for(plan.steps, plan.shape_steps)
        if steps == 0 or rearm_refusal() is not None:
            return None
        return replace(plan, steps=steps, shape_steps=shape_steps)

    def room_for(self, steps: int, shape_steps: int) -> tuple[int, int]:
        """As many of these steps as the run may still trace."""
        left = max(self._most - self._traced, 0)
        steps = min(steps, left)
        return steps, min(shape_steps, left - steps)

    def look(self) -> None:
        """Is there a new request?"""
        request = self._new_request()
        if request is not None:
            answer = {"id": request.get("id"), **self._answer(request)}
            rundir.write_json_atomic(self._session.run_dir / rundir.TRIGGER_ANSWER, answer)
        if self._slower is not None and not self._asked_by_itself and self._busy() is None:
            self._asked_by_itself = True
            self._regressed(self._slower)

    def _see(self, filename: str, line: Mapping[str, Any]) -> None:
        if filename == rundir.STEPS:
            self._slower = self._watch.add(line) or self._slower

    def _new_request(self) -> dict[str, Any] | None:
        path = self._session.run_dir / rundir.TRIGGER
        changed = _changed(path)
        if changed == self._seen:
            return None
        self._seen = changed
        try:
            return rundir.read_json(path)
        except LlmprofError:
            return None

    def _answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        steps, shape_steps = _count(request.get("steps")), _count(request.get("shape_steps"))
        shape_steps = REQUESTED_SHAPE_STEPS if shape_steps is None else min(shape_steps, MOST_ON_REQUEST)
        if steps is None:
            steps, shape_steps = self.room_for(REQUESTED_STEPS, shape_steps)
        else:  # by name
            steps = min(steps, MOST_ON_REQUEST)
        stacks = bool(request.get("stacks"))
        if stacks and steps:  # they are a part of part B
            shape_steps = max(shape_steps, 1)
        reason = self._busy() or refusal() or (rearm_refusal() if self._bursts else None)
        if reason is None and steps == 0:
            reason = (
                f"the {self._most} steps that a run may trace are used up; `llmprof trigger --steps N` traces more all "
                "the same"
            )
        if reason is not None:
            return {"accepted": False, "message": f"no burst: {reason}"}
        plan = self._plan(steps, shape_steps, "trigger", stacks=stacks)
        return {"accepted": True, "message": self._promise(plan), **asdict(plan)}

    def _regressed(self, reason: str) -> None:
        """Once a run, as long as there are steps left to trace."""
        steps, shape_steps = self.room_for(REQUESTED_STEPS, REQUESTED_SHAPE_STEPS)
        against = refusal() or (rearm_refusal() if self._bursts else None)
        if steps == 0:
            against = f"the {self._most} steps that a run may trace are used up"
        if against is not None:
            self._session.event("burst_refused", cause="regression", reason=f"{reason}; not traced: {against}")
            return
        self._plan(steps, shape_steps, "regression", reason=reason)

    def _plan(
        self, steps: int, shape_steps: int, cause: str, *, stacks: bool = False, reason: str | None = None
    ) -> BurstPlan:
        session = self._session
        first = session.current_step + self._lead() + ARM_STEPS
        plan = self.announce(
            BurstPlan(first_step=first, steps=steps, shape_steps=shape_steps, stacks=stacks, cause=cause)
        )
        session.event("burst_armed", burst=plan.burst, cause=cause, first_step=first, reason=reason)
        self._adopt(plan)
        return plan

    def _lead(self) -> int:
        if (self._session.world_size or 1) == 1:
            return LEAD_STEPS
        step_ns = self._step_ns()
        return max(LEAD_STEPS, math.ceil(LEAD_NS / step_ns)) if step_ns else LEAD_STEPS

    def _step_ns(self) -> float | None:
        return median(self._watch.recent) if self._watch.recent else None

    def _promise(self, plan: BurstPlan) -> str:
        """What will happen, in one sentence."""
        last = plan.first_step + plan.steps - 1
        what = f"steps {plan.first_step} to {last} are traced" if plan.steps > 1 else f"step {last} is traced"
        if plan.shape_steps:
            what += f" for time, {plan.shape_steps} more with input shapes{' and stacks' if plan.stacks else ''},"
        if (self._session.world_size or 1) > 1:
            what += f" on all {self._session.world_size} ranks"
        step_ns = self._step_ns()
        if step_ns:
            away_ns = step_ns * (plan.first_step - self._session.current_step)
            what += f", in about {max(away_ns / NS_PER_S, 1):.0f} s"
        return f"burst {plan.burst}: {what} (the run is at step {self._session.current_step})"


class PlanWatch:
    """On the other ranks: takes the plan of each further burst from burst.json."""

    def __init__(self, session: Session, adopt: Callable[[BurstPlan], None]) -> None:
        self._session = session
        self._adopt = adopt
        self._seen = 0

    def look(self) -> None:
        """Has burst.json changed?"""
        changed = _changed(self._session.run_dir / rundir.BURST)
        if changed != self._seen:
            self._seen = changed
            plan = read_plan(self._session)
            if plan is not None:
                self._adopt(plan)


def read_plan(session: Session) -> BurstPlan | None:
    """The plan in burst.json; None when there is none, or it is of the job before a restart."""
    try:
        plan = BurstPlan.read(rundir.read_json(session.run_dir / rundir.BURST))
    except (LlmprofError, TypeError, ValueError):
        return None
    return plan if plan.attempt == session.rank_dir.suffix else None


def _changed(path: Path) -> int:
    """When the file was written last, in any unit; 0 when there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _count(value: Any) -> int | None:
    return max(value, 0) if type(value) is int else None
