"""How long is a step of each side, unrecorded? Sides train in blocks that take turns."""

from __future__ import annotations

import json
import math
import statistics
import time
from pathlib import Path
from typing import Any

from case import Case, words_of
from lanes import Lane, Process, command

__all__ = ["Sides"]

START_S, BLOCK_S = 100.0, 60.0
TIMED_S = 0.5
"""What a block should take; the first one of a side tells how many steps that is."""
FEW, MANY = 6, 60
EXACT, MOST = 0.01, 12
"""Blocks are added until the standard error of every side's mean is below this share of it, at most so many a side."""


class Sides:
    """The sides of a case: all alive at the same time, and only one trains at any moment."""

    def __init__(self, case: Case, lane: Lane, folder: Path) -> None:
        self.case, self.lane, self.folder = case, lane, folder
        self._processes: dict[str, list[Process]] = {}
        self._names: dict[str, str] = {}
        self.answers: dict[str, list[dict[str, Any]]] = {}
        self.errors: dict[str, str] = {}
        self.plain: list[str] = []
        """Sides that were not forked."""
        self.forked_errors: dict[str, str] = {}
        self._words: dict[str, tuple[dict[str, str | None], list[str]]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, side: str, more: str) -> None:
        """Start a side, and order its first block, which warms it up and is not counted."""
        variables, options = words_of(f"{self.case.args} {more}")
        name = self._names[side] = f"s{len(self._names)}"
        options += ["--measure", str(self.folder), "--name", name, *(["--rebuild"] if self.case.rebuild else [])]
        self._words[side] = variables, options
        self.answers[side] = []
        self._order(name, 0, self._rounded(FEW))
        plain = any(variable.startswith("PYTORCH_") for variable in variables)  # torch has read these when it forks
        self._launch(side, plain)

    def _launch(self, side: str, plain: bool) -> None:
        variables, options = self._words[side]
        log = self.folder / f"{self._names[side]}.log"
        if not plain:
            self._processes[side] = self.lane.fork(self.case.script, options, variables, log, self.case.ranks)
            return
        self.plain.append(side)
        cores = {"ACCURACY_GATE": str(self.folder), "ACCURACY_CORES": ",".join(map(str, self.lane.training))}
        environment = self.lane.environment({**variables, **cores})
        self._processes[side] = [self.lane.start(command(self.case, options), environment, log)]

    def warmed(self, side: str) -> None:
        """Wait for the first block of a side; one that did not survive being forked is started as any process."""
        self._block(side, 0, START_S)
        if side in self.errors and side not in self.plain:
            self.forked_errors[side] = self.errors.pop(side)
            for process in self._processes[side]:
                process.kill()
            self._launch(side, plain=True)
            self._block(side, 0, START_S)

    def measure(self, least: int, limit_s: float) -> None:
        """Blocks of every side, in turns: `least` of them, then more until all are exact or the time is over."""
        until = time.monotonic() + limit_s
        for block in range(1, max(least, MOST) + 1):
            if block > least and (time.monotonic() > until or self._exact()):
                return
            sides = [side for side in self._names if side not in self.errors]
            for side in sides if block % 2 else reversed(sides):  # what drifts meets no side more than another
                steps = math.ceil(TIMED_S * 1000 / self.answers[side][0]["ms"])
                self._order(self._names[side], block, self._rounded(min(MANY, max(FEW, steps))))
                self._block(side, block, BLOCK_S)

    def _exact(self) -> bool:
        counted = [[one["ms"] for one in self.answers[side][1:]] for side in self._names if side not in self.errors]
        return all(_error_of(times) < EXACT * statistics.fmean(times) for times in counted)

    def stop(self) -> None:
        """End all processes."""
        (self.folder / "stop").touch()
        for process in (process for processes in self._processes.values() for process in processes):
            process.ended(8)

    def summary(self) -> dict[str, dict[str, Any]]:
        """What every side took, in ms a step."""
        return {
            side: _summed(self.answers[side], self.errors.get(side))
            | {"plain": side in self.plain, "forked_error": self.forked_errors.get(side)}
            for side in self._names
        }

    def _rounded(self, steps: int) -> int:
        return -(-steps // self.case.period) * self.case.period

    def _order(self, name: str, block: int, steps: int) -> None:
        order = self.folder / f"go.{name}.{block}"
        order.with_suffix(".part").write_text(str(steps))
        order.with_suffix(".part").rename(order)

    def _block(self, side: str, block: int, limit_s: float) -> None:
        name, until = self._names[side], time.monotonic() + limit_s
        answer = self.folder / f"block.{name}.{block}.json"
        while not answer.exists():
            alive = all(process.alive() for process in self._processes[side])
            if not alive or time.monotonic() > until:
                logs = [path.read_text(errors="replace")[-500:] for path in sorted(self.folder.glob(f"{name}*.log"))]
                self.errors[side] = f"block {block} did not come (alive: {alive}): {' / '.join(logs)}"
                return
            time.sleep(0.005)
        self.answers[side].append(json.loads(answer.read_text()))


def _error_of(times: list[float]) -> float:
    """Standard error of the mean; infinite when one value says nothing about it."""
    return statistics.stdev(times) / math.sqrt(len(times)) if len(times) > 1 else math.inf


def _summed(blocks: list[dict[str, Any]], error: str | None) -> dict[str, Any]:
    times = [block["ms"] for block in blocks[1:]]
    return {
        "ms": statistics.fmean(times) if times else None,
        "blocks_ms": [round(ms, 4) for ms in times],
        "steps": [block["steps"] for block in blocks[1:]],
        "spread_ms": statistics.stdev(times) if len(times) > 1 else None,
        "losses": [round(block["loss"], 5) for block in blocks],
        "done": [block["done"] for block in blocks],
        "reserved_bytes": blocks[-1]["memory"] if blocks else None,
        "start_s": blocks[0]["start_s"] if blocks else None,
        "error": error,
    }
