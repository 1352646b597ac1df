"""How far is a promise from what was measured? One score for each fix of each case, and what others would have said."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from llmprof.analyzers.rules.fixes import FIXES

__all__ = ["ALARM", "Score", "first_is_right", "healthy_alarms", "scores", "skill"]

ALARM = 0.03
"""A healthy run must not be promised more than this share of its step."""
SIGN = 0.05
"""A promise above this share of the step must not turn out to cost time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One fix of one case; times in ms a step, gains as shares of the step that they belong to."""

    case: str
    fix: str
    recommended: bool
    basis: str
    recorded_ms: float
    before_ms: float
    after_ms: float
    predicted_ms: float
    expected: float
    low: float
    high: float
    measured: float
    noise: float
    """Two standard errors of the measured gain."""
    headroom: float | None
    ceiling: float | None

    @property
    def step_error(self) -> float:
        """Of the predicted step time after the fix, as a share of the measured one."""
        return abs(self.predicted_ms - self.after_ms) / self.after_ms

    @property
    def paired_ms(self) -> float:
        """The predicted step when the promised share is taken off the plain step that was measured beside the fix.

        Recording and measurement are two processes, whose steps differ without any fix.
        """
        return self.before_ms * (1 - self.expected)

    @property
    def paired_error(self) -> float:
        """Of that step, as a share of the measured one."""
        return abs(self.paired_ms - self.after_ms) / self.after_ms

    @property
    def gain_error(self) -> float:
        """In shares of the step."""
        return abs(self.expected - self.measured)

    @property
    def covered(self) -> bool:
        """Whether the measured gain lies in the promised interval, as far as the measurement can tell."""
        return self.low - self.noise <= self.measured <= self.high + self.noise

    @property
    def sign_wrong(self) -> bool:
        """Promised more than 5 %, and it got slower."""
        return self.expected > SIGN and self.measured < 0


def scores(line: dict[str, Any]) -> list[Score]:
    """A score for every fix that was measured; a fix that llmprof did not recommend counts as "no change"."""
    sides, found = line.get("sides") or {}, line.get("prediction") or {}
    before, recorded = _ms(sides.get("planted")), found.get("step_ms")
    if before is None or not recorded:
        return []
    result = []
    for fix, side in sides.items():
        after = _ms(side)
        if fix == "planted" or after is None:
            continue
        promise = promised(fix, found["fixes"]) or (found.get("joint") or {}).get(fix)
        gain = promise or {"expected_ms": 0.0, "low_ms": 0.0, "high_ms": 0.0, "basis": "not recommended"}
        errors = [(_error(sides[name]) / before) for name in ("planted", fix)]
        result.append(
            Score(
                case=line["case"],
                fix=fix,
                recommended=promise is not None,
                basis=gain["basis"],
                recorded_ms=recorded,
                before_ms=before,
                after_ms=after,
                predicted_ms=recorded - gain["expected_ms"],
                expected=gain["expected_ms"] / recorded,
                low=gain["low_ms"] / recorded,
                high=gain["high_ms"] / recorded,
                measured=1 - after / before,
                noise=2 * math.hypot(*errors),
                headroom=share_times_headroom(fix, found),
                ceiling=ceiling(promise, found),
            )
        )  # fmt: skip
    return result


def promised(fix: str, fixes: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The recommendation of this fix; of "a+b" the one of b that requires a, or of a that requires b."""
    names = fix.split("+")
    for one in fixes:
        if one["id"] in names and {one["id"], *(one["requires"] or ())} >= set(names):
            return one
    return None


def share_times_headroom(fix: str, found: dict[str, Any]) -> float | None:
    """The gain by share of the class times its distance from the peak, as a share of the step.

    Of kernels the part of the step in which they run times 1 - MFU, of idle classes all of it: what a report that
    ranks by time and efficiency promises (TraceLens' way, from the same partition).
    """
    known = FIXES.get(fix.split("+")[-1])
    if known is None or not found.get("step_ms"):
        return None
    part: dict[str, float | None] = found["partition"]
    step: float = found["step_ms"]
    factor: dict[str, float] = {"compute": 1 - (found.get("mfu") or 0.0)}
    return sum((part.get(name) or 0.0) * factor.get(name, 1.0) for name in known.removes) / step


def ceiling(promise: dict[str, Any] | None, found: dict[str, Any]) -> float | None:
    """The gain when all that the rule found were gone, R / T: the speed-up T / (T - R)."""
    cost = (found.get("costs") or {}).get(promise.get("rule")) if promise else None
    return None if cost is None else min(1.0, cost / found["step_ms"])


def skill(pairs: Iterable[tuple[float, float]]) -> float | None:
    """1 - sum |predicted - measured| / sum |measured|: 1 is perfect, 0 what "no change" scores."""
    pairs = list(pairs)
    total = sum(abs(measured) for _, measured in pairs)
    return 1 - sum(abs(predicted - measured) for predicted, measured in pairs) / total if total else None


def first_is_right(line: dict[str, Any], first: tuple[str, ...]) -> bool | None:
    """Whether the first recommendation is one of the right ones; None where nothing was planted."""
    fixes = (line.get("prediction") or {}).get("fixes") or []
    return None if not first else bool(fixes) and fixes[0]["id"] in first


def healthy_alarms(line: dict[str, Any]) -> list[str]:
    """Recommendations whose lowest promise is more than 3 % of the step."""
    found = line.get("prediction") or {}
    step = found.get("step_ms") or math.inf
    return [one["id"] for one in found.get("fixes", []) if one["low_ms"] > ALARM * step]


def _ms(side: dict[str, Any] | None) -> float | None:
    ms = side["ms"] if side else None
    return None if ms is None else float(ms)


def _error(side: dict[str, Any]) -> float:
    count = len(side["blocks_ms"])
    return float(side["spread_ms"]) / math.sqrt(count) if side["spread_ms"] and count else 0.0
