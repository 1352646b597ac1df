"""What changed from one run to another, class by class, and is the change more than noise?

First whether the two can be compared at all: what differs in model, tokens, world and GPU is named. Then the step and
its parts with 95 % intervals, kernels and collectives, settings, and findings that are new, gone, grew or shrank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite, sqrt
from typing import Any, Literal

from llmprof.analyzers.diagnosis import PARTS, Diagnosis, Finding
from llmprof.analyzers.document import plain
from llmprof.analyzers.facts.device.kernels import TOP
from llmprof.analyzers.trial import student_t
from llmprof.analyzers.unlike import SAME_TOKENS, Unlike, settings_between, tokens_per_step, unlike
from llmprof.errors import NotEnoughDataError

__all__ = [
    "PART_BAND",
    "SCHEMA",
    "STEP_BAND",
    "Change",
    "FindingChange",
    "RunComparison",
    "RunSide",
    "compare_runs",
]

SCHEMA = "llmprof.comparison/1"

STEP_BAND = 0.02
"""Steps that differ by less are called equal. One recording of each side does not tell how runs differ from one to the
next, which the spread of its steps leaves out; twice the noise threshold that criterion.rs takes by default (1 %)."""
PART_BAND = 0.01
"""A part, kernel or finding that changes by less than this share of the step is no news (criterion.rs, as above)."""
BATCHES = 8
"""Batches of consecutive steps whose means give the spread of the mean; see analyzers.trial."""

Outcome = Literal["slower", "faster", "same", "unsure"]
State = Literal["new", "gone", "grew", "shrank", "same", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSide:
    """One of the two runs."""

    name: str
    step_ms: float
    noise_ms: float | None
    """Half the 95 % interval of the mean step, from the spread of its own steps; None with fewer than two of them."""
    steps: int | None
    basis: str
    tokens_per_step: float | None
    tokens_per_s: float | None
    mfu: float | None
    peak_memory_bytes: int | None
    bound: str | None
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One figure in both runs, ms per step, B's in steps of A's tokens; `low_ms` to `high_ms` is the 95 % interval."""

    name: str
    a_ms: float | None
    """None where the run has no such kernel or collective, or did not record it."""
    b_ms: float | None
    delta_ms: float
    low_ms: float | None = None
    high_ms: float | None = None
    outcome: Outcome = "same"
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingChange:
    """What one rule says of both runs."""

    rule: str
    title: str
    state: State
    a_ms: float | None
    b_ms: float | None
    a_status: str
    b_status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunComparison:
    """From run A to run B."""

    a: RunSide
    b: RunSide
    unlike: tuple[Unlike, ...]
    """What stands in the way of comparing them as equals; empty when nothing does."""
    settings: tuple[Unlike, ...]
    """Recorded settings that differ: what may have been changed on purpose."""
    scale: float
    """What B's times were multiplied by: 1, or A's tokens per step over B's."""
    step: Change
    parts: tuple[Change, ...]
    """Every class of the partition, in its order; they sum to the change of the step. Empty without both partitions."""
    classes: tuple[Change, ...]
    kernels: tuple[Change, ...]
    collectives: tuple[Change, ...]
    findings: tuple[FindingChange, ...]

    def to_dict(self) -> dict[str, Any]:
        """The document as plain containers; milliseconds rounded to a tenth of a microsecond."""
        return {"schema": SCHEMA, **plain(self)}


def compare_runs(a: Diagnosis, b: Diagnosis, names: tuple[str, str] = ("A", "B")) -> RunComparison:
    """Compare two runs. Raises NotEnoughDataError when one of them does not know how long its step is."""
    sides = [_side(one, name) for one, name in zip((a, b), names, strict=True)]
    first, second = sides
    scale = 1.0
    if first.tokens_per_step and second.tokens_per_step:
        ratio = first.tokens_per_step / second.tokens_per_step
        scale = ratio if abs(ratio - 1) > SAME_TOKENS else 1.0
    step = _step_change(first, second, scale)
    base = first.step_ms
    parts = _parts(a, b, scale, base)
    return RunComparison(
        a=first,
        b=second,
        unlike=tuple(unlike(a, b)),
        settings=tuple(settings_between(a, b)),
        scale=scale,
        step=step,
        parts=parts,
        classes=_tables(a.compute_classes, b.compute_classes, scale, base) if parts else (),
        kernels=_tables(a.costs.get("kernels"), b.costs.get("kernels"), scale, base, whole=TOP),
        collectives=_tables(a.costs.get("collectives"), b.costs.get("collectives"), scale, base),
        findings=_findings(a, b, scale, base),
    )


def _side(diagnosis: Diagnosis, name: str) -> RunSide:
    step = diagnosis.step
    if step.mean_ms is None or step.mean_ms <= 0:
        raise NotEnoughDataError(
            f"{name} does not tell how long a step is; record it with `llmprof run`, or give its mean with --step-ms."
        )
    return RunSide(
        name=name,
        step_ms=step.mean_ms,
        noise_ms=_noise(diagnosis.history_ms),
        steps=diagnosis.capture.steps_measured,
        basis=diagnosis.capture.basis,
        tokens_per_step=tokens_per_step(diagnosis),
        tokens_per_s=step.tokens_per_s,
        mfu=step.mfu,
        peak_memory_bytes=step.peak_memory_bytes,
        bound=diagnosis.verdict.bound,
        sentence=diagnosis.verdict.sentence,
    )


def _noise(history: tuple[float, ...]) -> float | None:
    """Half the 95 % interval of the mean of these step times: Student's t on means of consecutive batches."""
    values = [value for value in history if value is not None and isfinite(value)]
    if len(values) < 2:
        return None
    count = min(BATCHES, len(values))
    edges = [place * len(values) // count for place in range(count + 1)]
    means = [sum(values[i:j]) / (j - i) for i, j in pairwise(edges)]
    middle = sum(means) / count
    variance = sum((value - middle) ** 2 for value in means) / (count - 1)
    return student_t(count - 1) * sqrt(variance / count)


def _step_change(a: RunSide, b: RunSide, scale: float) -> Change:
    noise = None if a.noise_ms is None or b.noise_ms is None else sqrt(a.noise_ms**2 + (scale * b.noise_ms) ** 2)
    return _change("step", a.step_ms, scale * b.step_ms, noise, a.step_ms, STEP_BAND)


def _change(name: str, a: float, b: float, noise: float | None, step_ms: float, band: float = PART_BAND) -> Change:
    delta = b - a
    if abs(delta) < band * step_ms:
        outcome: Outcome = "same"
    elif noise is not None and abs(delta) <= noise:
        outcome = "unsure"
    else:
        outcome = "slower" if delta > 0 else "faster"
    ends = (None, None) if noise is None else (delta - noise, delta + noise)
    return Change(name=name, a_ms=a, b_ms=b, delta_ms=delta, low_ms=ends[0], high_ms=ends[1], outcome=outcome)


def _parts(a: Diagnosis, b: Diagnosis, scale: float, step_ms: float) -> tuple[Change, ...]:
    if not a.partition or not b.partition:
        return ()
    order = list(dict.fromkeys((*PARTS, *a.partition, *b.partition)))
    found = []
    for name in order:
        if name not in a.partition and name not in b.partition:
            continue
        noises = (_part_noise(a, name), _part_noise(b, name))
        noise = None
        if noises[0] is not None and noises[1] is not None:
            noise = sqrt(noises[0] ** 2 + (scale * noises[1]) ** 2)
        values = (a.partition.get(name) or 0.0, scale * (b.partition.get(name) or 0.0))
        found.append(_change(name, *values, noise, step_ms))
    return tuple(found)


def _part_noise(diagnosis: Diagnosis, name: str) -> float | None:
    """Half the interval of a part; None where it was measured otherwise than in the traced steps."""
    if diagnosis.partition_noise_ms and not diagnosis.partition.get(name):
        return diagnosis.partition_noise_ms.get(name, 0.0)
    return diagnosis.partition_noise_ms.get(name)


def _tables(
    a: Mapping[str, float] | None, b: Mapping[str, float] | None, scale: float, step_ms: float, whole: int | None = None
) -> tuple[Change, ...]:
    """Rows that changed by more than the band, the largest change first; nothing where a run did not record them.

    whole    tables of this length or more hold the longest rows only: what is not in one takes less than its last row
    """
    if a is None or b is None:
        return ()
    hidden = [min(one.values()) if whole is not None and len(one) >= whole else 0.0 for one in (a, b)]
    found = []
    for name in dict.fromkeys((*a, *b)):
        one, other = a.get(name), b.get(name)
        known = (hidden[0] if one is None else one, hidden[1] if other is None else other)
        change = _change(name, known[0], scale * known[1], None, step_ms)
        if change.outcome == "same":
            continue
        detail = "" if one is not None and other is not None else _absence(one is None, bool(hidden[one is not None]))
        ends = (one, None if other is None else scale * other)
        found.append(replace(change, a_ms=ends[0], b_ms=ends[1], detail=detail))
    return tuple(sorted(found, key=lambda change: -abs(change.delta_ms)))


def _absence(new: bool, cut: bool) -> str:
    if cut:
        return f"not among the longest of {'A' if new else 'B'}"
    return "new" if new else "gone"


def _findings(a: Diagnosis, b: Diagnosis, scale: float, step_ms: float) -> tuple[FindingChange, ...]:
    before, after = ({item.rule: item for item in one.findings} for one in (a, b))
    found = []
    for rule in dict.fromkeys((*before, *after)):
        one, other = before.get(rule), after.get(rule)
        state = _state(one, other, scale, step_ms)
        if state is None:
            continue
        told = other if other is not None and other.status == "fired" else one
        assert told is not None
        costs = [item.cost_ms if item is not None and item.status == "fired" else None for item in (one, other)]
        found.append(
            FindingChange(
                rule=rule,
                title=told.title,
                state=state,
                a_ms=costs[0],
                b_ms=None if costs[1] is None else scale * costs[1],
                a_status="absent" if one is None else one.status,
                b_status="absent" if other is None else other.status,
            )
        )
    order = ("new", "grew", "unknown", "shrank", "gone", "same")
    return tuple(sorted(found, key=lambda item: (order.index(item.state), -(item.b_ms or item.a_ms or 0.0))))


def _state(one: Finding | None, other: Finding | None, scale: float, step_ms: float) -> State | None:
    """None for a rule that fired in neither run."""
    fired = [item is not None and item.status == "fired" for item in (one, other)]
    known = [item is not None and item.status in ("passed", "not_applicable", "fired") for item in (one, other)]
    if not any(fired):
        return None
    if not all(known):
        return "unknown"
    if not all(fired):
        return "new" if fired[1] else "gone"
    assert one is not None and other is not None
    if one.cost_ms is None or other.cost_ms is None:
        return "same"
    delta = scale * other.cost_ms - one.cost_ms
    if abs(delta) < PART_BAND * step_ms:
        return "same"
    return "grew" if delta > 0 else "shrank"
