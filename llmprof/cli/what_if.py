"""How does `llmprof what-if` tell what fixes would bring, before anyone tries them?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmprof.cli.completing import fix_ids
from llmprof.cli.console import answer
from llmprof.errors import InputError, NotEnoughDataError
from llmprof.timeline import rundir
from llmprof.units import NS_PER_MS, format_ms, format_ms_within, format_percent, ms, round_ms

if TYPE_CHECKING:
    from llmprof.analyzers.replay.what_if import WhatIf

__all__ = ["what_if"]

MOST_NODES = 5_000_000
"""Some five seconds a replay: who asks for one can wait."""
SHOWN_MS = 0.01
_PATH = {
    "communication": "collectives",
    "memcpy": "copies",
    "data": "waiting for batches",
    "host": "the host",
    "gap": "from launch to start",
}
"""Words for the classes of the critical path."""


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
    from llmprof.analyzers.replay.exclusive import excluding
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
    from llmprof.analyzers.replay.recommended import NOTHING_SHARE, waited_for

    model = found.model
    sharing = sharing_of(model)
    prediction = found.predict(fixes)
    after = found.outcome(fixes)
    same = abs(prediction.step_ns - model.step_ns) <= NOTHING_SHARE * model.step_ns
    return {
        "schema": "llmprof.what-if/1",
        "fixes": list(prediction.fixes),
        "left_out": dict(prediction.left_out),
        "no_gain": waited_for(found, prediction) if prediction.fixes and same else None,
        **{name: None if error is None else round(error, 4) for name, error in fidelity_of(model).items()},
        "faithful": model.faithful,
        "bounds": _bounds(found, list(prediction.fixes) if model.faithful else fixes),
        "sharing": None if sharing is None else asdict(sharing),
        "basis": found.subject.facts.step.basis,
        "rank": found.subject.facts.critical.rank,
        "samples": after.samples,
        "step_ms": _ms(model.step_ns),
        "step_ms_after": _ms(prediction.step_ns),
        "step_ms_least": _ms(prediction.least_ns),
        "step_ms_most": _ms(prediction.most_ns),
        "partition": {
            "before": _table(found.parts(model.outcome, model.step_ns)),
            "after": _table(found.parts(after, prediction.step_ns)),
        },
        "critical_path": {
            "before": _table(found.path(model.outcome, model.step_ns)),
            "after": _table(found.path(after, prediction.step_ns)),
        },
        "one_after_another": [{"fix": fix, "step_ms_after": _ms(step)} for fix, step in found.greedy(prediction.fixes)],
    }


def _bounds(found: WhatIf, fixes: list[str]) -> dict[str, str]:
    """What the rules say that each fix saves: of those that are recommended, where the diagnosis does not replay it."""
    from llmprof.analyzers.diagnose import diagnosis_of
    from llmprof.analyzers.diagnosis import Source
    from llmprof.analyzers.replay.gains import Replays
    from llmprof.reports.fixes import fixes_of

    facts = found.subject.facts
    diagnosis = diagnosis_of(facts, Source(kind="trace", paths=(), ranks=tuple(facts.ranks), world_size=None))
    wanted = [one for one in diagnosis.recommendations if one.id in fixes]
    if found.model.faithful:
        replayed = Replays(what_if=found).improved(one for one in wanted if one.gain.expected_ms > 0)
        wanted = [one for one in replayed if one.gain.basis == "bound"]
    return {one.id: one.gain for one in fixes_of(replace(diagnosis, recommendations=tuple(wanted)))}


def _ms(ns: float) -> float | None:
    return round_ms(ms(ns))


def _table(parts: Mapping[str, float] | None) -> dict[str, float]:
    return {name: round(value / NS_PER_MS, 4) for name, value in (parts or {}).items()}


def _text(document: Mapping[str, Any]) -> str:
    """The document for a reader."""
    from llmprof.analyzers.diagnosis import Sharing
    from llmprof.analyzers.replay.graph.replay import FAITHFUL
    from llmprof.reports.labels import PART_LABELS
    from llmprof.reports.trust import fidelity_text, sharing_texts

    lines = [_predicted_text(document)]
    lines += [f"{fix} changes nothing here: {reason}." for fix, reason in document["left_out"].items()]
    if document["faithful"]:
        lines += [
            f"Of {fix}, measured parts of the step tell more than a replay: alone it {gain}."
            for fix, gain in document["bounds"].items()
        ]
    else:
        bounds = [f"{fix} {document['bounds'].get(fix, 'is not recommended')}" for fix in document["fixes"]]
        lines.insert(
            0,
            f"Doubtful: the replay of the step as it is misses the measured one by "
            f"{format_percent(document['replay_error'])} (more than {format_percent(FAITHFUL)}). "
            f"Bounds from measured parts of the step count instead: {'; '.join(bounds) or 'none'}.",
        )
    unprofiled = document["unprofiled_error"] if document["basis"] != "profiled" else None
    if document["faithful"] and document["basis"] == "profiled":
        lines.append("This is about the profiled run; give its mean step without the profiler with --step-ms.")
    if document["fixes"]:
        lines += [
            "",
            *_rows(
                "where the replayed step goes",
                document["partition"],
                {key: one.name for key, one in PART_LABELS.items()},
            ),
        ]
        lines += ["", *_rows("its critical path, work by work", document["critical_path"], _PATH)]
    if len(document["one_after_another"]) > 1:
        lines += ["", "one after another, the one that saves most first:"]
        lines += [f"  {one['fix']:24} {format_ms(one['step_ms_after'])}" for one in document["one_after_another"]]
    lines += [
        "",
        f"As it is: {fidelity_text(document['replay_error'], document['identity_error'], unprofiled)}.",
    ]
    if document["sharing"] is not None:
        lines.append(f"In it, {'; '.join(sharing_texts(Sharing(**document['sharing'])))}.")
    return "\n".join(lines)


def _predicted_text(document: Mapping[str, Any]) -> str:
    """The step before and after, or that it stays what it is, and why."""
    before, after = document["step_ms"], document["step_ms_after"]
    if not document["fixes"]:
        return f"The step stays at {format_ms(before)}."
    within = format_ms_within(after, document["step_ms_least"], document["step_ms_most"])
    work = ", for as many samples as now" if document["samples"] != 1 else ""
    told = f"With {' + '.join(document['fixes'])}: {format_ms(before)} -> {within} a step{work}"
    reason = document["no_gain"]
    if reason is None:
        return f"{told}, {before / after:.2f} times as fast."
    return f"{told}." if document["bounds"] else f"{told}. No gain: {reason}."


def _rows(title: str, tables: Mapping[str, Mapping[str, float]], names: Mapping[str, str]) -> list[str]:
    """Two columns of milliseconds; what stays below a hundredth of a millisecond is left out."""
    before, after = tables["before"], tables["after"]
    shown = [key for key in before if max(before[key], after.get(key, 0.0)) >= SHOWN_MS]
    lines = [f"{title:34} {'before':>10} {'after':>10}"]
    return lines + [
        f"  {names.get(key, key):32} {format_ms(before[key]):>10} {format_ms(after.get(key, 0.0)):>10}" for key in shown
    ]
