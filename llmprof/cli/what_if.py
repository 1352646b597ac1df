"""How does `llmprof what-if` tell what fixes would bring, before anyone tries them?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmprof.cli.completing import fix_ids
from llmprof.cli.console import answer
from llmprof.errors import InputError, NotEnoughDataError
from llmprof.timeline import rundir
from llmprof.units import NS_PER_MS, format_ms, format_ms_range, format_percent, ms, round_ms

if TYPE_CHECKING:
    from llmprof.analyzers.facts.measured import Facts
    from llmprof.analyzers.replay.what_if import WhatIf

__all__ = ["what_if"]

MOST_NODES = 5_000_000
"""Some five seconds a replay: who asks for one can wait."""
SHOWN_MS = 0.01


def what_if(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="A run directory, or the traces of all ranks of one run.")
    ],
    fixes: Annotated[
        list[str] | None,
        typer.Option("--fix", metavar="ID", help="A fix; several are applied together.", autocompletion=fix_ids),
    ] = None,
    step_ms: Annotated[
        float | None,
        typer.Option("--step-ms", help="Mean unprofiled step in ms, for traces that come without a baseline."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the prediction as JSON and nothing else.")] = False,
) -> None:
    """Replay the recorded steps with fixes applied, and tell the step before and after, class by class."""
    from llmprof.cli.diagnosing import check_step_ms

    wanted = list(dict.fromkeys(fixes or ()))
    _refuse_what_cannot_be_replayed(wanted)
    check_step_ms(step_ms)
    document = _predicted(_model(paths, step_ms, wanted), wanted)
    answer(json.dumps(document, indent=1, ensure_ascii=False) if as_json else _text(document))


def _refuse_what_cannot_be_replayed(wanted: list[str]) -> None:
    """InputError when no fix is given, one has no transform, or one takes the place of another."""
    from llmprof.analyzers.replay.gains import excluding
    from llmprof.analyzers.replay.transforms.registry import transforms_by_fix
    from llmprof.analyzers.rules.fixes import FIXES

    known = transforms_by_fix()
    for fix in wanted:
        name, _, value = fix.partition("=")
        if value and name in known:
            raise InputError(
                f"--fix {fix}: a replay takes no value; give --fix {name}, or measure it with `llmprof try`."
            )
        if name in FIXES and name not in known:
            raise InputError(
                f"{name} is not replayed; its bound is in `llmprof analyze`, and `llmprof try --fix {name} RUN` is "
                "how to measure it."
            )
    unknown = [fix for fix in wanted if fix not in known]
    if unknown or not wanted:
        what = f"there is no fix {unknown[0]!r}" if unknown else "no fix was given"
        raise InputError(f"{what}; give --fix with one of: {', '.join(sorted(known))}.")
    if pair := excluding(wanted):
        raise InputError(f"of {pair[0]} and {pair[1]} only one can be done; ask for each alone.")


def _model(paths: list[str], step_ms: float | None, wanted: Sequence[str]) -> WhatIf:
    """The model of the run; NotEnoughDataError when it cannot be replayed."""
    from llmprof.analyzers.facts.measure import measure
    from llmprof.analyzers.replay.model import model_of
    from llmprof.analyzers.replay.what_if import WhatIf
    from llmprof.collectors.files import load

    timeline = load(paths)
    facts = measure(timeline, step_ms=step_ms)
    model = model_of(timeline, facts, most_nodes=MOST_NODES)
    if isinstance(model, str):
        traced = facts.critical.traced
        here = traced is not None and traced.cpu_only
        advice = _instead(wanted, paths) if here else "record it with `llmprof run`"
        raise NotEnoughDataError(f"{', '.join(paths)} cannot be replayed: {model}; {advice}.")
    return WhatIf.of(model, facts)


def _instead(wanted: Sequence[str], paths: Sequence[str]) -> str:
    """What tells of these fixes in a run on the CPU, which is not replayed."""
    from llmprof.collectors.live.fixes.applying.catalogue import about

    run = paths[0] if Path(paths[0], rundir.RUN).is_file() else "RUN"
    known = {fix: about(fix) for fix in wanted}
    idle = [fix for fix, one in known.items() if one is not None and one.needs_gpu]
    can = [fix for fix, one in known.items() if one is not None and not one.needs_gpu]
    others = [fix for fix, one in known.items() if one is None]
    told = [f"{' and '.join(idle)} changes nothing without a GPU"] if idle else []
    if can:
        told.append(f"`llmprof try {' '.join(f'--fix {fix}' for fix in can)} {run}` measures it instead")
    if others:
        told.append(f"`llmprof analyze {paths[0]}` bounds {' and '.join(others)} where it is recommended")
    return ", ".join(told)


def _predicted(found: WhatIf, fixes: list[str]) -> dict[str, Any]:
    from llmprof.analyzers.replay.gains import fidelity_of
    from llmprof.analyzers.replay.model import sharing_of

    model = found.model
    sharing = sharing_of(model)
    prediction = found.predict(fixes)
    after = found.outcome(fixes)
    return {
        "schema": "llmprof.what-if/1",
        "fixes": list(prediction.fixes),
        "left_out": dict(prediction.left_out),
        **{name: None if error is None else round(error, 4) for name, error in fidelity_of(model).items()},
        "faithful": model.faithful,
        "bounds": {} if model.faithful else _bounds(found.subject.facts, fixes),
        "sharing": None if sharing is None else asdict(sharing),
        "basis": found.subject.facts.step.basis,
        "rank": found.subject.facts.critical.rank,
        "step_ms": _ms(model.step_ns),
        "step_ms_after": _ms(prediction.step_ns),
        "step_ms_least": _ms(prediction.least_ns),
        "step_ms_most": _ms(prediction.most_ns),
        "partition": {"before": _table(found.parts(model.outcome)), "after": _table(found.parts(after))},
        "critical_path": {"before": _table(found.path(model.outcome)), "after": _table(found.path(after))},
        "one_after_another": [{"fix": fix, "step_ms_after": _ms(step)} for fix, step in found.greedy(prediction.fixes)],
    }


def _bounds(facts: Facts, fixes: list[str]) -> dict[str, str]:
    """What the rules say that each fix saves, without a replay; only those that are recommended."""
    from llmprof.analyzers.diagnose import diagnosis_of
    from llmprof.analyzers.diagnosis import Source
    from llmprof.reports.fixes import fixes_of

    source = Source(kind="trace", paths=(), ranks=tuple(facts.ranks), world_size=None)
    return {one.id: one.gain for one in fixes_of(diagnosis_of(facts, source)) if one.id in fixes}


def _ms(ns: float) -> float | None:
    return round_ms(ms(ns))


def _table(parts: Mapping[str, float] | None) -> dict[str, float]:
    return {name: round(value / NS_PER_MS, 4) for name, value in (parts or {}).items()}


def _text(document: Mapping[str, Any]) -> str:
    """The document for a reader."""
    from llmprof.analyzers.diagnosis import Sharing
    from llmprof.analyzers.replay.model import FAITHFUL
    from llmprof.reports.trust import fidelity_text, sharing_texts

    before, after = document["step_ms"], document["step_ms_after"]
    some = " + ".join(document["fixes"]) or "nothing that can be replayed"
    lines = [
        f"With {some}: {format_ms(before)} -> {format_ms(after)} a step "
        f"({format_ms_range(document['step_ms_least'], document['step_ms_most'])}), {before / after:.2f} times as fast."
    ]
    lines += [f"{fix} changes nothing here: {reason}." for fix, reason in document["left_out"].items()]
    if not document["faithful"]:
        bounds = [f"{fix} {document['bounds'].get(fix, 'is not recommended')}" for fix in document["fixes"]]
        lines.insert(
            0,
            f"Doubtful: the replay of the step as it is misses the measured one by "
            f"{format_percent(document['replay_error'])} (more than {format_percent(FAITHFUL)}). "
            f"Bounds from measured parts of the step count instead: {'; '.join(bounds) or 'none'}.",
        )
    elif document["basis"] == "profiled":
        lines.append("This is about the profiled run; give its mean step without the profiler with --step-ms.")
    lines += ["", *_rows("step, by class", document["partition"])]
    lines += ["", *_rows("critical path, by class", document["critical_path"])]
    if len(document["one_after_another"]) > 1:
        lines += ["", "one after another, the one that saves most first:"]
        lines += [f"  {one['fix']:24} {format_ms(one['step_ms_after'])}" for one in document["one_after_another"]]
    lines += [
        "",
        f"As it is: {fidelity_text(*(document[f'{name}_error'] for name in ('replay', 'identity', 'unprofiled')))}.",
    ]
    if document["sharing"] is not None:
        lines.append(f"In it, {'; '.join(sharing_texts(Sharing(**document['sharing'])))}.")
    return "\n".join(lines)


def _rows(title: str, tables: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Two columns of milliseconds; classes that stay below a hundredth of a millisecond are left out."""
    before, after = tables["before"], tables["after"]
    names = [name for name in before if max(before[name], after.get(name, 0.0)) >= SHOWN_MS]
    lines = [f"{title:26} {'before':>10} {'after':>10}"]
    return lines + [
        f"  {name:24} {format_ms(before[name]):>10} {format_ms(after.get(name, 0.0)):>10}" for name in names
    ]
