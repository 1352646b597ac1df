"""How is the comparison of two runs told as a page? One static file, no script, no request."""

from __future__ import annotations

import hashlib

from llmprof._version import __version__
from llmprof.analyzers.compare import Change, RunComparison
from llmprof.reports.compare import Table, sheet_of, signed_ms
from llmprof.reports.html.markup import esc, table
from llmprof.reports.labels import PART_LABELS
from llmprof.units import format_ms

__all__ = ["comparison_html"]

_STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --panel: #fff; --ink: #15191e; --soft: #4b545f; --line: #e0e4e9;
  --more: #a81e12; --less: #17653a; --whole: #4b545f; --amber: #8a5300; }
@media (prefers-color-scheme: dark) { :root { --page: #0f1216; --panel: #171b21; --ink: #eceff3; --soft: #b4bdc8;
  --line: #2a313a; --more: #ff9185; --less: #7ccf9a; --whole: #929ca8; --amber: #f0c060; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 20px 28px; max-width: 1100px; background: var(--page); color: var(--ink);
  font: 14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; }
h1 { font-size: 25px; line-height: 1.25; margin: 6px 0 10px; overflow-wrap: anywhere; }
h2 { font-size: 16px; margin: 28px 0 8px; }
.badge { font-weight: 700; font-size: 12px; letter-spacing: .06em; }
.slower { color: var(--more); } .faster { color: var(--less); } .unsure { color: var(--amber); }
.unlike { color: var(--amber); margin: 4px 0; padding-left: 20px; }
.note, footer { color: var(--soft); font-size: 13px; }
.scroll { overflow-x: auto; background: var(--panel); border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 5px 12px; border-top: 1px solid var(--line); white-space: nowrap; }
thead th { border-top: 0; color: var(--soft); font-weight: 600; }
tbody th { font-weight: 500; white-space: normal; overflow-wrap: anywhere; min-width: 12em; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
svg { display: block; width: 100%; height: auto; background: var(--panel); border: 1px solid var(--line);
  border-radius: 8px; margin-bottom: 10px; }
svg text { font-size: 12px; fill: var(--ink); } svg .soft { fill: var(--soft); }
svg .whole { fill: var(--whole); } svg .more { fill: var(--more); } svg .less { fill: var(--less); }
svg .noise { stroke: var(--ink); stroke-width: 1.5; fill: none; } svg .guide { stroke: var(--line); }
@media print { h2 { break-after: avoid; } svg, tr { break-inside: avoid; } }
"""
ROW, LEFT, RIGHT, WIDTH = 26, 190, 190, 1000
MOST_BARS = 14


def comparison_html(found: RunComparison) -> str:
    """The comparison as one HTML text; equal for an equal comparison."""
    sheet = sheet_of(found)
    unlike = "".join(f"<li>{esc(text)}</li>" for text in sheet.warnings)
    body = [
        f'<p class="badge {esc(found.step.outcome)}">{esc(sheet.headline)}</p><h1>{esc(sheet.sentence)}</h1>',
        f'<ul class="unlike" aria-label="What is not alike">{unlike}</ul>' if unlike else "",
    ]
    for one in sheet.tables:
        picture = _waterfall(found) if one.title.startswith("From A to B") else ""
        body.append(f"<section><h2>{esc(one.title)}</h2>{picture}{_table(one)}</section>")
    content = "\n".join(body)
    nonce = hashlib.sha256(f"{__version__}{content}{_STYLE}".encode()).hexdigest()[:32]
    policy = f"default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; base-uri 'none'; form-action 'none'"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f'<title>{esc(sheet.sentence, 100)} | llmprof</title>\n<style nonce="{nonce}">{_STYLE}</style>\n</head>\n'
        f"<body>\n<main>\n{content}\n</main>\n"
        f"<footer><p>llmprof {esc(__version__)}. A is {esc(found.a.name, 120)}, B is {esc(found.b.name, 120)}. "
        "Times are milliseconds per step; intervals are 95 %, from the spread of the steps of each run.</p></footer>\n"
        "</body>\n</html>\n"
    )


def _table(one: Table) -> str:
    rows = [
        f'<tr><th scope="row">{esc(row[0])}</th>{"".join(f"<td>{esc(cell)}</td>" for cell in row[1:])}</tr>'
        for row in one.rows
    ]
    note = f'<p class="note">{esc(one.note)}</p>' if one.note else ""
    return note + table(one.title, list(one.head), rows)


def _waterfall(found: RunComparison) -> str:
    """Bars from A's step over what each part adds or takes away to B's step; the table below says the same."""
    parts = [part for part in found.parts if abs(part.delta_ms) >= 0.001 * found.a.step_ms][:MOST_BARS]
    after = found.step.b_ms or 0.0
    levels, level = [found.a.step_ms, after], found.a.step_ms
    for part in parts:
        level += part.delta_ms
        levels.append(level)
    scale = (WIDTH - LEFT - RIGHT) / (max(levels) * 1.02 or 1.0)
    rows = [_bar(0, "A", (0.0, found.a.step_ms, 0.0), "whole", format_ms(found.a.step_ms), scale)]
    level = found.a.step_ms
    for place, part in enumerate(parts, 1):
        free = level + max(part.high_ms or 0.0, part.delta_ms, 0.0)
        ends = (level, level + part.delta_ms, free)
        rows.append(_bar(place, _name(part), ends, _kind(part), signed_ms(part.delta_ms), scale))
        rows.append(_noise(place, part, level, scale))
        level += part.delta_ms
    rows.append(_bar(len(parts) + 1, "B", (0.0, after, 0.0), "whole", format_ms(after), scale))
    height = ROW * (len(parts) + 2) + 12
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="From A to B by part">{"".join(rows)}</svg>'


def _name(part: Change) -> str:
    return PART_LABELS[part.name].name if part.name in PART_LABELS else part.name


def _kind(part: Change) -> str:
    return "more" if part.delta_ms > 0 else "less"


def _bar(place: int, name: str, ends: tuple[float, float, float], kind: str, label: str, scale: float) -> str:
    """A bar between the first two ends; its label stands right of all three."""
    top = 6 + place * ROW
    left, right = (LEFT + scale * value for value in sorted(ends[:2]))
    return (
        f'<text x="{LEFT - 10}" y="{top + 16}" text-anchor="end">{esc(name, 30)}</text>'
        f'<rect class="{kind}" x="{left:.1f}" y="{top + 3}" width="{max(right - left, 1):.1f}" height="{ROW - 8}"/>'
        f'<text class="soft" x="{LEFT + scale * max(ends) + 12:.1f}" y="{top + 16}">{esc(label)}</text>'
    )


def _noise(place: int, part: Change, level: float, scale: float) -> str:
    """The 95 % interval of where the bar ends."""
    if part.low_ms is None or part.high_ms is None:
        return ""
    top = 6 + place * ROW + ROW / 2 - 1
    low, high = (LEFT + scale * max(level + value, 0.0) for value in (part.low_ms, part.high_ms))
    return f'<path class="noise" d="M{low:.1f} {top - 4}v8m0-4H{high:.1f}m0-4v8"/>'
