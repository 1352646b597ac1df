"""When does the run's own burst begin? After enough baseline steps, and early enough in a run that is known to end."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llmprof.collectors.live.burst_plan import ARM_STEPS, BurstPlan, Wanted, fitted
from llmprof.collectors.live.collector import NEVER
from llmprof.collectors.live.finished import AT_A_TIME, AT_A_TIME_NS
from llmprof.units import NS_PER_S

if TYPE_CHECKING:
    from llmprof.collectors.live.collector import StepRecord
    from llmprof.collectors.live.session import Session

__all__ = ["POLL_S", "OwnBurst", "count_of"]

BASELINE_NS, BASELINE_AT_MOST = 2_000_000_000, 60
"""Short steps are timed for longer than 20 of them, since one busy moment of the machine would sway their mean."""
LEAD_STEPS = 20
LEAD_NS = 2_000_000_000
"""How far ahead rank 0 announces this burst to other ranks, the larger of the two: they wait for it, and look often."""
LEAD_ON_ONE_HOST_NS = 800_000_000
"""The same where all ranks share a host, and what is written is there at once for all of them."""
POLL_S = 0.2
"""How often the other ranks look."""


class OwnBurst:
    """Rank 0's decision; `next_step` is the step after which it wants to be asked again."""

    def __init__(self, session: Session) -> None:
        options = session.options
        given = options.get("baseline_steps")
        full = Wanted()
        self._full = replace(
            full,
            baseline=full.baseline if given is None else max(int(given), 1),
            steps=count_of(options, "trace_steps", full.steps),
            shape_steps=count_of(options, "shape_steps", full.shape_steps),
        )
        self._at_most = BASELINE_AT_MOST if given is None else self._full.baseline
        self._expected = session.expected_steps
        self._wanted = fitted(self._full, self._expected)
        self._session = session
        self._first: tuple[int, int] | None = None  # number and start of the first baseline step
        self._count = 0
        self._too_late = False
        self.next_step = 0

    def decide(self, record: StepRecord) -> BurstPlan | None:
        """Step n of the record has ended: the plan, once it has to be announced."""
        n, wall = int(record["n"]), int(record["wall"])
        total = 0
        if record["phase"] == "baseline":
            self._first = self._first or (n, int(record["t"]))
            self._count = n + 1 - self._first[0]
            total = int(record["t"]) + wall - self._first[1]
        step_ns = total / self._count if self._count else wall
        lead = self._lead(step_ns)
        earliest, latest = n + 1 + lead + ARM_STEPS, self._wanted.latest
        soonest = n + 1 + min(lead, _least_lead(step_ns)) + ARM_STEPS
        self._too_late = self._wanted.steps == 0 or (latest is not None and soonest > latest)
        enough = self._count >= self._wanted.baseline and (self._count >= self._at_most or total >= BASELINE_NS)
        if self._too_late:
            return self._outgrown(n)
        if enough or (latest is not None and earliest >= latest):
            return self._plan(earliest if latest is None else min(earliest, latest))
        missing = self._at_most - self._count
        if total:
            missing = min(missing, math.ceil((BASELINE_NS - total) * self._count / total))
        missing = max(missing, self._wanted.baseline - self._count, 1)
        # A change of the phase is told in any case, so that the first baseline step need not be awaited.
        self.next_step = n + missing if self._count else NEVER
        if latest is not None:
            self.next_step = max(n + 1, min(self.next_step, n + latest - earliest))
        return None

    def _outgrown(self, n: int) -> BurstPlan | None:
        """The run is too short for a burst, as far as its loader tells; past one epoch it is longer, and gets one."""
        if self._expected is None or self._full.steps == 0:
            self.next_step = NEVER
        elif n < self._expected:
            self.next_step = self._expected
        else:
            self._wanted, self._too_late = self._full, False
            return self.full_plan(n + 1)
        return None

    @property
    def longer_after(self) -> int | None:
        """Where the burst was shortened for a run that may turn out longer: the number of steps it was made for."""
        return self._expected if self._wanted.left_out else None

    def full_plan(self, now: int) -> BurstPlan:
        """The whole burst, for a run that goes on after all."""
        lead = max(self._full.baseline, self._lead(None))
        steps, shape_steps = self._full.steps, self._full.shape_steps
        return BurstPlan(first_step=now + lead + ARM_STEPS, steps=steps, shape_steps=shape_steps, cause="longer")

    def why_never(self) -> str:
        """The run has ended: why there was no burst."""
        if self._wanted.steps == 0:
            return f"a run of {self._expected} steps is too short for one"
        if self._too_late:
            return f"a run of {self._expected} steps ends before all ranks can be told; name the step with --burst-at"
        if self._count >= self._wanted.baseline:
            return f"the run ended after {self._count} baseline steps, before the burst could begin"
        return f"the run ended after {self._count} of {self._wanted.baseline} baseline steps"

    def _plan(self, first_step: int) -> BurstPlan:
        wanted = self._wanted
        left_out = [one for one in wanted.left_out if "baseline" not in one]
        baseline = max(first_step - ARM_STEPS - self._first[0], 0) if self._first is not None else 0
        if baseline < self._full.baseline:
            left_out.insert(0, f"{self._full.baseline - baseline} of {self._full.baseline} baseline steps")
        if left_out:
            reason = f"the run is expected to have {self._expected} steps; left out: {', '.join(left_out)}"
            self._session.event("burst_shortened", burst=0, reason=reason)
        return BurstPlan(first_step=first_step, steps=wanted.steps, shape_steps=wanted.shape_steps)

    def _lead(self, step_ns: float | None) -> int:
        ranks = self._session.world_size or 1
        if ranks == 1:
            return 1
        lead_ns = LEAD_ON_ONE_HOST_NS if os.environ.get("LOCAL_WORLD_SIZE") == str(ranks) else LEAD_NS
        return max(LEAD_STEPS, math.ceil(lead_ns / max(step_ns, 1))) if step_ns else LEAD_STEPS


def _least_lead(step_ns: float) -> int:
    """What the other ranks need to learn of a plan: they look, and then the training thread comes to its steps.

    With less they would be too late, and trace nothing: never other steps than the rest.
    """
    step_ns = max(step_ns, 1.0)
    return math.ceil(POLL_S * NS_PER_S / step_ns) + min(AT_A_TIME, math.ceil(AT_A_TIME_NS / step_ns)) + 1


def count_of(options: Mapping[str, Any], key: str, default: int) -> int:
    """The option as a count; `default` where it is not given."""
    value = options.get(key)
    return default if value is None else max(int(value), 0)
