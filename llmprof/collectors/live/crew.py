"""Which collectors run beside the step detector, and what do they and the hooks cost a step?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmprof.collectors.live.collector import Collector, StepRecord, discover
from llmprof.collectors.live.hooks import Hook
from llmprof.collectors.live.session import Session

__all__ = ["Crew"]

COSTS_EVERY = 32
"""Steps between two updates of the costs in rank.json."""


class Crew:
    """The collectors of one session; one that raises, or disarms itself, is not called again."""

    def __init__(self, session: Session, hooks: Sequence[Hook]) -> None:
        """Start every collector; `hooks` are those of torch, inside which the collectors are called."""
        self._session = session
        self._hooks = hooks
        self._collectors: list[tuple[Collector, Hook]] = []
        self._cost_before = 0
        self._baseline_cost = self._baseline_steps = 0
        for hook in hooks:
            session.set_collector(hook.name, "armed")
        for collector in discover(lambda name, reason: session.set_collector(name, "absent", reason)):
            hook = Hook(collector.name, session.disarm)
            session.set_collector(collector.name, "armed")
            hook.run(collector.start, session)
            hook.cost_ns = hook.calls = 0  # starting is paid for once, in the warm-up
            self._collectors.append((collector, hook))

    def on_step(self, record: StepRecord) -> None:
        """A step has ended; then the costs are counted, their mean over baseline steps, where nothing is traced."""
        self._call("on_step", record)
        cost = sum(hook.cost_ns for hook in self._hooks) + self._session.flush_cost_ns
        if record["phase"] == "baseline":
            self._baseline_cost += cost - self._cost_before
            self._baseline_steps += 1
        self._cost_before = cost
        if record["n"] % COSTS_EVERY == 0:
            self._note_costs()

    def stop(self) -> None:
        """The run ends."""
        self._call("stop")
        self._note_costs()

    def _call(self, method: str, *args: Any) -> None:
        for collector, hook in self._collectors:
            if collector.name not in self._session.disarmed:
                hook.run(getattr(collector, method), *args)

    def _note_costs(self) -> None:
        for hook in (*self._hooks, *(hook for _, hook in self._collectors)):
            self._session.set_cost(hook.name, hook.cost_ns, hook.calls)
        if self._baseline_steps:
            self._session.update_rank(overhead_ns_per_step=self._baseline_cost // self._baseline_steps)
