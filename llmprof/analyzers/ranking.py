"""Which fix should be tried first, and what do several bring together?

By gain for the effort. The gain is the middle between the low end and the expected value: a sure gain stands before one
that may come to nothing. It is divided by the effort (a flag 1, some lines 2, a refactoring 3, a change of the machine
4: assumptions); one that needs others promises what all of them bring, and takes the effort of all. Of fixes of which
only one can be done, the one that brings most decides where they stand: whoever does it has no use for the others. A
debugging switch that costs time goes first of all: what other fixes promise is about a run that nobody means to have.
What is equal goes by effort, then by how well the gain is founded. What cannot be told from the noise of the step comes
last and promises nothing. When memory is at its limit, fixes that win memory come first, before all others the one that
makes free pieces usable; in a run that goes on, one of them is enough. Gains that overlap are never added: of the fixes
that shorten the same part of the step, only the largest counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from llmprof.analyzers.diagnosis import PARTS, Basis, Combined, Effort, Gain, Recommendation
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.replay.exclusive import alternatives
from llmprof.analyzers.rules.fixes import FIXES
from llmprof.analyzers.rules.memory_fixes import MEMORY_RULES
from llmprof.analyzers.rules.memory_near_limit import near_limit
from llmprof.analyzers.rules.thresholds import (
    EFFORT_FEW_LINES,
    EFFORT_INFRASTRUCTURE,
    EFFORT_REFACTOR,
    NOISE_ERRORS,
    NOISE_SHARE,
)
from llmprof.units import NS_PER_MS, format_ms

__all__ = ["noise_ms", "rank"]

_EFFORT: dict[Effort, float] = {
    "flag": 1.0,
    "few_lines": EFFORT_FEW_LINES.value,
    "refactor": EFFORT_REFACTOR.value,
    "infrastructure": EFFORT_INFRASTRUCTURE.value,
}
_SWITCH = "debug-off"
_BASIS: dict[Basis, int] = {"replay": 0, "roofline": 1, "bound": 2, "prior": 3}


def rank(recommendations: Iterable[Recommendation], facts: Facts) -> tuple[tuple[Recommendation, ...], Combined | None]:
    """Recommendations in the order in which to try them, each id once, and what they bring together.

    `Combined` is None when fewer than two fixes add up to anything.
    """
    limit = noise_ms(facts)
    capacity = any(near_limit(one.memory) for one in facts.ranks.values()) or near_limit(facts.critical.memory)
    given = list(recommendations)
    memory = {one.id: False for one in given if one.rule in MEMORY_RULES and capacity}
    memory |= {one.id: True for one in given if one.rule == "fragmentation" and capacity}
    merged = [_quiet(one, facts, limit) for one in _merge(given)]
    effort = {one.id: _effort(_deciding(one, merged)) for one in merged}
    ordered = sorted(merged, key=lambda one: _key(one, memory, effort[one.id]))
    if memory and not any(one.memory and one.memory.out_of_memory for one in facts.ranks.values()):
        # A run that goes on needs room once: beside the first fix that makes it the others are judged by their time.
        first = {ordered[0].id: memory[ordered[0].id]}
        ordered = sorted(merged, key=lambda one: _key(one, first, effort[one.id]))
    return tuple(ordered), _combined(ordered, facts)


def noise_ms(facts: Facts) -> float:
    """The smallest gain that can be told from nothing: two standard errors of the mean step, else 1 % of it."""
    noise = facts.step.noise_ns
    ns = NOISE_SHARE.value * facts.step.mean_ns if noise is None else NOISE_ERRORS.value * noise
    return ns / NS_PER_MS


def _merge(recommendations: Iterable[Recommendation]) -> list[Recommendation]:
    """Each id once: the better founded gain, then the larger one, with the most memory that any rule expects of it."""
    best: dict[str, Recommendation] = {}
    won: dict[str, int] = {}
    for one in recommendations:
        other = best.get(one.id)
        if other is None or _founded(one) < _founded(other):
            best[one.id] = one
        if one.gain.memory_bytes is not None:
            won[one.id] = max(won.get(one.id, 0), one.gain.memory_bytes)
    return [replace(one, gain=replace(one.gain, memory_bytes=won.get(one.id))) for one in best.values()]


def _founded(one: Recommendation) -> tuple[int, float]:
    return _BASIS[one.gain.basis], -one.gain.expected_ms


def _quiet(one: Recommendation, facts: Facts, limit_ms: float) -> Recommendation:
    """A gain within the noise promises nothing and says so; costs of memory fixes stay as they are."""
    gain = one.gain
    if gain.expected_ms <= 0 or gain.expected_ms > limit_ms:
        return one
    step = facts.step.mean_ns / NS_PER_MS
    reason = (
        f"The expected gain of {format_ms(gain.expected_ms)} cannot be told from the step's noise "
        f"({format_ms(limit_ms)})."
    )
    nothing = replace(gain, expected_ms=0.0, low_ms=min(gain.low_ms, 0.0), step_ms_after=step, speedup=1.0)
    return replace(one, gain=nothing, why=f"{one.why} {reason}".strip())


def _worth(gain: Gain) -> float:
    """The middle between what is sure and what is expected, ms; one that may cost something is taken back again."""
    return (max(gain.low_ms, 0.0) + gain.expected_ms) / 2


def _effort(one: Recommendation) -> float:
    """Of the fix and of those that it needs, which its gain holds as well."""
    return _EFFORT[one.effort] + sum(_EFFORT[FIXES[fix].effort] for fix in one.requires if fix in FIXES)


def _deciding(one: Recommendation, others: Iterable[Recommendation]) -> Recommendation:
    """Of the fixes of which only this or another can be done: the one that brings most, by name among equal ones."""
    same = alternatives(one.id)
    return max((other for other in others if other.id in same), key=lambda other: (_worth(other.gain), other.id))


def _key(
    one: Recommendation, memory: Mapping[str, bool], effort: float
) -> tuple[int, float, float, float, int, float, str]:
    """Smaller comes first; `memory` are the fixes that win what the run lacks, and whether from free pieces."""
    gain = one.gain
    if one.id in memory:
        # What is free already, only in pieces; then memory won; of equal and unknown amounts the least cost in time.
        pieces = memory[one.id]
        group, first, second = 0, -math.inf if pieces else -float(gain.memory_bytes or 0), -gain.expected_ms
    elif gain.expected_ms > 0:
        group, first, second = 1, -math.inf if one.id == _SWITCH else -_worth(gain) / effort, 0.0
    else:
        group, first, second = 2, -gain.high_ms, 0.0
    width = (gain.high_ms - gain.low_ms) / gain.expected_ms if gain.expected_ms > 0 else 0.0
    return group, first, second, _EFFORT[one.effort], _BASIS[gain.basis], width, one.id


def _combined(ordered: Sequence[Recommendation], facts: Facts) -> Combined | None:
    """The step after the fixes together: per part of the step one fix counts, capped by what the part takes."""
    partition = facts.critical.partition
    if partition is None:
        return None
    counted: list[Recommendation] = []
    taken: set[str] = set()
    for one in sorted((one for one in ordered if one.gain.expected_ms > 0), key=lambda one: -one.gain.expected_ms):
        parts = _parts(one, partition.parts)
        if taken.isdisjoint(parts):
            counted.append(one)
            taken.update(parts)
    if len(counted) < 2:
        return None
    step = facts.step.mean_ns / NS_PER_MS
    caps = [_held_ms(partition.parts, _parts(one, partition.parts)) for one in counted]
    low, expected, high = (
        sum(min(value, cap) for value, cap in zip(values, caps, strict=True))
        for values in zip(*(_three(one.gain) for one in counted), strict=True)
    )
    places = {one.id: place for place, one in enumerate(ordered)}
    return Combined(
        of=tuple(sorted((one.id for one in counted), key=places.__getitem__)),
        step_ms_after=step - expected,
        low_ms=step - high,
        high_ms=step - low,
    )


def _parts(one: Recommendation, parts: Mapping[str, float]) -> tuple[str, ...]:
    """The parts of the step that a fix can shorten; all of them where that is not known, so it is never added.

    It is not known of a fix of another package, and of one that brings more than its parts hold on the critical rank:
    what the others wait for is skew on them, and on the rank that they wait for its own work.
    """
    own = FIXES[one.id].removes if one.id in FIXES else PARTS
    held = _held_ms(parts, own)
    return own if one.gain.expected_ms <= held or math.isclose(one.gain.expected_ms, held) else PARTS


def _held_ms(parts: Mapping[str, float], names: Iterable[str]) -> float:
    return sum(parts.get(name, 0.0) for name in names) / NS_PER_MS


def _three(gain: Gain) -> tuple[float, float, float]:
    return gain.low_ms, gain.expected_ms, gain.high_ms
