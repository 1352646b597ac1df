"""Does a run keep to its limits? Budgets of a file, or a run to be no slower than, each limit with its outcome.

A budget is a table of limits (docs/ci.md):

    [budget]
    step_ms = 90                # mean step, at most; likewise p95_ms
    tokens_per_s = 150_000      # at least; likewise mfu
    peak_memory_gib = 70        # at most
    [budget.parts]              # at most: a share of the step as "5 %", or milliseconds
    data = "5 %"
    [budget.findings]
    forbidden = ["fp32-matmul"] # rules that may not fire
    severity = "critical"       # nor any finding of this severity or above
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from llmprof.analyzers.compare import RunComparison, compare_runs
from llmprof.analyzers.diagnosis import PARTS, Diagnosis
from llmprof.errors import InputError
from llmprof.units import format_bytes, format_count, format_ms, format_percent

__all__ = ["Limit", "against_baseline", "against_budget", "share_of"]

Status = Literal["kept", "broken", "no_data"]

GIB = 1 << 30
_SEVERITIES = ("info", "warning", "critical")
_SCALARS: dict[str, tuple[str, bool, Callable[[float], str]]] = {
    "step_ms": ("mean step", True, format_ms),
    "p95_ms": ("95th percentile of the step", True, format_ms),
    "tokens_per_s": ("tokens per second", False, format_count),
    "mfu": ("model FLOP utilization", False, format_percent),
    "peak_memory_gib": ("peak device memory", True, lambda value: format_bytes(value * GIB)),
}
"""The name of each figure, whether the limit is an upper one, and how to show it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit and what became of it."""

    name: str
    status: Status
    sentence: str
    value: float | None = None
    limit: float | None = None


def against_budget(diagnosis: Diagnosis, budget: Mapping[str, Any]) -> tuple[Limit, ...]:
    """Every limit of the budget, in its order. Raises InputError for a limit that there is not."""
    unknown = sorted(budget.keys() - {*_SCALARS, "parts", "findings"})
    if unknown:
        known = ", ".join((*_SCALARS, "parts", "findings"))
        raise InputError(f"the budget has no limit {unknown[0]!r}; the limits are {known}.")
    found = [_scalar(diagnosis, name, _number(name, budget[name])) for name in budget if name in _SCALARS]
    found += _parts(diagnosis, _section(budget, "parts"))
    found += _findings(diagnosis, _section(budget, "findings"))
    if not found:
        raise InputError("the budget has no limit; see docs/ci.md for what it may hold.")
    return tuple(found)


def against_baseline(
    diagnosis: Diagnosis, baseline: Diagnosis, limit: float, names: tuple[str, str]
) -> tuple[tuple[Limit, ...], RunComparison]:
    """Whether a run is at most `limit` (a share) slower than the baseline and needs at most as much more memory.

    Slower counts only when the difference is more than the noise of both runs: a regression that cannot be told from
    noise is no data. Neither is a run of another model, world size or GPU, or one that was measured otherwise.
    """
    found = compare_runs(baseline, diagnosis, names)
    apart = [item for item in found.unlike if item.name != "tokens per step"]
    if apart:
        what = "; ".join(f"{item.name}: {item.a} and {item.b}" for item in apart)
        return (Limit(name="comparable", status="no_data", sentence=f"The runs are not alike ({what})."),), found
    # Another batch needs other memory: then it says nothing.
    memory = _more_memory(diagnosis, baseline, limit) if found.scale == 1 else ()
    return (_slower(found, limit), *memory), found


def share_of(text: str) -> float:
    """The share of 1 that `5%`, `5 %` or `0.05` says. Raises InputError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", text)
    if match is None:
        raise InputError(f"{text!r} is no share; give it as 5% or 0.05.")
    value = float(match[1]) / (100 if match[2] else 1)
    if value > 1 and not match[2]:
        raise InputError(f"{text!r} is more than the whole; did you mean {text.strip()}%?")
    return value


def _slower(found: RunComparison, limit: float) -> Limit:
    step = found.step
    assert step.a_ms is not None and step.b_ms is not None
    share = step.delta_ms / step.a_ms
    times = f"{format_ms(step.a_ms)} -> {format_ms(step.b_ms)} per step"
    if share <= limit:
        status: Status = "kept"
        sentence = f"{times}: {_signed(share)}, at most {format_percent(limit)} is allowed."
    elif step.low_ms is None or step.low_ms > 0:
        status, sentence = "broken", f"{times}: {format_percent(share)} slower, {format_percent(limit)} is allowed."
    else:
        status = "no_data"
        sentence = f"{times}: {_signed(share)}, which the noise of the runs explains; record more steps."
    return Limit(name="step", status=status, sentence=sentence, value=share, limit=limit)


def _more_memory(diagnosis: Diagnosis, baseline: Diagnosis, limit: float) -> Iterator[Limit]:
    before, after = baseline.step.peak_memory_bytes, diagnosis.step.peak_memory_bytes
    if not before or after is None:
        return
    share = after / before - 1
    broken = share > limit
    yield Limit(
        name="peak_memory",
        status="broken" if broken else "kept",
        sentence=f"{format_bytes(before)} -> {format_bytes(after)} at the peak: {_signed(share)}, "
        f"at most {format_percent(limit)} is allowed.",
        value=share,
        limit=limit,
    )


def _signed(share: float) -> str:
    return ("+" if share > 0 else "") + format_percent(share)


def _scalar(diagnosis: Diagnosis, name: str, limit: float) -> Limit:
    title, upper, show = _SCALARS[name]
    step = diagnosis.step
    memory = step.peak_memory_bytes
    values = {
        "step_ms": step.mean_ms,
        "p95_ms": step.p95_ms,
        "tokens_per_s": step.tokens_per_s,
        "mfu": step.mfu,
        "peak_memory_gib": None if memory is None else memory / GIB,
    }
    return _limit(name, title, values[name], limit, upper, show)


def _limit(
    name: str, title: str, value: float | None, limit: float, upper: bool, show: Callable[[float], str]
) -> Limit:
    bound = f"{'at most' if upper else 'at least'} {show(limit)}"
    if value is None:
        return Limit(
            name=name, status="no_data", sentence=f"{title}: not known, {bound} is the budget.", value=None, limit=limit
        )
    broken = value > limit if upper else value < limit
    sentence = f"{title}: {show(value)}, {bound} is the budget."
    return Limit(name=name, status="broken" if broken else "kept", sentence=sentence, value=value, limit=limit)


def _parts(diagnosis: Diagnosis, parts: Mapping[str, Any]) -> Iterator[Limit]:
    total = diagnosis.step.mean_ms
    for name, wanted in parts.items():
        if name not in PARTS:
            raise InputError(f"the budget has no part {name!r}; the parts are {', '.join(PARTS)}.")
        value = diagnosis.partition.get(name)
        if isinstance(wanted, str):
            value = value / total if value is not None and total else None
            yield _limit(f"parts.{name}", f"{name}, share of the step", value, share_of(wanted), True, format_percent)
        else:
            yield _limit(f"parts.{name}", name, value, _number(f"parts.{name}", wanted), True, format_ms)


def _findings(diagnosis: Diagnosis, wanted: Mapping[str, Any]) -> Iterator[Limit]:
    unknown = sorted(wanted.keys() - {"forbidden", "severity"})
    if unknown:
        raise InputError(f"[budget.findings] has no entry {unknown[0]!r}; it may hold forbidden and severity.")
    forbidden = wanted.get("forbidden", [])
    if not isinstance(forbidden, list) or not all(isinstance(rule, str) for rule in forbidden):
        raise InputError("[budget.findings] forbidden is a list of rules, such as ['fp32-matmul'].")
    states = {item.rule: item for item in diagnosis.findings}
    for rule in forbidden:
        if rule not in states:
            raise InputError(f"[budget.findings] forbids {rule!r}, and there is no such rule; see `llmprof rules`.")
        one = states[rule]
        known = {"fired": "broken", "passed": "kept", "not_applicable": "kept"}
        status: Any = known.get(one.status, "no_data")
        yield Limit(name=f"findings.{rule}", status=status, sentence=f"{one.title}: {one.summary}", value=one.cost_ms)
    severity = wanted.get("severity")
    if severity is None:
        return
    if severity not in _SEVERITIES:
        raise InputError(f"[budget.findings] severity is one of {', '.join(_SEVERITIES)}, not {severity!r}.")
    grave = _SEVERITIES[_SEVERITIES.index(severity) :]
    worst = [item for item in diagnosis.findings if item.status == "fired" and item.severity in grave]
    told = "; ".join(item.title for item in worst[:5]) or "none"
    yield Limit(
        name="findings.severity",
        status="broken" if worst else "kept" if diagnosis.findings else "no_data",
        sentence=f"findings of severity {severity} or above: {told}.",
        value=float(len(worst)),
        limit=0.0,
    )


def _section(budget: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = budget.get(name, {})
    if not isinstance(section, Mapping):
        raise InputError(f"the budget's {name} is a table of its own: [budget.{name}].")
    return section


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value <= 0:
        raise InputError(f"the budget's {name} is {value!r}; give a positive number.")
    return float(value)
