"""How did the processes of a run end, and which one ended first? The others often die of it.

A process says itself how it ends, unless a signal ends it: then end.json says it, seen from outside, or the exit code
of the command where it was the only process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from signal import Signals
from typing import Any

__all__ = ["Death", "deaths", "seen_from_outside", "with_ending"]

SHOWN = 3
"""Ranks that a warning names; one that takes down a thousand others would fill the screen."""
HOW_SIGNS = 80
_SHELL = 128
"""Added to the number of a signal in the exit code of a shell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A rank that did not end well."""

    rank: int
    how: str
    step: int | None
    """The last one that it has written."""
    t_ns: int | None
    """Unix time of its end; None when nobody saw it."""


def with_ending(header: Mapping[str, Any], end: Mapping[str, Any]) -> Mapping[str, Any]:
    """rank.json, completed by what was seen from outside when the process could not say how it ended."""
    name = end.get("signal")
    if header.get("ended") != "running" or not isinstance(name, str):
        return header
    return {**header, "ended": "signal", "reason": name}


def seen_from_outside(run: Mapping[str, Any]) -> Mapping[str, Any]:
    """The end of the command as that of its only process; a shell script hands a signal on as an exit code."""
    code = run.get("exit_code")
    name = run.get("signal")
    if name is None and isinstance(code, int) and code - _SHELL in set(Signals):
        name = Signals(code - _SHELL).name
    return {"signal": name}


def deaths(found: Sequence[Death]) -> list[str]:
    """One sentence about all of them; who was first comes first."""
    if not found:
        return []
    timed = all(one.t_ns is not None for one in found)
    ordered = sorted(found, key=lambda one: (one.t_ns or 0, one.rank))
    told = [_told(one) for one in ordered[:SHOWN]]
    if len(found) == 1:
        return [f"{told[0]} died; what it had written until then is used."]
    more = len(ordered) - SHOWN
    rest = ", ".join(told[1:]) + (f" and {more} more" if more > 0 else "")
    order = ", then " if timed else ", "
    return [
        f"{len(found)} ranks died: {'first ' if timed else ''}{told[0]}{order}{rest}; what they had written is used."
    ]


def _told(one: Death) -> str:
    how = one.how if len(one.how) <= HOW_SIGNS else f"{one.how[:HOW_SIGNS]} ..."
    return f"rank {one.rank} ({how}{'' if one.step is None else f', after step {one.step}'})"
