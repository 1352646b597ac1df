"""How is the verdict told in Markdown? For issues, merge requests and chats; every text is escaped."""

from __future__ import annotations

import re

from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.reports.checks import count_states
from llmprof.reports.fixes import Fix
from llmprof.reports.stragglers import LEGEND, straggling_of
from llmprof.reports.text import clip
from llmprof.reports.view import View, build_view
from llmprof.units import UNKNOWN, format_ms, format_percent

__all__ = ["escaped", "render_markdown", "table_of"]

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&])")
LONGEST = 600


def render_markdown(diagnosis: Diagnosis) -> str:
    """The report as Markdown with tables (GitHub flavour) and a final newline."""
    view = build_view(diagnosis)
    blocks = [
        f"# {escaped(view.label)}",
        f"**{escaped(view.sentence)}**",
        escaped(view.reason),
        _figures(view),
        _parts(view),
        _stragglers(diagnosis),
        _fixes(view),
        _trust(view),
        _checks(view),
        _facts(view),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def escaped(text: str) -> str:
    """Text in which no character has a meaning for Markdown or HTML."""
    return _SPECIAL.sub(r"\\\1", clip(text, LONGEST))


def _fenced(text: str) -> str:
    ticks = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return f"{fence}\n{text}\n{fence}"


def table_of(head: list[str], rows: list[list[str]]) -> str:
    """A table of GitHub's flavour; the cells are escaped already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _figures(view: View) -> str:
    return table_of(
        ["Number", "Value", "Note"], [[item.title, escaped(item.value), escaped(item.note)] for item in view.figures]
    )


def _parts(view: View) -> str:
    if not view.rows:
        return f"## Where each millisecond goes\n\n{escaped(view.partition_note)}"
    rows = [[escaped(row.name), format_ms(row.ms), format_percent(row.share)] for row in view.rows]
    rows.append(["**the whole step**", f"**{format_ms(view.sum_ms)}**", "**100 %**"])
    return f"## Where each millisecond goes\n\n{table_of(['Part', 'Per step', 'Share'], rows)}"


def _stragglers(diagnosis: Diagnosis) -> str:
    found = straggling_of(diagnosis)
    if found is None:
        return ""
    head = ["Cause", "Times as long", "Removed by a repair", "Added by it alone", "Step after a repair"]
    rows = [
        [
            escaped(one.name),
            UNKNOWN if one.slowdown is None else f"{one.slowdown:.3f}",
            format_percent(one.removed),
            format_percent(one.added),
            format_ms(one.after_ms),
        ]
        for one in found.causes
    ]
    table = f"\n\n{table_of(head, rows)}\n\n{escaped(LEGEND)}" if rows else ""
    return f"## Ranks against each other\n\n{escaped(found.sentence)}{table}"


def _fixes(view: View) -> str:
    if not view.fixes and not view.tried:
        return ""
    blocks = ["## What to do", *(_fix(fix) for fix in view.fixes)]
    if view.together is not None:
        blocks.append(f"**{view.together.who.capitalize()}: {escaped(view.together.text)}**")
    if view.tried:
        blocks.append(f"Tried as well: {escaped('; '.join(view.tried))}")
    return "\n\n".join(blocks)


def _fix(fix: Fix) -> str:
    gain = ", ".join(text for text in (fix.gain, fix.gain_share, fix.side, fix.tried) if text)
    lines = [
        f"### {fix.number}. {escaped(fix.action)}",
        f"**{escaped(gain)}** ({fix.basis}); effort: {fix.effort}; confidence: {fix.confidence}",
        escaped(fix.why),
        _fenced(fix.how) if fix.how else "",
        f"Needs first: {escaped(', '.join(fix.requires))}" if fix.requires else "",
        f"Risk: {escaped(fix.risk)}" if fix.risk else "",
        f"Verify: {escaped(fix.verify)}" if fix.verify else "",
    ]
    return "\n\n".join(line for line in lines if line)


def _trust(view: View) -> str:
    lines = "\n".join(f"- {'**weak:** ' if item.weak else ''}{escaped(item.text)}" for item in view.trust)
    return f"## How far to trust this\n\n{lines}"


def _checks(view: View) -> str:
    if not view.checks:
        return ""
    rows = [
        [
            check.state,
            escaped(check.title),
            escaped(check.summary),
            "; ".join(escaped(proof.text) for proof in check.proofs),
            check.cost,
        ]
        for check in view.checks
    ]
    table = table_of(["State", "Check", "What was seen", "Evidence", "Cost per step"], rows)
    return f"## What was checked\n\n{escaped(count_states(view.checks))}\n\n{table}"


def _facts(view: View) -> str:
    rows = [[escaped(name), escaped(value)] for name, value in view.facts]
    return f"## Run\n\n{table_of(['Fact', 'Value'], rows)}"
