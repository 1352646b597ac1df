"""Which collectors run beside the step detector, and what do they and the hooks cost a step?"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from time import perf_counter_ns
from typing import Any

from llmprof.collectors.live.collector import (
    NEVER,
    Collector,
    PatientCollector,
    StepCollector,
    StepRecord,
    discover,
)
from llmprof.collectors.live.hooks import Apart, Hook
from llmprof.collectors.live.session import Session

__all__ = ["Crew"]

COST_STEPS = 4
"""Steps, at least, that a cost is the mean of: among as many there is one that is sampled on the device, and dearer."""
COSTS = 256
"""Last costs, all of baseline steps, that the reported one is made of."""


class Crew:
    """The collectors of one session; one that raises, or disarms itself, is not called again."""

    def __init__(self, session: Session, hooks: Sequence[Hook], apart: Apart) -> None:
        """Start every collector; `hooks` are those of torch, inside which the collectors are called."""
        self.due = 0
        """The number of the step that `on_step` has to be called for next; for earlier ones if their phase is new."""
        self.phase = self._cost_phase = session.phase
        """Of the step that the collectors were shown last."""
        self._session = session
        self._hooks = hooks
        self._apart = apart
        apart.starting = session.phase == "warmup"
        self._collectors: list[tuple[Collector, Hook]] = []
        self._began = perf_counter_ns()
        self._cost_before = self._cost_steps = 0
        self._costs: deque[int] = deque(maxlen=COSTS)
        for hook in hooks:
            if hook.armed:
                session.set_collector(hook.name, "armed")
            else:  # it failed before there was anywhere to say so
                session.disarm(hook.name, hook.reason or "unknown")
        for collector in discover(lambda name, reason: session.set_collector(name, "absent", reason)):
            hook = Hook(collector.name, session.disarm, apart)
            session.set_collector(collector.name, "armed")
            hook.run(collector.start, session)
            hook.cost_ns = hook.calls = hook.watched = 0  # starting is paid for once, in the warm-up
            self._collectors.append((collector, hook))
        self._eager: list[tuple[StepCollector, Hook]] = []
        self._patient: list[tuple[PatientCollector, Hook]] = []
        self._muster()
        session.costs, session.on_disarm, session.on_wake = self.costs, self._muster, self._wake

    def on_step(self, record: StepRecord) -> None:
        """A step has ended that somebody waits for."""
        changed, self.phase = record["phase"] != self.phase, record["phase"]
        due = NEVER
        for collector, hook in self._eager:
            hook.run(collector.on_step, record)
            due = 0
        for patient, hook in self._patient:
            if changed or record["n"] >= patient.next_step:
                hook.run(patient.on_step, record)
            due = min(due, patient.next_step)
        self.due = due

    def _wake(self) -> None:
        self.due = 0

    def account(self, steps: int, phase: str) -> None:
        """Note what the last steps have cost when they were baseline steps, where nothing is traced; judge it."""
        self._apart.gone_through(perf_counter_ns(), steps)
        self._apart.starting = phase == "warmup"
        cost = sum([hook.cost_ns for hook in self._hooks])
        self._cost_steps += steps
        if phase != self._cost_phase:
            self._cost_before, self._cost_steps, self._cost_phase = cost, 0, phase
        elif self._cost_steps >= COST_STEPS:
            if phase == "baseline":
                self._costs.append((cost - self._cost_before) // self._cost_steps)
            self._cost_before, self._cost_steps = cost, 0
        elapsed = perf_counter_ns() - self._began
        within = 0
        for _, hook in self._collectors:
            hook.judge(elapsed)
            within += hook.cost_ns
        for hook in self._hooks:
            hook.judge(elapsed, within)

    def steps_lost(self, reason: str) -> None:
        """No step is seen any more: tell those who are in the middle of something."""
        self.due, self._eager, self._patient = NEVER, [], []
        for collector, _ in self._collectors:
            self._tell(collector, reason)

    def stop(self) -> None:
        """The run ends."""
        for collector, hook in self._collectors:
            if collector.name not in self._session.disarmed:
                hook.run(collector.stop)

    @staticmethod
    def _tell(collector: Collector, reason: str) -> None:
        abandon = getattr(collector, "abandon", None)
        if abandon is not None:
            with suppress(Exception):
                abandon(reason)

    def _muster(self) -> None:
        """Sort those that are not disarmed: the eager are called every step, the patient when they want to be."""
        steppers = [
            (one, hook)
            for one, hook in self._collectors
            if isinstance(one, StepCollector) and one.name not in self._session.disarmed
        ]
        self._patient = [(one, hook) for one, hook in steppers if isinstance(one, PatientCollector)]
        self._eager = [(one, hook) for one, hook in steppers if not isinstance(one, PatientCollector)]
        for collector, _ in self._collectors:
            if collector.name in self._session.disarmed:
                self._tell(collector, "it was switched off")

    def costs(self) -> dict[str, Any]:
        """For rank.json: what every hook and collector has cost so far, and all together a step."""
        every = (*self._hooks, *(hook for _, hook in self._collectors))
        found: dict[str, Any] = {
            "collectors": {hook.name: {"cost_ns": hook.cost_ns, "calls": hook.calls} for hook in every},
            "apart_ns": dict(self._apart.totals),
        }
        if self._costs:
            flushing = self._session.flush_cost_ns // max(self._session.current_step, 1)
            found["overhead_ns_per_step"] = _typical(list(self._costs)) + flushing
        return found


def _typical(costs: Iterable[int]) -> int:
    """The mean without the largest tenth: those are steps in which the system took the CPU away inside a hook."""
    kept = sorted(costs)
    kept = kept[: len(kept) - len(kept) // 10]
    return sum(kept) // len(kept)
