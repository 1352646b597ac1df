"""What does a notebook show of a diagnosis? A few lines of HTML, from the document alone."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from llmprof.units import format_ms, format_ms_within, format_percent

__all__ = ["diagnosis_html", "shown"]

TOP = 5
_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
LONGEST = 300
_CELL = "style='text-align:left;padding:2px 12px 2px 0'"


def diagnosis_html(document: Mapping[str, Any]) -> str:
    """Verdict, parts of the step and first fixes of a document llmprof.analysis/1; every text is escaped."""
    step, verdict = document["step"], document["verdict"]
    lines = [f"<p><b>{shown(verdict['sentence'])}</b></p>"]
    if verdict["bound"] is None and verdict["reason"]:
        lines.append(f"<p>{shown(verdict['reason'])}</p>")
    total = sum(document["partition"].values())
    parts = [(name, ms) for name, ms in document["partition"].items() if ms > 0]
    if total > 0:
        rows = [(shown(name.replace("_", " ")), format_ms(ms), format_percent(ms / total)) for name, ms in parts]
        rows.append(("<b>step</b>", format_ms(step["mean_ms"]), ""))
        lines.append(_table(("part", "per step", "share"), rows))
    fixes = [
        (
            shown(fix["action"]),
            f"saves {format_ms_within(*(fix['gain'][f'{name}_ms'] for name in ('expected', 'low', 'high')))}",
            shown(fix["effort"].replace("_", " ")),
        )
        for fix in document["recommendations"][:TOP]
        if fix["gain"]["expected_ms"] > 0
    ]
    lines.append(_table(("fix", "gain", "effort"), fixes) if fixes else "")
    warnings = document["capture"]["warnings"][:3]
    lines += [f"<p>note: {shown(text)}</p>" for text in warnings]
    return "<div class='llmprof'>" + "".join(lines) + "</div>"


def shown(text: object) -> str:
    """Any text as HTML text: escaped, cut, and without signs that turn or break a line."""
    plain = "".join(sign if unicodedata.category(sign) not in _HIDDEN else " " for sign in str(text)[:LONGEST])
    return html.escape(plain)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    titles = "".join(f"<th {_CELL}>{title}</th>" for title in head)
    body = "".join(f"<tr>{''.join(f'<td {_CELL}>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
