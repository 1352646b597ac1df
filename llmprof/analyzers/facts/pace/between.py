"""How much longer did the host take between its phases without the profiler than in the traced steps?

What a training loop does beside fetching a batch, forward, backward and the optimizer is a phase as well: metrics,
logging, whatever stands in the loop. The recorder measures the others, and what a step is longer than they together is
this one. Its code is the same in all steps, but its pace need not be: other programs on the host slow some steps and
not others. A device that has run dry when the host comes to fetch the next batch waits for all of it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.host.blocking import Blocking
from llmprof.analyzers.facts.steps.step_times import counted_steps
from llmprof.timeline.steps import StepPhase, StepTimes

__all__ = ["IDLE_SHARE", "idle_share", "longer_between_ns", "waits_inside"]

IDLE_SHARE = 0.5
"""Of the time in which the host fetches a batch: a device that is idle for more than this had no work left."""
_PHASES = ("forward", "backward", "optimizer")
_ELSEWHERE = ("checkpoint", "evaluation", "gc")


def idle_share(times: StepTimes | None) -> float | None:
    """Of the host's time in fetches of unprofiled steps, how much the device was idle; None where nothing was measured.

    Readings of the device's clock: somewhat more than 1 is possible.
    """
    if times is None or not {"data_wait", "data_wait_exposed"} <= times.parts.keys():
        return None
    rows = times.select(StepPhase.BASELINE)
    wait, idle = (times.parts[name][rows] for name in ("data_wait", "data_wait_exposed"))
    both = (wait > 0) & (idle >= 0)
    return float(np.median(idle[both] / wait[both])) if both.any() else None


def longer_between_ns(times: StepTimes | None) -> float:
    """Ns per counted step that the host took longer between its phases than in the traced steps; 0 where untold.

    Told only where the device was seen to run dry: a host that waits for a device with a full queue is no longer busy.
    """
    if times is None or not set(_PHASES) <= times.parts.keys() or (idle_share(times) or 0.0) <= IDLE_SHARE:
        return 0.0
    plain, traced = (_between(times, rows) for rows in (counted_steps(times), times.select(StepPhase.TRACED)))
    return 0.0 if plain is None or traced is None else max(plain - traced, 0.0)


def waits_inside(blocking: Blocking | None) -> bool:
    """Whether the host also waits for the device, so that its phases are longer than its work; so where unknown."""
    return blocking is None or any(one.group != "input" for one in blocking.calls)


def _between(times: StepTimes, rows: npt.NDArray[np.intp]) -> float | None:
    """Mean of what the steps are longer than their measured phases; None where no step has them all."""
    known = np.ones(rows.size, dtype=bool)
    spent = np.zeros(rows.size)
    for name in _PHASES:
        column = times.parts[name][rows]
        known &= column >= 0
        spent += column
    fetched, begun = (np.maximum(_column(times, name, rows), 0) for name in ("data_wait", "epoch_start"))
    spent += np.maximum(fetched, begun)  # the wait for an epoch's first batch is in both
    for name in _ELSEWHERE:
        spent += np.maximum(_column(times, name, rows), 0)
    return float((times.wall_ns[rows] - spent)[known].mean()) if known.any() else None


def _column(times: StepTimes, name: str, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
    column = times.parts.get(name)
    return np.zeros(rows.size, np.int64) if column is None else column[rows]
