"""Where does each millisecond of the step go, part by part? The rows of the table and the segments of the bar."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from llmprof.analyzers.diagnosis import PARTS, Diagnosis
from llmprof.reports.labels import CLASS_LABELS, CPU_HOST_LABEL, PART_LABELS, STALL_NAMES, PartLabel
from llmprof.reports.text import clip, visible

__all__ = ["Part", "bar_segments", "culprit_keys", "part_rows", "parts_sum"]

SMALLEST_SHARE = 0.01
"""Parts below this share of the step have no room in a picture and are drawn inside "other"; the table has them all."""
_TOLERANCE = 0.001
"""The classes of compute may differ from compute by this share of it before they are not believed to split it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the step: milliseconds per step, share of the sum of all parts, and how to show it."""

    key: str
    """`data`, or `compute.gemm` for a class of compute."""
    name: str
    short: str
    meaning: str
    colour: str
    idle: bool
    ms: float
    share: float
    culprit: bool = False
    """True when the verdict is about this part."""


def part_rows(diagnosis: Diagnosis) -> tuple[Part, ...]:
    """Every part with time in it, compute split into its classes, in the order in which parts are always shown.

    Empty when the diagnosis has no partition. Shares refer to the sum of the parts.
    """
    values = _finite(diagnosis.partition)
    total = sum(values.values())
    if total <= 0:
        return ()
    culprits = culprit_keys(diagnosis)
    order = [*(key for key in PARTS if key in values), *(key for key in values if key not in PARTS)]
    rows: list[Part] = []
    for key in order:
        if key == "compute":
            rows += _compute_rows(values[key], _finite(diagnosis.compute_classes), total, key in culprits)
        elif values[key] > 0:
            label = _label(key, diagnosis)
            rows.append(_part(key, label, values[key], total, key in culprits, _meaning(key, label, diagnosis)))
    return tuple(rows)


def _label(key: str, diagnosis: Diagnosis) -> PartLabel:
    """How a part is told; on a run without a GPU there is nothing to launch, and no kernel that does not run."""
    label = PART_LABELS.get(key) or _stranger(key)
    if "cpu-only" not in diagnosis.verdict.flags:
        return label
    label = CPU_HOST_LABEL if key == "host" else label
    return replace(label, idle=False)


def bar_segments(rows: tuple[Part, ...]) -> tuple[Part, ...]:
    """The rows as a bar can show them: parts below 1 % of the step are drawn inside "other"."""
    large = [row for row in rows if row.share >= SMALLEST_SHARE and row.key != "other"]
    small = [row for row in rows if row.share < SMALLEST_SHARE and row.key != "other"]
    rest = [row for row in rows if row.key == "other"]
    if not small and not rest:
        return tuple(large)
    label = PART_LABELS["other"]
    names = tuple(row.name for row in small)
    return (
        *large,
        Part(
            key="other",
            name=label.name,
            short=label.short,
            meaning=label.meaning if not names else f"{label.meaning}; and, each below 1 %: {', '.join(names)}",
            colour=label.colour,
            idle=True,
            ms=sum(row.ms for row in (*small, *rest)),
            share=sum(row.share for row in (*small, *rest)),
            culprit=any(row.culprit for row in rest),
        ),
    )


def parts_sum(rows: tuple[Part, ...]) -> float | None:
    """Milliseconds of all parts together; None when there is no partition."""
    return sum(row.ms for row in rows) if rows else None


def culprit_keys(diagnosis: Diagnosis) -> frozenset[str]:
    """Keys of the parts that the verdict is about; empty for `none`, for no verdict and for memory capacity."""
    bound = diagnosis.verdict.bound
    if bound == "memory":
        return frozenset() if diagnosis.verdict.detail == "capacity" else frozenset(("compute",))
    parts = {
        "data": ("data",),
        "compute": ("compute",),
        "communication": ("communication",),
        "host": ("host", "sync", "memory_management", "stalls"),
        "imbalance": ("skew",),
    }
    return frozenset(parts.get(bound or "", ()))


def _compute_rows(compute: float, classes: Mapping[str, float], total: float, culprit: bool) -> list[Part]:
    known = {key: value for key, value in classes.items() if value > 0}
    rest = compute - sum(known.values())
    if compute <= 0:
        return []
    if not known or rest < -_TOLERANCE * compute:
        return [_part("compute", PART_LABELS["compute"], compute, total, culprit)]
    if rest > _TOLERANCE * compute:
        known["other"] = known.get("other", 0.0) + rest
    order = [*(key for key in CLASS_LABELS if key in known), *(key for key in known if key not in CLASS_LABELS)]
    return [
        _part(f"compute.{key}", CLASS_LABELS.get(key) or _stranger(key), known[key], total, culprit) for key in order
    ]


def _part(key: str, label: PartLabel, ms: float, total: float, culprit: bool, meaning: str | None = None) -> Part:
    return Part(
        key=key,
        name=label.name,
        short=label.short,
        meaning=meaning or label.meaning,
        colour=label.colour,
        idle=label.idle,
        ms=ms,
        share=ms / total,
        culprit=culprit,
    )


def _meaning(key: str, label: PartLabel, diagnosis: Diagnosis) -> str:
    stalls = {name: value for name, value in _finite(diagnosis.stall_classes).items() if value > 0}
    if key != "stalls" or not stalls:
        return label.meaning
    return ", ".join(STALL_NAMES.get(name, visible(name)) for name in stalls)


def _stranger(key: str) -> PartLabel:
    name = clip(visible(key).replace("_", " "), 40)
    return PartLabel(name, name, "", PART_LABELS["other"].colour)


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {key: float(value) for key, value in values.items() if value is not None and math.isfinite(value)}
