"""What was promised for some fixes together, and what is that for a step of another length?

The plain step of a trial need not be the one that the promise was made for: the machine has drifted. How much of the
drift is in what the fix removes is not known. Expected is that it takes its share, as if all of the step had drifted
alike; the ends are that none of it, and that all of it is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmprof.analyzers.diagnosis import Diagnosis

__all__ = ["Promise", "promise_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What the analysis has promised for fixes together, in ms per step; no expectation where nothing combined them."""

    expected_ms: float | None
    low_ms: float
    high_ms: float
    step_ms: float | None = None
    """The step that it was promised for; None when that is not known."""

    def of(self, step_ms: float) -> Promise:
        """The same promise for a step of another length, `step_ms`."""
        if not self.step_ms or step_ms <= 0:
            return self
        scale, drift = step_ms / self.step_ms, step_ms - self.step_ms
        lows, highs = [self.low_ms, self.low_ms * scale], [self.high_ms, self.high_ms * scale]
        if drift > 0 and self.high_ms > 0:
            highs.append(self.high_ms + drift)
        if drift < 0 and self.low_ms > 0:
            lows.append(max(self.low_ms + drift, 0.0))
        expected = None if self.expected_ms is None else self.expected_ms * scale
        return Promise(expected_ms=expected, low_ms=min(lows), high_ms=min(max(highs), step_ms), step_ms=step_ms)


def promise_of(diagnosis: Diagnosis, fixes: Sequence[str]) -> Promise | None:
    """What these fixes together were promised to save; None when one of them was not recommended.

    What another of them needs is in the promise of that one. Gains are never added up: where the analysis does not know
    the joint one, it lies between the largest of the lower ends and the sum of the upper ends.
    """
    known = {item.id: item for item in diagnosis.recommendations}
    needed = {other for fix in fixes if fix in known for other in known[fix].requires}
    fixes = [fix for fix in fixes if fix not in needed]
    wanted = [known[fix] for fix in dict.fromkeys(fixes) if fix in known]
    if not wanted or len(wanted) < len(set(fixes)):
        return None
    mean = diagnosis.step.mean_ms
    if len(wanted) == 1:
        gain = wanted[0].gain
        return Promise(expected_ms=gain.expected_ms, low_ms=gain.low_ms, high_ms=gain.high_ms, step_ms=mean)
    combined = diagnosis.combined
    if combined is not None and set(combined.of) - needed == set(fixes) and combined.step_ms_after is not None and mean:
        after = combined.step_ms_after
        ends = (after if end is None else end for end in (combined.low_ms, combined.high_ms))
        low, high = sorted(mean - end for end in ends)
        return Promise(expected_ms=mean - after, low_ms=low, high_ms=high, step_ms=mean)
    gains = [item.gain for item in wanted]
    low = max(gain.low_ms for gain in gains)
    high = max(low, sum(max(gain.high_ms, 0.0) for gain in gains))
    return Promise(expected_ms=None, low_ms=low, high_ms=high, step_ms=mean)
