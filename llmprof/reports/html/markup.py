"""How does text become HTML? The one place that escapes; every other function of the page composes its results."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection
from typing import Any

from llmprof.reports.text import clip, visible
from llmprof.units import UNKNOWN, round_ms

__all__ = ["code", "command_in", "details", "esc", "figure", "island", "own", "prose", "table"]

LONGEST = 600
"""Characters of one name or sentence that the page shows; the whole text is in analysis.json."""


def esc(text: object, limit: int = LONGEST) -> str:
    """Any text as HTML text or attribute value, cut to `limit` characters before it is escaped."""
    return html.escape(clip(visible(text), limit), quote=True)


def prose(text: str, limit: int = LONGEST) -> str:
    """A sentence, escaped, with what stands between two backticks set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", esc(text, limit))


def command_in(text: str) -> str:
    """The command that a sentence holds between backticks, or the text itself when it is one; else empty."""
    found = re.search(r"`([^`]+)`", text)
    return found.group(1) if found else text if text.startswith("llmprof ") else ""


def own(text: str) -> str:
    """Words of llmprof itself, escaped, with the arrow that a terminal writes as `->` set as an arrow."""
    return esc(text).replace("-&gt;", "\N{RIGHTWARDS ARROW}")


def figure(raw: float | None, text: str) -> str:
    """A number with its exact value of analysis.json in `<data value>`; unknown stays a word without a value."""
    value = round_ms(raw) if isinstance(raw, float) else raw
    if value is None:
        return f'<span class="unknown">{esc(text or UNKNOWN)}</span>'
    return f'<data value="{esc(json.dumps(value))}">{esc(text)}</data>'


def code(text: str, *, copy: bool = True) -> str:
    """A command or a few lines to take along, with a button that scripts bring to life."""
    button = '<button type="button" class="copy js" aria-label="Copy">Copy</button>' if copy else ""
    lines = html.escape(visible(text, newlines=True), quote=True)
    return f'<div class="code"><pre tabindex="0"><code>{lines}</code></pre>{button}</div>'


def details(summary: str, body: str, *, open_: bool = False, name: str = "") -> str:
    """A section that folds; `summary` and `body` are HTML."""
    attributes = f"{' open' if open_ else ''}{f' class={chr(34)}{esc(name)}{chr(34)}' if name else ''}"
    return f"<details{attributes}><summary>{summary}</summary>{body}</details>"


def table(
    caption: str, head: list[str], rows: list[str], *, name: str = "", foot: str = "", right: Collection[int] = ()
) -> str:
    """A table in a frame that scrolls by itself; `head` holds column titles as text, `rows` whole rows as HTML.

    right    places of the columns that hold numbers
    """
    columns = "".join(
        f'<th scope="col"{" class=number" if place in right else ""}>{esc(title)}</th>'
        for place, title in enumerate(head)
    )
    end = f"<tfoot>{foot}</tfoot>" if foot else ""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{esc(caption)}"><table class="{esc(name)}">'
        f'<caption class="hidden">{esc(caption)}</caption><thead><tr>{columns}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody>{end}</table></div>"
    )


def island(data: Any) -> str:
    """Data for the page's script: pure ASCII JSON in which no tag can begin."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
