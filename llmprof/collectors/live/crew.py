"""Which collectors run beside the step detector, and what do they and the hooks cost a step?"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from llmprof.collectors.live.collector import Collector, StepRecord, discover
from llmprof.collectors.live.hooks import Hook
from llmprof.collectors.live.session import Session

__all__ = ["Crew"]

COSTS_EVERY = 128
"""Steps between two updates of the costs in rank.json."""
COST_STEPS = 1024
"""Last baseline steps that the mean cost is made of."""


class Crew:
    """The collectors of one session; one that raises, or disarms itself, is not called again."""

    def __init__(self, session: Session, hooks: Sequence[Hook]) -> None:
        """Start every collector; `hooks` are those of torch, inside which the collectors are called."""
        self._session = session
        self._hooks = hooks
        self._collectors: list[tuple[Collector, Hook]] = []
        self._cost_before = 0
        self._costs: deque[int] = deque(maxlen=COST_STEPS)
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
        self._steppers = [(collector.name, hook, collector.on_step) for collector, hook in self._collectors]

    def on_step(self, record: StepRecord) -> None:
        """A step has ended; its cost counts when it is a baseline step, where nothing is traced."""
        disarmed = self._session.disarmed
        for name, hook, on_step in self._steppers:
            if name not in disarmed:
                hook.run(on_step, record)
        cost = sum(hook.cost_ns for hook in self._hooks)
        if record["phase"] == "baseline":
            self._costs.append(cost - self._cost_before)
        self._cost_before = cost
        if record["n"] % COSTS_EVERY == 0:
            self._note_costs()

    def stop(self) -> None:
        """The run ends."""
        for collector, hook in self._collectors:
            if collector.name not in self._session.disarmed:
                hook.run(collector.stop)
        self._note_costs()

    def _note_costs(self) -> None:
        for hook in (*self._hooks, *(hook for _, hook in self._collectors)):
            self._session.set_cost(hook.name, hook.cost_ns, hook.calls)
        if self._costs:
            flushing = self._session.flush_cost_ns // max(self._session.current_step, 1)
            self._session.update_rank(overhead_ns_per_step=_typical(self._costs) + flushing)


def _typical(costs: Iterable[int]) -> int:
    """The mean without the largest tenth: those are steps in which the system took the CPU away inside a hook."""
    kept = sorted(costs)
    kept = kept[: len(kept) - len(kept) // 10]
    return sum(kept) // len(kept)
