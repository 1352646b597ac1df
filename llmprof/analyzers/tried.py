"""Which trial stands on which recommendation? The diagnosis of a run with what was tried on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llmprof.analyzers.diagnosis import Diagnosis, Recommendation, Tried

__all__ = ["with_trials"]


def with_trials(diagnosis: Diagnosis, trials: Mapping[int, Mapping[str, Any]]) -> Diagnosis:
    """The diagnosis with the latest trial on each recommendation that was tried; `trials` are the documents by number.

    A trial of several fixes stands on each of them that has none of its own, one of fixes that are not recommended
    beside the recommendations.
    """
    read = (_tried(number, document) for number, document in sorted(trials.items()))
    tried = [one for one in read if one is not None]
    told: dict[str, Tried] = {}
    for one in sorted(tried, key=lambda one: (len(one.fixes) == 1, one.trial)):
        told.update(dict.fromkeys(one.fixes, one))
    known = {item.id for item in diagnosis.recommendations}
    others = {frozenset(one.fixes): one for one in tried if one.fixes and known.isdisjoint(one.fixes)}
    if not told:
        return diagnosis
    items: tuple[Recommendation, ...] = tuple(
        replace(item, tried=told[item.id]) if item.id in told else item for item in diagnosis.recommendations
    )
    return replace(diagnosis, recommendations=items, tried=tuple(others.values()))


def _tried(number: int, document: Mapping[str, Any]) -> Tried | None:
    """What a trial's document says; None when it was not measured, or the file is not what it should be."""
    try:
        result = document["comparison"]
        predicted = result["predicted_ms"] or (None, None, None)
        return Tried(
            trial=number,
            fixes=tuple(str(one["id"]) for one in document["fixes"]),
            outcome=str(result["outcome"]),
            plain_ms=float(result["plain"]["mean_ms"]),
            step_ms=float(result["fixed"]["mean_ms"]),
            low_ms=float(result["fixed"]["low_ms"]),
            high_ms=float(result["fixed"]["high_ms"]),
            predicted_ms=_number(predicted[0]),
            predicted_low_ms=_number(predicted[1]),
            predicted_high_ms=_number(predicted[2]),
        )
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
