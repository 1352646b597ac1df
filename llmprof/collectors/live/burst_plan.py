"""Which steps does a burst trace, and what is left out when the run is too short for all of it?

A full burst wants a warm-up, BASELINE_STEPS unprofiled steps, part A for time, part B for names and sizes, and steps
after it that prove that the run is back to its baseline. Where the length of the run is known and too small, these
give way in the order of `fitted`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from llmprof.collectors.live.warmup import WARMUP_STEPS

__all__ = ["ARM_STEPS", "EARLIEST_STEP", "SETTLE_STEPS", "BurstPlan", "Wanted", "fitted"]

BASELINE_STEPS = 20
FEWEST_BASELINE_STEPS = 5
"""With fewer the mean of the unprofiled step says too little: a trace would have nothing to be compared with."""
TRACE_STEPS = 4
SHAPE_STEPS = 1
ARM_STEPS = 2
"""Steps between preparing the profiler, which starts CUPTI, and the first traced one."""
SETTLE_STEPS = 2
"""Steps after the last export that still pay for it."""
AFTER_STEPS = SETTLE_STEPS + 1
"""Steps after the burst that a run should still have: the last one can be compared with the baseline."""
EARLIEST_STEP = 1 + ARM_STEPS
"""Step 0 is over before collectors start, so arming can begin at step 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstPlan:
    """Which steps are traced: burst.json. `attempt` tells the plan of a restarted job from that of the one before."""

    first_step: int
    steps: int
    shape_steps: int
    attempt: str = ""
    burst: int = 0
    """Which burst of the run it is, from 0."""
    stacks: bool = False
    cause: str = "plan"
    """Why there is one: `plan` (the run's own), `trigger` (llmprof trigger), `regression`, `longer`."""

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

    @property
    def traced(self) -> int:
        """Steps under the profiler."""
        return self.steps + self.shape_steps

    @classmethod
    def read(cls, data: dict[str, Any]) -> BurstPlan:
        """The plan in burst.json; keys of another version are ignored. Raises TypeError, ValueError."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in data.items() if name in known})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the run's own burst is to be."""

    baseline: int = BASELINE_STEPS
    steps: int = TRACE_STEPS
    shape_steps: int = SHAPE_STEPS
    latest: int | None = None
    """The last step at which it may begin; None where the run is not known to end."""
    left_out: tuple[str, ...] = ()
    """What the run is too short for, in words."""


def fitted(wanted: Wanted, expected: int | None) -> Wanted:
    """`wanted`, as much of it as a run of `expected` steps has room for; `steps` is 0 when only times are left.

    Given up are, in this order: baseline steps down to FEWEST_BASELINE_STEPS, part B, the steps after the burst, traced
    steps down to one, the burst.
    """
    if expected is None or wanted.steps == 0:
        return wanted
    fewest = min(FEWEST_BASELINE_STEPS, wanted.baseline)
    steps, shape_steps, after = wanted.steps, wanted.shape_steps, AFTER_STEPS
    room = expected - WARMUP_STEPS - ARM_STEPS - fewest
    left_out: list[str] = []
    if steps + shape_steps + after > room and shape_steps:
        shape_steps = 0
        left_out.append("the steps with input shapes")
    if steps + after > room:
        after = 0
        left_out.append("the steps after the burst")
    if steps > room:
        steps = max(room, 0)
        left_out.append(f"{wanted.steps - steps} of {wanted.steps} traced steps" if steps else "the burst")
    baseline = min(wanted.baseline, room + fewest - steps - shape_steps - after) if steps else wanted.baseline
    if baseline < wanted.baseline:
        left_out.insert(0, f"{wanted.baseline - baseline} of {wanted.baseline} baseline steps")
    return Wanted(
        baseline=baseline,
        steps=steps,
        shape_steps=shape_steps,
        latest=expected - steps - shape_steps - after,
        left_out=tuple(left_out),
    )
