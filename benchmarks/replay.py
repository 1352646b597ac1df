"""How true is the replay, and do its gains come true? Beside what others would have promised from the same traces.

    python benchmarks/replay.py TRACES                    # a folder whose labels.json tells what each fix brought
    python benchmarks/replay.py TRACES --runs sample_traces

Printed are, for each labelled trace and each recorded run, the identity error (replay of the traced graph against the
traced steps), the error against the unprofiled step with the usual cost of the profiler (nothing fitted) and with the
fitted one; then the step after the fix as promised and as measured, with the interval, beside three rivals:

    bound      what the rule promises without a replay
    headroom   share of the traced step x headroom, as TraceLens ranks: (1 - efficiency) for products, 30 % for the rest
    ceiling    T / (T - R): all of the class that the fix works on is gone

and last the same with each kind of edge, and the correction for the profiler, left out. Skill is 1 - |gain promised -
gain measured| / |gain measured|: one who promises nothing scores 0.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from llmprof.analyzers.facts.measure import measure  # noqa: E402
from llmprof.analyzers.facts.measured import Facts  # noqa: E402
from llmprof.analyzers.replay.graph.build import ALL_EDGES  # noqa: E402
from llmprof.analyzers.replay.model import Model, model_of  # noqa: E402
from llmprof.analyzers.replay.scenario import Scenario, run  # noqa: E402
from llmprof.analyzers.replay.unprofiled.distortion import Distortion, relieved  # noqa: E402
from llmprof.analyzers.replay.unprofiled.event_cost import USUAL_COST_NS  # noqa: E402
from llmprof.analyzers.replay.what_if import WhatIf  # noqa: E402
from llmprof.analyzers.rules import registry  # noqa: E402
from llmprof.collectors.files import load  # noqa: E402
from llmprof.timeline.timeline import Timeline  # noqa: E402

FIXES = {
    "data_workers0": "dataloader-workers",
    "data_workers2": "dataloader-workers",
    "compute_fp32": "bf16-autocast",
    "compute_tf32": "bf16-autocast",
    "compute_recompute": "drop-recompute",
    "host_optimizer": "fused-optimizer",
    "host_small": "cuda-graphs",
    "comm_manual": "wrap-ddp",
    "straggler_data": "repair-straggler",
}
"""What was done in each labelled case. memory_ragged is left out: its fix changes how much a step does."""
PART = {
    "dataloader-workers": "data",
    "repair-straggler": "data",
    "bf16-autocast": "compute",
    "drop-recompute": "compute",
    "fused-optimizer": "host",
    "cuda-graphs": "host",
    "wrap-ddp": "communication",
}
FLAT_HEADROOM = 0.30
PRODUCTS_HEADROOM = 0.8
MS = 1e6


@dataclass(frozen=True)
class Case:
    """One labelled trace."""

    name: str
    timeline: Timeline
    facts: Facts
    fix: str
    before_ms: float
    after_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="labelled traces, with labels.json")
    parser.add_argument("--runs", type=Path, help="recorded runs, each with its own baseline")
    options = parser.parse_args()
    cases = labelled(options.folder)
    fidelity([(case.name, case.timeline, case.facts) for case in cases], options.runs)
    gains(cases)
    ablations(cases)


def labelled(folder: Path) -> list[Case]:
    labels = json.loads((folder / "labels.json").read_text())
    found = []
    for name, fix in FIXES.items():
        label = labels[name]
        timeline = load(sorted(str(path) for path in folder.glob(f"{name}.rank*.json.gz")))
        facts = measure(timeline, step_ms=label["unprofiled_step_ms"])
        found.append(Case(name, timeline, facts, fix, label["unprofiled_step_ms"], label["unprofiled_step_ms_fixed"]))
    return found


def fidelity(traces: list[tuple[str, Timeline, Facts]], runs: Path | None) -> None:
    if runs is not None:
        for path in sorted(runs.glob("*/run.json")):
            timeline = load([str(path.parent)])
            traces.append((path.parent.name, timeline, measure(timeline)))
    print(f"{'':20} {'step':>8} {'traced':>8} {'identity':>9} {'usual':>8} {'fitted':>8} {'cost/event':>11}")
    rows = []
    for name, timeline, facts in traces:
        model = model_of(timeline, facts)
        if not isinstance(model, Model):
            print(f"{name:20} not replayed: {model}")
            continue
        usual = Scenario(graph=relieved(model.fed, Distortion(cost_ns=USUAL_COST_NS)), feeds=model.scenario.feeds)
        errors = (model.identity_error, run(usual).step_ns / model.step_ns - 1, model.distortion.error or 0.0)
        rows.append(errors)
        cost = f"{model.distortion.cost_ns / 1e3:.1f} µs" if model.distortion.fitted else "assumed"
        traced = (facts.step.traced_mean_ns or 0.0) / MS
        print(f"{name:20} {model.step_ns / MS:8.1f} {traced:8.1f} {_cells(errors)} {cost:>11}")
    columns = list(zip(*rows, strict=True))
    print(f"{'median of |error|':38} {_cells([statistics.median(map(abs, column)) for column in columns])}")
    print(f"{'largest |error|':38} {_cells([max(map(abs, column)) for column in columns])}\n")


def _cells(errors: Any) -> str:
    return " ".join(f"{100 * value:8.2f}%" for value in errors)


def gains(cases: list[Case]) -> None:
    print(
        f"{'step after the fix, ms':20} {'before':>8} {'after':>8} {'replay':>8} {'interval':>15} "
        f"{'bound':>8} {'headroom':>9} {'ceiling':>8}"
    )
    promised: dict[str, list[tuple[float, float, float]]] = {}
    covered = 0
    for case in cases:
        model = model_of(case.timeline, case.facts)
        assert isinstance(model, Model), model
        found = WhatIf.of(model, case.facts).predict([case.fix])
        steps = {
            "replay": found.step_ns / MS,
            "bound": case.before_ms - _bound_ms(case),
            "headroom": case.before_ms - _rival_ms(case, headroom=True),
            "ceiling": case.before_ms - _rival_ms(case, headroom=False),
        }
        covered += found.least_ns / MS <= case.after_ms <= found.most_ns / MS
        for name, step in steps.items():
            promised.setdefault(name, []).append((case.before_ms, case.after_ms, step))
        span = f"{found.least_ns / MS:.1f}-{found.most_ns / MS:.1f}"
        print(
            f"{case.name:20} {case.before_ms:8.1f} {case.after_ms:8.1f} {steps['replay']:8.1f} {span:>15} "
            f"{steps['bound']:8.1f} {steps['headroom']:9.1f} {steps['ceiling']:8.1f}"
        )
    print(f"the interval holds the measured step in {covered} of {len(cases)} cases\n")
    print(f"{'':12} {'step error, median':>20} {'worst':>8} {'gain error, median':>20} {'skill, median':>14}")
    for name, rows in promised.items():
        print(f"{name:12} {_scores(rows)}")
    print()


def _scores(rows: list[tuple[float, float, float]]) -> str:
    steps = [abs(step - after) / after for _, after, step in rows]
    errors = [abs((before - step) - (before - after)) / (before - after) for before, after, step in rows]
    return (
        f"{100 * statistics.median(steps):19.1f}% {100 * max(steps):7.1f}% {100 * statistics.median(errors):19.1f}% "
        f"{statistics.median(1 - error for error in errors):14.2f}"
    )


def _bound_ms(case: Case) -> float:
    """What the rules promise by themselves, 0 when none recommends the fix."""
    fixes = [fix for one in registry.evaluate_all(case.facts) for fix in one.recommendations if fix.id == case.fix]
    return max((fix.gain.expected_ms for fix in fixes), default=0.0)


def _rival_ms(case: Case, *, headroom: bool) -> float:
    traced = case.facts.critical.traced
    assert traced is not None
    part = PART[case.fix]
    products: Mapping[str, float] = traced.compute_classes
    share = traced.share(part)
    if case.fix == "bf16-autocast":
        share = products.get("gemm", 0.0) / traced.step_ns
    factor = (PRODUCTS_HEADROOM if case.fix == "bf16-autocast" else FLAT_HEADROOM) if headroom else 1.0
    return share * factor * case.before_ms


def ablations(cases: list[Case]) -> None:
    print(f"{'left out':24} {'identity, worst':>16} {'unprofiled, worst':>18} {'gain error, median':>19} {'skill':>7}")
    variants: list[tuple[str, frozenset[str], bool]] = [("nothing", ALL_EDGES, True)]
    variants += [(f"{name} edges", ALL_EDGES - {name}, True) for name in sorted(ALL_EDGES)]
    variants.append(("correction of the host", ALL_EDGES, False))
    for name, edges, undistort in variants:
        identities, unprofiled, errors = [], [], []
        for case in cases:
            model = model_of(case.timeline, case.facts, edges=edges, undistort=undistort)
            assert isinstance(model, Model), model
            outcome = WhatIf.of(model, case.facts).outcome([case.fix])
            gain = (model.outcome.step_ns - outcome.step_ns) / MS
            identities.append(abs(model.identity_error))
            unprofiled.append(abs(model.outcome.step_ns / model.step_ns - 1))
            errors.append(abs(gain - (case.before_ms - case.after_ms)) / (case.before_ms - case.after_ms))
        skill = statistics.median(1 - error for error in errors)
        print(
            f"{name:24} {100 * max(identities):15.2f}% {100 * max(unprofiled):17.1f}% "
            f"{100 * statistics.median(errors):18.1f}% {skill:7.2f}"
        )


if __name__ == "__main__":
    main()
