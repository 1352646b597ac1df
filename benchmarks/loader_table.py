"""How far is what was foretold of loader settings from what was measured? The tables of loader_model.py."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any, ClassVar

__all__ = ["TARGET", "Compared", "show"]

TARGET = 0.03
"""Median error of the step that each kind is meant to stay under, and what repetitions may lie apart to decide that."""


@dataclass(frozen=True)
class Compared:
    """One setting: predicted against measured; errors are shares of the measured step."""

    SHOWN: ClassVar = ("error", "textbook", "queue")
    measured_ms: float
    error: float
    textbook: float
    queue: float
    noise: float
    """How far the repetitions lie apart."""
    rounds: int

    @classmethod
    def of(cls, line: dict[str, Any]) -> Compared:
        """From what was written of a setting."""
        steps = [one["ms"] for one in line["rounds"]]
        found = statistics.median(steps)
        queue = statistics.median(one["given_ms"] / one["ms"] - 1 for one in line["rounds"])
        noise = (max(steps) - min(steps)) / found
        return cls(found, line["predicted_ms"] / found - 1, line["textbook_ms"] / found - 1, queue, noise, len(steps))

    @property
    def decides(self) -> bool:
        """Whether the setting was measured well enough to say anything about the model."""
        return self.rounds > 1 and self.noise <= TARGET

    @property
    def repeats(self) -> str:
        """How far they lie apart, for a table."""
        return f"{f'{self.noise:.1%}' if self.rounds > 1 else '-':>8}"


def show(lines: list[dict[str, Any]]) -> None:
    """A table of all settings, and the errors of each kind."""
    print("\nkind    predicted  measured   error  textbook   queue   repeats   load ms   setting")
    errors: dict[str, list[Compared]] = {}
    for line in lines:
        if not line["rounds"]:
            continue
        found = Compared.of(line)
        errors.setdefault(line["kind"], []).append(found)
        loads = " to ".join(f"{end(one['load_ms'] for one in line['rounds']):.0f}" for end in (min, max))
        print(
            f"{line['kind']:7} {line['predicted_ms']:9.2f} {found.measured_ms:9.2f} {found.error:+7.1%} "
            f"{found.textbook:+9.1%} {found.queue:+7.1%} {found.repeats}   {loads:>10}   {line['name']}"
            f"{' (recorded)' if line['recorded'] else ''}{'' if found.decides else ' - decides nothing'}"
        )
    print(
        "\nMedian error (worst) of the step. queue: the model given the loads of the very run that it is held against;"
    )
    print("deciding: of the settings that were measured more than once and repeat within the target")
    print(f"kind    settings   predicted          textbook           queue              repeats   target {TARGET:.0%}")
    for kind, rows in errors.items():
        deciding = [row for row in rows if row.decides]
        met = "undecided" if not deciding else "met" if _middle(deciding, "error") <= TARGET else "missed"
        for name, some in (("", rows), ("deciding", deciding)):
            if some:
                shown = "   ".join(f"{_middle(some, what):6.1%} ({_worst(some, what):6.1%})" for what in Compared.SHOWN)
                noise = statistics.median(row.noise for row in some)
                print(f"{kind:7} {len(some):8}   {shown}   {noise:7.1%}   {name} {met if name or not deciding else ''}")


def _middle(rows: list[Compared], what: str) -> float:
    return float(statistics.median(abs(getattr(row, what)) for row in rows))


def _worst(rows: list[Compared], what: str) -> float:
    return float(max(abs(getattr(row, what)) for row in rows))
