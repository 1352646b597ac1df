"""Which collectors run beside the step detector, and what do they and the hooks cost a step?"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
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
from llmprof.collectors.live.hooks import Hook
from llmprof.collectors.live.session import Session

__all__ = ["Crew"]

COST_STEPS = 4
"""Steps that a cost is the mean of: among as many there is one that is sampled on the device, and dearer."""
COSTS = 256
"""Last costs, all of baseline steps, that the reported one is made of."""


class Crew:
    """The collectors of one session; one that raises, or disarms itself, is not called again."""

    def __init__(self, session: Session, hooks: Sequence[Hook]) -> None:
        """Start every collector; `hooks` are those of torch, inside which the collectors are called."""
        self._session = session
        self._hooks = hooks
        self._collectors: list[tuple[Collector, Hook]] = []
        self._cost_before = 0
        self._costs: deque[int] = deque(maxlen=COSTS)
        self._phase = self._cost_phase = session.phase
        for hook in hooks:
            if hook.armed:
                session.set_collector(hook.name, "armed")
            else:  # it failed before there was anywhere to say so
                session.disarm(hook.name, hook.reason or "unknown")
        for collector in discover(lambda name, reason: session.set_collector(name, "absent", reason)):
            hook = Hook(collector.name, session.disarm)
            session.set_collector(collector.name, "armed")
            hook.run(collector.start, session)
            hook.cost_ns = hook.calls = 0  # starting is paid for once, in the warm-up
            self._collectors.append((collector, hook))
        self._eager: list[tuple[Hook, Callable[[StepRecord], None]]] = []
        self._patient: list[tuple[PatientCollector, Hook]] = []
        self._due = 0
        self._muster()
        session.costs, session.on_disarm = self.costs, self._muster

    def on_step(self, record: StepRecord) -> None:
        """A step has ended."""
        number, phase = record["n"], record["phase"]
        for hook, on_step in self._eager:  # as hook.run, without the call
            began = perf_counter_ns()
            try:
                on_step(record)
            except Exception as error:
                hook.fail(error)
            hook.calls += 1
            hook.cost_ns += perf_counter_ns() - began
        if number >= self._due or phase != self._phase:
            self._call_patient(record)
        if number % COST_STEPS == COST_STEPS - 1:
            self._account(phase)

    def stop(self) -> None:
        """The run ends."""
        for collector, hook in self._collectors:
            if collector.name not in self._session.disarmed:
                hook.run(collector.stop)

    def _muster(self) -> None:
        """Sort those that are not disarmed: the eager are called every step, the patient when they want to be."""
        steppers = [
            (one, hook)
            for one, hook in self._collectors
            if isinstance(one, StepCollector) and one.name not in self._session.disarmed
        ]
        self._patient = [(one, hook) for one, hook in steppers if isinstance(one, PatientCollector)]
        self._eager = [(hook, one.on_step) for one, hook in steppers if not isinstance(one, PatientCollector)]

    def costs(self) -> dict[str, Any]:
        """For rank.json: what every hook and collector has cost so far, and all together a step."""
        every = (*self._hooks, *(hook for _, hook in self._collectors))
        found: dict[str, Any] = {
            "collectors": {hook.name: {"cost_ns": hook.cost_ns, "calls": hook.calls} for hook in every}
        }
        if self._costs:
            flushing = self._session.flush_cost_ns // max(self._session.current_step, 1)
            found["overhead_ns_per_step"] = _typical(list(self._costs)) + flushing
        return found

    def _call_patient(self, record: StepRecord) -> None:
        """Call those whose step has come; at a change of the phase, all."""
        changed, self._phase = record["phase"] != self._phase, record["phase"]
        self._due = NEVER
        for collector, hook in self._patient:
            if changed or record["n"] >= collector.next_step:
                hook.run(collector.on_step, record)
            self._due = min(self._due, collector.next_step)

    def _account(self, phase: str) -> None:
        """Note what the last steps have cost when they are baseline steps, where nothing is traced."""
        cost = sum([hook.cost_ns for hook in self._hooks])
        if phase == self._cost_phase == "baseline":
            self._costs.append((cost - self._cost_before) // COST_STEPS)
        self._cost_before, self._cost_phase = cost, phase


def _typical(costs: Iterable[int]) -> int:
    """The mean without the largest tenth: those are steps in which the system took the CPU away inside a hook."""
    kept = sorted(costs)
    kept = kept[: len(kept) - len(kept) // 10]
    return sum(kept) // len(kept)
