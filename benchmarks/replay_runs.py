"""How true is the replay on recorded runs whose fixes were measured? Run by run, with the profiler's cost as found.

    python benchmarks/replay_runs.py results.jsonl RUNS      # RUNS/<case>: the run directories

Gains are those of the replay alone, also where the report would give a rule's bound: shares of the step, recorded and
measured each against its own. Skill is 1 - sum |promised - measured| / sum |measured|. The interval holds a measurement
that lies within its two standard errors. Fixes that the replay leaves to their rule are not counted.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from llmprof.analyzers.facts.measure import measure  # noqa: E402
from llmprof.analyzers.facts.measured import Facts  # noqa: E402
from llmprof.analyzers.replay.graph.replay import FAITHFUL  # noqa: E402
from llmprof.analyzers.replay.model import Model, model_of  # noqa: E402
from llmprof.analyzers.replay.transforms.registry import transforms_by_fix  # noqa: E402
from llmprof.analyzers.replay.what_if import WhatIf  # noqa: E402
from llmprof.collectors.files import load  # noqa: E402
from llmprof.errors import LlmprofError  # noqa: E402
from llmprof.timeline.timeline import Timeline  # noqa: E402

SIGN = 0.05
Rows = list[list[str]]


@dataclass(frozen=True)
class Measured:
    """One fix of one run: gains as shares of the step, and two standard errors."""

    fix: str
    gain: float
    noise: float
    after_ms: float


@dataclass(frozen=True)
class Run:
    """A recorded run with the fixes that were measured on it."""

    name: str
    timeline: Timeline
    facts: Facts
    fixes: list[Measured]


@dataclass(frozen=True)
class Score:
    """One fix: promised and measured as shares of the step; the promised step is told from the plain one measured."""

    expected: float
    low: float
    high: float
    measured: Measured

    @property
    def step_error(self) -> float:
        """Of the step after the fix, when both gains are applied to the same step."""
        return abs(self.measured.gain - self.expected) / (1 - self.measured.gain)

    @property
    def covered(self) -> bool:
        """Whether the interval holds what was measured."""
        return self.low - self.measured.noise <= self.measured.gain <= self.high + self.measured.noise


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("runs", type=Path)
    options = parser.parse_args()
    cases, models, scores = replayed(list(read(options.results, options.runs)))
    print(table(["run", "step ms", "traced ms", "identity", "unprofiled", "cost µs", "host ×", "device ×",
                 "rival", "fix", "promised", "interval", "measured", "step error", "held"], cases))  # fmt: skip
    print()
    print(table(["identity, median / worst", "unprofiled, median / worst", "within 5 %",
                 "step error, median", "worst", "gain error, median", "skill", "held", "sign"],
                [summary(models, scores)]))  # fmt: skip


def read(results: Path, folder: Path) -> Any:
    """The runs that have a burst and measured fixes; the others are named with the reason."""
    for text in results.read_text().splitlines():
        line = json.loads(text)
        try:
            timeline = load([str(folder / line["case"])])
            facts = measure(timeline)
        except LlmprofError as error:
            print(f"{line['case']}: {error}\n")
            continue
        yield Run(line["case"], timeline, facts, measured(line.get("sides") or {}))


def measured(sides: dict[str, Any]) -> list[Measured]:
    """The fixes of a line that were measured and that a transform stands for."""
    plain = sides.get("planted") or {}
    found = []
    for fix, side in sides.items():
        known = all(one in transforms_by_fix() for one in fix.split("+"))
        if fix == "planted" or not known or not side.get("ms") or not plain.get("ms"):
            continue
        noise = 2 * math.hypot(*(error(one) / plain["ms"] for one in (plain, side)))
        found.append(Measured(fix, 1 - side["ms"] / plain["ms"], noise, side["ms"]))
    return found


def error(side: dict[str, Any]) -> float:
    """Standard error of the mean of a side's blocks."""
    count = len(side["blocks_ms"])
    return float(side["spread_ms"] or 0.0) / math.sqrt(count) if count else 0.0


def replayed(runs: list[Run]) -> tuple[Rows, list[Model], list[Score]]:
    """A row for each fix, the models, and the scores."""
    rows: Rows = []
    models, scores = [], []
    for run in runs:
        model = model_of(run.timeline, run.facts)
        if not isinstance(model, Model):
            rows.append([run.name, *[""] * 8, f"not replayed: {model}", *[""] * 5])
            continue
        models.append(model)
        what_if = WhatIf.of(model, run.facts)
        cost = model.distortion
        head = [run.name, f"{model.step_ns / 1e6:.2f}", f"{(run.facts.step.traced_mean_ns or 0) / 1e6:.2f}",
                percent(model.identity_error), percent(cost.error or 0.0), f"{cost.cost_ns / 1e3:.1f}",
                f"{cost.stretch:.2f}", f"{cost.device:.2f}", "yes" if model.rival else ""]  # fmt: skip
        if not run.fixes:
            rows.append([*head, *[""] * 6])
        for one in run.fixes:
            found = what_if.predict(one.fix.split("+"))
            if not found.fixes:
                rows.append([*head, one.fix, "left to its rule", *[""] * 4])
                continue
            step = model.step_ns
            score = Score(1 - found.step_ns / step, 1 - found.most_ns / step, 1 - found.least_ns / step, one)
            scores.append(score)
            rows.append([*head, one.fix, percent(score.expected), f"{percent(score.low)} to {percent(score.high)}",
                         f"{percent(one.gain)} ± {percent(one.noise)}", percent(score.step_error),
                         "yes" if score.covered else "NO"])  # fmt: skip
    return rows, models, scores


def summary(models: list[Model], scores: list[Score]) -> list[str]:
    """What the figures are over all runs."""
    identity = [abs(model.identity_error) for model in models]
    unprofiled = [abs(model.distortion.error or 0.0) for model in models]
    errors = [score.step_error for score in scores]
    misses = [abs(score.expected - score.measured.gain) for score in scores]
    skill = 1 - sum(misses) / sum(abs(score.measured.gain) for score in scores)
    wrong = sum(score.expected > SIGN and score.measured.gain < 0 for score in scores)
    return [f"{percent(statistics.median(identity))} / {percent(max(identity))}",
            f"{percent(statistics.median(unprofiled))} / {percent(max(unprofiled))}",
            f"{sum(model.error <= FAITHFUL for model in models)} of {len(models)}",
            percent(statistics.median(errors)), percent(max(errors)), percent(statistics.median(misses)),
            f"{skill:.2f}", f"{sum(score.covered for score in scores)} of {len(scores)}", str(wrong)]  # fmt: skip


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def table(head: list[str], rows: Rows) -> str:
    """A markdown table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows])


if __name__ == "__main__":
    main()
