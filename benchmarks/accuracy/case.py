"""What is a planted case? Its script and options, the truth about it, and the fixes that are measured.

`args` and the values of `sides` are words for the script; `NAME=value` among them is an environment variable, `NAME=`
takes one away. A side is a fix by its id, with what has to be appended to apply it; `{num_workers:12}` takes the
number that llmprof's own recommendation names, and 12 where it names none.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["Case", "case", "filled", "on_two_ranks", "words_of"]

RECORDED_MS = 5000.0
"""What a recorded run trains at least, the traced steps and the first ones among them."""
RANKED_STEPS = 90
"""Of the recorded run with several ranks, at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One planted bottleneck."""

    id: str
    script: str
    args: str
    planted: str
    bounds: tuple[str, ...]
    """Right verdicts; the first one is what was planted."""
    rules: tuple[str, ...] = ()
    """Rules of which one should fire."""
    first: tuple[str, ...] = ()
    """Right first recommendations; empty: there should be none that promises anything."""
    sides: Mapping[str, str] = field(default_factory=dict)
    """Fixes that are measured."""
    ranks: int = 1
    steps: int = 70
    """Of the recorded run, at least."""
    step_ms: float | None = None
    """About what a step takes: the recorded run gets RECORDED_MS worth of steps, since short runs tell little."""
    period: int = 1
    """A measured block is a multiple of so many steps: what happens every k steps is in each."""
    rebuild: bool = False
    """Every measured block has a loader of its own."""
    fails: bool = False
    """The recorded run is meant to die."""

    @property
    def recorded_steps(self) -> int:
        """Steps of the recorded run, whole periods."""
        enough = math.ceil(RECORDED_MS / self.step_ms) if self.step_ms else 0
        return -(-max(self.steps, enough) // self.period) * self.period


def words_of(text: str) -> tuple[dict[str, str | None], list[str]]:
    """Environment variables (None: taken away) and options."""
    words = shlex.split(text)
    variables = dict(word.split("=", 1) for word in words if re.match(r"[A-Z][A-Z0-9_]*=", word))
    options = [word for word in words if not re.match(r"[A-Z][A-Z0-9_]*=", word)]
    return {name: value or None for name, value in variables.items()}, options


def filled(more: str, fix: str, recommendations: list[dict[str, Any]]) -> str:
    """The words of a side, with the numbers that llmprof's recommendation of this fix names last ("3 -> 12")."""
    said = " ".join(one["how"] for one in recommendations if one["id"] in fix.split("+"))

    def number(match: re.Match[str]) -> str:
        named = re.findall(rf"{match[1]}\s*=\s*(\d+)", said)
        return str(named[-1]) if named else match[2]

    return re.sub(r"\{(\w+):(\d+)\}", number, more)


def case(
    id: str, script: str, args: str, bounds: str, planted: str, rules: str = "", first: str = "",
    sides: Mapping[str, str] | None = None, **more: Any,
) -> Case:  # fmt: skip
    """A case of the table; bounds, rules and first fixes as words."""
    return Case(
        id=id, script=script, args=args, planted=planted, bounds=tuple(bounds.split()), rules=tuple(rules.split()),
        first=tuple(first.split()), sides=sides or {}, **more,
    )  # fmt: skip


def on_two_ranks(cases: Iterable[Case]) -> list[Case]:
    """The cases with a rank on each of two GPUs."""
    return [replace(one, ranks=2, steps=max(one.steps, RANKED_STEPS)) for one in cases]
