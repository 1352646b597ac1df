"""How does a rule show its figures? Evidence records with the time window in which the figure can be seen."""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Evidence
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.rules.thresholds import Threshold
from llmprof.units import NS_PER_MS

__all__ = ["longest", "number", "share", "time"]


def time(
    label: str, ns: float | None, *, source: str, rank: int | None = None, window: tuple[int, int] | None = None
) -> Evidence:
    """A time per step."""
    value = None if ns is None else ns / NS_PER_MS
    return Evidence(label=label, value=value, unit="ms per step", source=source, rank=rank, window_ns=window)


def share(label: str, facts: Facts, ns: float, limit: Threshold, *, source: str = "partition") -> Evidence:
    """A time as a share of the step, beside the limit that it is held against."""
    value = ns / facts.step.mean_ns if facts.step.mean_ns > 0 else None
    return Evidence(label=label, value=value, unit="of the step", threshold=limit.value, source=source)


def number(label: str, value: float | str | None, unit: str, *, source: str, rank: int | None = None) -> Evidence:
    """Any other figure."""
    return Evidence(label=label, value=value, unit=unit, source=source, rank=rank)


def longest(rank: RankFacts, *names: str) -> tuple[int, int] | None:
    """The longest span that the partition charged to one of these detailed classes: where to look on the timeline."""
    if rank.traced is None and rank.partition is None:
        return None
    spans = (rank.traced or rank.partition).spans  # type: ignore[union-attr]
    best: tuple[int, int] | None = None
    for name in names:
        found = spans.get(name)
        if not found:
            continue
        row = int((found.ends - found.starts).argmax())
        span = int(found.starts[row]), int(found.ends[row])
        if best is None or span[1] - span[0] > best[1] - best[0]:
            best = span
    return best
