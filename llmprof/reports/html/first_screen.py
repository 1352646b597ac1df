"""What does a reader see in the first ten seconds? Verdict, four numbers, one bar, three fixes, and their trust."""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.reports.fixes import Fix
from llmprof.reports.html.markup import details, esc, figure, own, prose, table
from llmprof.reports.html.svg import interval, meter, sparkline
from llmprof.reports.parts import SMALLEST_SHARE, Part
from llmprof.reports.view import Figure, View
from llmprof.units import format_ms, format_percent

__all__ = ["first_screen", "shrunk"]


def first_screen(view: View, diagnosis: Diagnosis) -> str:
    """The sections above the fold."""
    return "".join((_verdict(view), _numbers(view), _bar(view), _fixes(view, diagnosis), _trust(view)))


def shrunk(view: View, fix: Fix) -> dict[str, Part]:
    """What a fix shrinks of this run's step, by name in the fix's own order: all classes of compute under one name."""
    named: dict[str, Part] = {}
    for row in _rows_of(view, fix):
        if row.share >= SMALLEST_SHARE:
            named.setdefault("compute" if "compute" in fix.parts and row.key.startswith("compute.") else row.name, row)
    return named


def _rows_of(view: View, fix: Fix) -> tuple[Part, ...]:
    return tuple(dict.fromkeys(row for key in fix.parts for row in view.rows if _covers(key, row.key)))


def _covers(key: str, row: str) -> bool:
    # An unsplit `compute` row stands for each of its classes, and `compute` for all of its class rows.
    return row == key or row.startswith(f"{key}.") or (row == "compute" and key.startswith("compute."))


def _verdict(view: View) -> str:
    notes = []
    if view.bound != "unknown":
        notes.append(f"{esc(view.confidence)} confidence" if view.confidence != "unknown" else "confidence unknown")
    if view.runner_up:
        notes.append(f"runner-up: {esc(view.runner_up)}")
    notes += [esc(flag, 60) for flag in view.flags]
    aside = "".join(f"<li>{note}</li>" for note in notes)
    long = ' class="long"' if len(view.sentence) > 130 else ""
    reason = f'<p class="reason">{prose(view.reason, 400)}</p>' if view.reason else ""
    return (
        f'<section class="verdict b-{esc(view.bound)}" id="verdict" aria-label="Verdict">'
        f'<div class="kicker"><span class="badge">{esc(view.label, 60)}</span><ul>{aside}</ul></div>'
        f"<h1{long}>{prose(view.sentence, 260)}</h1>{reason}</section>"
    )


def _numbers(view: View) -> str:
    tiles = "".join(_tile(item, view) for item in view.figures)
    return f'<section class="numbers" aria-label="Four numbers">{tiles}</section>'


def _tile(item: Figure, view: View) -> str:
    picture = sparkline(view.history_ms) if item.key == "mean_ms" else meter(item.level, f"{item.title}: {item.value}")
    short = item.key == "peak_memory_bytes" and view.bound == "memory" and _first_culprit(view) is None
    mark = ' <b class="mark">the limit</b>' if short else ""
    return (
        f'<div class="tile" data-field="{esc(item.key)}"><h2>{esc(item.title)}</h2>'
        f'<p class="value">{figure(item.raw, item.value)}{mark}</p><p class="note">{esc(item.note)}</p>{picture}</div>'
    )


def _bar(view: View) -> str:
    heading = f'<div class="heading"><h2>Where each millisecond goes</h2><p>{esc(view.partition_note, 300)}</p></div>'
    if not view.segments:
        return f'<section class="anatomy" id="anatomy">{heading}</section>'
    segments, legend = [], []
    for index, part in enumerate(view.segments):
        idle = " idle" if part.idle else ""
        attributes = f'data-part="{esc(part.key)}" title="{esc(_told(part))}"'
        segments.append(
            f'<div class="segment g{index} s{index}{idle}" {attributes}><span>{esc(part.short, 24)}</span></div>'
        )
        mark = ' <b class="mark">the limit</b>' if part.culprit and _first_culprit(view) is part else ""
        legend.append(
            f'<li data-part="{esc(part.key)}"><i class="swatch s{index}{idle}"></i>'
            f'<span class="name">{esc(part.name, 40)}{mark}</span>'
            f'<span class="ms">{esc(format_ms(part.ms))}</span>'
            f'<span class="share">{esc(format_percent(part.share))}</span></li>'
        )
    label = "One step: " + ", ".join(f"{part.name} {format_ms(part.ms)}" for part in view.segments)
    return (
        f'<section class="anatomy" id="anatomy">{heading}'
        f'<div class="bar" role="img" aria-label="{esc(label)}">{"".join(segments)}</div>'
        f'<ul class="legend">{"".join(legend)}</ul>{_parts_table(view)}</section>'
    )


def _first_culprit(view: View) -> Part | None:
    return max((part for part in view.segments if part.culprit), key=lambda part: part.ms, default=None)


def _told(part: Part) -> str:
    return f"{part.name}: {format_ms(part.ms)}, {format_percent(part.share)} of the step. {part.meaning}"


def _parts_table(view: View) -> str:
    rows = [
        f'<tr data-part="{esc(row.key)}"><th scope="row"><i class="swatch r{index}{" idle" if row.idle else ""}"></i>'
        f'{esc(row.name, 80)}</th><td class="number">{figure(row.ms, format_ms(row.ms))}</td>'
        f'<td class="number">{esc(format_percent(row.share))}</td><td>{esc(row.meaning, 300)}</td></tr>'
        for index, row in enumerate(view.rows)
    ]
    total = figure(view.sum_ms, format_ms(view.sum_ms))
    cells = f'<td class="number">{total}</td><td class="number">100 %</td><td></td>'
    foot = f'<tr><th scope="row">the whole step</th>{cells}</tr>'
    body = table("Parts of the step", ["Part", "Per step", "Share", "What it is"], rows, name="parts", foot=foot)
    return details(f"All {len(view.rows)} parts as a table <small>striped: no kernel runs</small>", body)


def _fixes(view: View, diagnosis: Diagnosis) -> str:
    together = ""
    if view.together is not None:
        item = view.together
        who = item.who[0].upper() + item.who[1:]
        together = (
            f'<p class="together"><span>{esc(who)}</span> <strong>{own(f"{format_ms(item.before_ms)} -> {item.after}")}'
            f"</strong></p>"
        )
    if view.top_fixes:
        items = "".join(_fix(fix, view, diagnosis) for fix in view.top_fixes)
        body = f'<ol class="fixes">{items}</ol>{_others(view)}'
    elif view.bound == "unknown":
        body = '<p class="empty">No fixes without a verdict: a guess would cost you more time than it saves.</p>'
    else:
        body = '<p class="empty">No fix above the noise of the step was found.</p>'
    title = "What to do first" if not view.fixes or view.fixes[0].helps else "Considered, not expected to help"
    heading = f'<div class="heading"><h2>{title}</h2>{together}</div>'
    return f'<section class="first" id="first">{heading}{body}</section>'


def _others(view: View) -> str:
    """The fixes that help and have no room here."""
    links = [
        f'<a href="#fix-{fix.number}">{fix.number}. {esc(fix.action, 140)}</a>, {esc(fix.gain)}'
        for fix in view.fixes
        if fix.helps and fix not in view.top_fixes
    ]
    return f'<p class="others">Also: {"; ".join(links)}</p>' if links else ""


def _fix(fix: Fix, view: View, diagnosis: Diagnosis) -> str:
    named = shrunk(view, fix)
    chips = "".join(
        f'<span class="chip"><i class="swatch {_row_class(view, part)}"></i>{esc(name, 40)}</span>'
        for name, part in list(named.items())[:3]
    )
    confidence = "confidence unknown" if fix.confidence == "unknown" else f"{fix.confidence} confidence"
    risk = f'<span class="risk" title="{esc(fix.risk)}">Risk: {esc(fix.risk, 120)}</span>' if fix.risk else ""
    keys = " ".join(esc(part.key) for part in _rows_of(view, fix) if " " not in part.key)
    share = " · ".join(own(text) for text in (fix.gain_share, fix.side, fix.tried) if text)
    tint = _row_class(view, next(iter(named.values()))) if named else ""
    return (
        f'<li class="fix{"" if fix.helps else " useless"}" data-parts="{keys}">'
        f'<div class="text"><a class="action" href="#fix-{fix.number}">{esc(fix.action, 140)}</a>'
        f'<p class="badges"><span class="effort">{esc(fix.effort)}</span><span>{esc(confidence)}</span>'
        f"{chips}{risk}</p>{_doing(fix)}</div>"
        f'<div class="gain {tint}"><strong>{esc(fix.gain)}</strong><small>{share}</small>'
        f"{interval(fix.low_ms, fix.high_ms, diagnosis.step.mean_ms)}</div></li>"
    )


def _doing(fix: Fix) -> str:
    """What to type; of a fix that would not help, the reason why instead."""
    if not fix.helps:
        return f'<p class="doing why">{prose(fix.why, 400)}</p>'
    told = f'<p class="doing" title="{esc(fix.how)}"><span>How:</span> <code>{esc(fix.how, 300)}</code></p>'
    return told if fix.how else ""


def _row_class(view: View, part: Part) -> str:
    return f"r{view.rows.index(part)}{' idle' if part.idle else ''}"


def _trust(view: View) -> str:
    items = "".join(
        f'<li class="{"weak" if item.weak else "fine"}">{prose(item.text, 240)}</li>' for item in view.trust[:10]
    )
    title = "Read with care" if view.weak else "Well measured"
    state = "weak" if view.weak else "fine"
    return (
        f'<section class="trust {state}" aria-label="Trust"><h2>{title}</h2><ul>{items}</ul>'
        f'<a href="#run">Details</a></section>'
    )
