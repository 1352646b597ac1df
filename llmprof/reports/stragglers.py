"""What do ranks that are not alike cost? One sentence and its figures, for every format of the report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.reports.text import visible

__all__ = ["LEGEND", "Cause", "Straggling", "straggling_of"]

LEGEND = (
    "Times as long: the step over that of ranks that are alike. Of what is lost, a repair removes one share; what the "
    "cause adds alone to ranks that are alike can be another, where causes overlap."
)
LEAST_SHARE = 0.01
"""Of the loss; what has less to do with it is left to analysis.json."""
_GROUPS = {"kinds": "kind", "ranks": "rank", "stages": "stage"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One kind of work, rank or stage: `name` in words, shares of the loss, and the step with it repaired."""

    group: str
    name: str
    slowdown: float | None
    removed: float | None
    added: float | None
    after_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Straggling:
    """The figures of `details.stragglers`; `told` where they are worth a sentence on the first screen."""

    sentence: str
    slowdown: float
    told: bool
    causes: tuple[Cause, ...]

    @property
    def groups(self) -> Mapping[str, tuple[Cause, ...]]:
        """The causes by group."""
        found = {group: tuple(one for one in self.causes if one.group == group) for group in _GROUPS.values()}
        return {group: some for group, some in found.items() if some}


def straggling_of(diagnosis: Diagnosis) -> Straggling | None:
    """What the document says of ranks that are not alike; None where it says nothing that can be read."""
    from llmprof.analyzers.details.stragglers import WORTH_TELLING

    figures = diagnosis.details.get("stragglers")
    if not isinstance(figures, Mapping):
        return None
    slowdown, sentence = _number(figures.get("slowdown")), figures.get("sentence")
    if slowdown is None or not isinstance(sentence, str):
        return None
    told = slowdown >= WORTH_TELLING
    causes = tuple(cause for key in _GROUPS for cause in _causes(figures, key)) if told else ()
    return Straggling(sentence=visible(sentence), slowdown=slowdown, told=told, causes=causes)


def _causes(figures: Mapping[str, Any], key: str) -> Iterator[Cause]:
    rows, group = figures.get(key), _GROUPS[key]
    for row in rows if isinstance(rows, list | tuple) else ():
        if not isinstance(row, Mapping):
            continue
        name = visible(str(row.get(group)))
        cause = Cause(
            group=group,
            name=name if group == "kind" else f"{group} {name}",
            slowdown=_number(row.get("slowdown")),
            removed=_number(row.get("removed")),
            added=_number(row.get("added")),
            after_ms=_number(row.get("step_ms_after")),
        )
        if max(abs(cause.removed or 0.0), abs(cause.added or 0.0)) >= LEAST_SHARE:
            yield cause


def _number(value: object) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None  # type: ignore[arg-type]
