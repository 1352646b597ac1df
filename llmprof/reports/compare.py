"""How is the comparison of two runs told? The lines that every format shares, and the terminal, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from llmprof.analyzers.compare import STEP_BAND, Change, FindingChange, RunComparison
from llmprof.analyzers.unlike import Unlike
from llmprof.reports.labels import CLASS_LABELS, PART_LABELS, headline_label
from llmprof.reports.markdown import escaped, table_of
from llmprof.reports.text import clip, visible
from llmprof.units import UNKNOWN, format_bytes, format_count, format_ms, format_percent

__all__ = ["Sheet", "Table", "comparison_json", "comparison_markdown", "comparison_text", "sheet_of", "signed_ms"]

MOST_ROWS = 12
"""Kernels, settings and findings that a table shows; the document has them all."""
_STATES = {
    "new": "new",
    "gone": "gone",
    "grew": "grew",
    "shrank": "shrank",
    "same": "unchanged",
    "unknown": "not known in both",
}
_OUTCOMES = {"slower": "slower", "faster": "faster", "same": "no change", "unsure": "within the noise"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table: a sentence above it, column titles and rows of plain text; the first column is a name."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Everything that is told of a comparison, as plain visible text."""

    headline: str
    sentence: str
    warnings: tuple[str, ...]
    tables: tuple[Table, ...]


def sheet_of(found: RunComparison) -> Sheet:
    """The words and tables of a comparison; pure."""
    tables = [
        _figures(found),
        _waterfall(found),
        _changes("Classes of compute that changed", found.classes, _class_name),
        _changes("Kernels that changed", found.kernels, visible),
        _changes("Collectives that changed", found.collectives, visible),
        _findings(found.findings),
        _settings(found.settings),
    ]
    return Sheet(
        headline=_OUTCOMES[found.step.outcome].upper(),
        sentence=_sentence(found),
        warnings=tuple(_warning(item) for item in found.unlike),
        tables=tuple(table for table in tables if table is not None),
    )


def comparison_json(found: RunComparison) -> str:
    """The document llmprof.comparison/1 as indented text with a final newline."""
    return json.dumps(found.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def comparison_markdown(found: RunComparison) -> str:
    """The comparison as Markdown with tables (GitHub flavour) and a final newline."""
    sheet = sheet_of(found)
    blocks = [f"# {escaped(sheet.headline)}", f"**{escaped(sheet.sentence)}**"]
    blocks += ["\n".join(f"- **not alike:** {escaped(text)}" for text in sheet.warnings)] if sheet.warnings else []
    for table in sheet.tables:
        blocks.append(f"## {escaped(table.title)}")
        blocks += [escaped(table.note)] if table.note else []
        blocks.append(table_of([escaped(cell) for cell in table.head], [[*map(escaped, row)] for row in table.rows]))
    return "\n\n".join(blocks) + "\n"


def comparison_text(found: RunComparison, *, width: int = 100) -> str:
    """The comparison as plain text for a terminal of `width` columns (at least 60), with a final newline."""
    sheet, width = sheet_of(found), max(width, 60)
    lines = [f"{sheet.headline}  {sheet.sentence}"]
    lines += [f"  not alike: {text}" for text in sheet.warnings]
    for table in sheet.tables:
        lines += ["", table.title + (f" ({table.note})" if table.note else ""), *_columns(table, width)]
    return "\n".join(lines).replace("\N{MICRO SIGN}s", "us") + "\n"


def signed_ms(value: float) -> str:
    """`+12.4 ms`, `-0.31 ms`."""
    return ("+" if value > 0 else "") + format_ms(value)


def _sentence(found: RunComparison) -> str:
    step = found.step
    assert step.a_ms is not None and step.b_ms is not None
    share = abs(step.delta_ms) / step.a_ms
    times = f"{format_ms(step.a_ms)} -> {format_ms(step.b_ms)} per step"
    if found.scale != 1:
        times += " of A's tokens"
    if step.outcome == "same":
        return f"{times}: no difference above {format_percent(STEP_BAND)} of the step."
    if step.outcome == "unsure":
        return f"{times}: the difference is within the noise ({_interval(step)})."
    where = f", most of it in {_largest(found)}" if found.parts else ""
    return f"{times}: {format_percent(share)} {step.outcome} ({_interval(step)}){where}."


def _largest(found: RunComparison) -> str:
    sign = 1 if found.step.delta_ms > 0 else -1
    part = max(found.parts, key=lambda change: sign * change.delta_ms)
    return f"{_part_name(part.name)} ({signed_ms(part.delta_ms)})"


def _interval(change: Change) -> str:
    if change.low_ms is None or change.high_ms is None:
        return "noise unknown"
    return f"{signed_ms(change.low_ms)} to {signed_ms(change.high_ms)}"


def _warning(item: Unlike) -> str:
    why = f" ({item.why})" if item.why else ""
    return f"{item.name}: {clip(visible(item.a), 60)} and {clip(visible(item.b), 60)}{why}"


def _figures(found: RunComparison) -> Table:
    def row(name: str, show: Callable[[float | None], str], a: float | None, b: float | None) -> tuple[str, ...]:
        ratio = f"{b / a - 1:+.1%}".replace("%", " %") if a and b is not None else ""
        return name, show(a), show(b), ratio

    a, b = found.a, found.b
    rows = [
        row("step", format_ms, a.step_ms, b.step_ms),
        row("tokens per second", format_count, a.tokens_per_s, b.tokens_per_s),
        row("tokens per step", format_count, a.tokens_per_step, b.tokens_per_step),
        row("MFU", format_percent, a.mfu, b.mfu),
        row("peak memory", format_bytes, a.peak_memory_bytes, b.peak_memory_bytes),
        ("verdict", headline_label(a.bound, None), headline_label(b.bound, None), ""),
        ("steps measured", *(UNKNOWN if side.steps is None else str(side.steps) for side in (a, b)), ""),
    ]
    kept = tuple(line for line in rows if line[1:3] != (UNKNOWN, UNKNOWN))
    return Table(title="Both runs", head=("figure", f"A: {_tail(a.name)}", f"B: {_tail(b.name)}", "change"), rows=kept)


def _tail(name: str) -> str:
    """The end of a path, where runs differ, in at most 28 characters."""
    shown = visible(name)
    return shown if len(shown) <= 28 else f"...{shown[-25:]}"


def _waterfall(found: RunComparison) -> Table | None:
    if not found.parts:
        return None
    rows = [("A", format_ms(found.a.step_ms), "", "", "", "")]
    for part in found.parts:
        if part.a_ms or part.b_ms:
            ends = (format_ms(part.a_ms), format_ms(part.b_ms))
            rows.append((_part_name(part.name), *ends, signed_ms(part.delta_ms), _interval(part), _part_word(part)))
    rows.append(("B", "", format_ms(found.step.b_ms), signed_ms(found.step.delta_ms), _interval(found.step), ""))
    note = "ms per step, B's for A's tokens" if found.scale != 1 else "ms per step"
    return Table(
        title="From A to B, part by part",
        head=("part", "A", "B", "change", "95 % interval", "outcome"),
        rows=tuple(rows),
        note=note,
    )


def _part_word(part: Change) -> str:
    if part.outcome == "slower":
        return "more"
    return "less" if part.outcome == "faster" else "" if part.outcome == "same" else "within the noise"


def _changes(title: str, changes: Sequence[Change], name: Callable[[str], str]) -> Table | None:
    if not changes:
        return None
    rows = tuple(
        (
            clip(name(change.name), 100),
            "-" if change.a_ms is None else format_ms(change.a_ms),
            "-" if change.b_ms is None else format_ms(change.b_ms),
            signed_ms(change.delta_ms),
            change.detail,
        )
        for change in changes[:MOST_ROWS]
    )
    return Table(title=title, head=("name", "A", "B", "change", "note"), rows=rows, note=_rest(len(changes)))


def _findings(changes: Sequence[FindingChange]) -> Table | None:
    if not changes:
        return None
    rows = tuple(
        (
            clip(visible(item.title), 80),
            _STATES[item.state],
            _told(item.a_ms, item.a_status),
            _told(item.b_ms, item.b_status),
        )
        for item in changes[:MOST_ROWS]
    )
    return Table(title="Findings", head=("finding", "state", "A", "B"), rows=rows, note=_rest(len(changes)))


def _told(cost: float | None, status: str) -> str:
    return format_ms(cost) if cost is not None else status.replace("_", " ").replace("fired", "found")


def _settings(settings: Sequence[Unlike]) -> Table | None:
    if not settings:
        return None

    rows = tuple(
        (clip(visible(item.name), 60), _value(item.a, item.b), _value(item.b, item.a)) for item in settings[:MOST_ROWS]
    )
    return Table(title="Settings that differ", head=("setting", "A", "B"), rows=rows, note=_rest(len(settings)))


def _value(value: object, other: object) -> str:
    """A setting; of a list, such as a command, only what the other one does not have."""
    if isinstance(value, list) and isinstance(other, list):
        value = " ".join(str(item) for item in value if item not in other) or "-"
    return "-" if value is None else clip(visible(value), 40)


def _rest(count: int) -> str:
    return f"{MOST_ROWS} of {count}, all with --json" if count > MOST_ROWS else ""


def _part_name(key: str) -> str:
    return PART_LABELS[key].name if key in PART_LABELS else visible(key)


def _class_name(key: str) -> str:
    return CLASS_LABELS[key].name if key in CLASS_LABELS else visible(key)


def _columns(table: Table, width: int) -> list[str]:
    """Aligned columns: names to the left and cut where there is no room, everything else to the right."""
    rows = [table.head, *table.rows]
    widths = [max(cell_len(row[place]) for row in rows) for place in range(len(table.head))]
    widths[0] = max(min(widths[0], width - 2 - sum(size + 2 for size in widths[1:])), 24)
    last = len(table.head) - 1
    lines = []
    for row in rows:
        first = clip(row[0], widths[0])
        cells = [first + " " * (widths[0] - cell_len(first))]
        for place, cell in enumerate(row[1:], 1):
            pad = " " * (widths[place] - cell_len(cell))
            cells.append(cell + pad if place == last and last > 3 else pad + cell)
        lines.append(("  " + "  ".join(cells)).rstrip())
    return lines
