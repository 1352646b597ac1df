"""How is the verdict told in a terminal? At most 25 lines, no wider than asked, in characters that any stdout takes.

The fixed words are ASCII. Texts from the diagnosis are made visible first: an escape sequence in a kernel name reaches
no terminal. Rich measures, folds and colours; it never decides about the width.
"""

from __future__ import annotations

import io
import shlex

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.reports.fixes import Fix
from llmprof.reports.stragglers import straggling_of
from llmprof.reports.text import clip, visible
from llmprof.reports.view import View, build_view
from llmprof.units import format_ms

__all__ = ["render_plain", "render_terminal"]

LINES = 25
_HEADLINE_STYLES = {"none": "bold black on green", "unknown": "bold black on yellow"}


def render_plain(diagnosis: Diagnosis, *, width: int = 100, report_path: str | None = None) -> str:
    """The verdict as plain text, as it is stored in verdict.txt: no colour, no escape sequence."""
    return render_terminal(diagnosis, width=width, color=False, report_path=report_path)


def render_terminal(diagnosis: Diagnosis, *, width: int = 100, color: bool, report_path: str | None = None) -> str:
    """The verdict for a terminal of `width` columns (at least 40), with a final newline; at most 25 lines.

    `report_path` is named in the last lines and never folded, so that it can be opened.
    """
    view = build_view(diagnosis)
    text = ""
    for tight in range(3):
        painter = _Painter(max(width, 40), color, tight)
        _compose(painter, view, report_path, _ranks(diagnosis, view), _next(diagnosis, view))
        text = painter.text()
        if text.count("\n") <= LINES:
            break
    return text


def _ranks(diagnosis: Diagnosis, view: View) -> str:
    """What ranks that are not alike cost, unless the verdict says it already."""
    found = straggling_of(diagnosis)
    return found.sentence if found is not None and found.told and found.sentence[1:] not in view.sentence else ""


def _compose(painter: _Painter, view: View, report_path: str | None, ranks: str, following: str) -> None:
    painter.add(_headline(view), 2)
    painter.add(Text(clip(view.sentence, 3 * painter.width)), 3, indent=2)
    if view.reason not in view.sentence:
        painter.add(Text(clip(view.reason, 2 * painter.width)), 2, indent=2)
    elif not view.segments:
        painter.add(Text(view.partition_note), 2, indent=2)
    _add_parts(painter, view)
    _add_fixes(painter, view.top_fixes)
    others = [f"{fix.number}. {fix.id} {fix.gain}" for fix in view.fixes if fix.helps and fix not in view.top_fixes]
    if others:
        painter.add(_labelled("also", ", ".join(others)), 2, indent=4)
    _add_together(painter, view)
    if view.tried:
        painter.add(_labelled("tried", "; ".join(view.tried[-3:])), 2)
    if ranks:
        painter.add(_labelled("ranks", ranks), 2)
    if view.why:
        painter.add(_labelled("why", ", ".join(proof.text for proof in view.why[:4])), 2)
    weak = [item.text for item in view.trust if item.weak and not item.always]
    told = [*weak[:3], *(item.text for item in view.trust if item.always)]
    if told:
        text = "; ".join(text.rstrip(".") for text in told)
        painter.add(_labelled("note", text, "yellow" if view.weak else "dim"), 2)
    _add_closing(painter, following, report_path)


class _Painter:
    """Collects lines no wider than the terminal; when tight, every text gets a line less; then no how is told."""

    def __init__(self, width: int, color: bool, tight: int) -> None:
        self.width = width
        self.tight = tight
        self._stream = io.StringIO()
        self._console = Console(
            file=self._stream,
            width=width,
            color_system="standard" if color else None,
            force_terminal=color,
            no_color=not color,
            force_jupyter=False,
            legacy_windows=False,
            markup=False,
            highlight=False,
            emoji=False,
        )

    def add(self, text: Text, most: int | None = None, indent: int = 0) -> None:
        """Fold a text into at most `most` lines, the last one cut with dots; later lines hang two further in."""
        if not text.plain.strip():
            return
        if most is not None and self.tight:
            most = max(most - 1, 1)
        lines = list(text.wrap(self._console, self.width - indent - 2, overflow="fold"))
        if most is not None and len(lines) > most:
            lines = lines[:most]
            lines[-1].rstrip()
            lines[-1].truncate(self.width - indent - 6, overflow="crop")
            lines[-1].append(" ...")
        for index, line in enumerate(lines):
            line.rstrip()
            padded = Text(" " * (indent + (2 if index else 0)))
            self._console.print(padded.append_text(line), soft_wrap=True)

    def add_whole(self, line: str) -> None:
        """A line that is never folded: a path that is cut in two cannot be opened."""
        if line:
            self._console.print(Text(line), soft_wrap=True)

    def text(self) -> str:
        """Everything added so far. The micro sign of units is the one character of ours that is not ASCII."""
        return self._stream.getvalue().replace("\N{MICRO SIGN}s", "us")


def _headline(view: View) -> Text:
    figures = {figure.key: figure for figure in view.figures}
    line = Text()
    line.append(f" {view.label} ", style=_HEADLINE_STYLES.get(view.bound, "bold white on red"))
    mean, mfu, tokens = figures["mean_ms"], figures["mfu"], figures["tokens_per_s"]
    line.append(f"  {mean.value}/step" if mean.raw is not None else "  step time unknown", style="bold")
    if mfu.raw is not None:
        line.append(f"   {mfu.value} MFU")
    elif tokens.raw is not None:
        line.append(f"   {tokens.value} tokens/s")
    line.append(f"   {clip(view.subject, 48)}")
    line.append(f"   {view.steps}", style="dim")
    return line


def _add_parts(painter: _Painter, view: View) -> None:
    """The parts of the step with their ms, folded between parts and never inside one."""
    lines = [Text()]
    for index, part in enumerate(view.segments):
        last = index == len(view.segments) - 1
        item = f"{clip(part.short, 24)} {_bare_ms(part.ms)}{'   ms' if last else ' |'}"
        if cell_len(lines[-1].plain) + cell_len(item) + 5 > painter.width and len(lines) < 3:
            lines.append(Text())
        lines[-1].append(" " if lines[-1].plain else "").append(item, style="bold" if part.culprit else "none")
    for line in lines:
        painter.add(line, 1, indent=2)


def _add_fixes(painter: _Painter, fixes: tuple[Fix, ...]) -> None:
    """One aligned line a fix where all of them fit, else the action and below it what it brings."""
    gains = [_gain(fix) for fix in fixes]
    actions = [f" {fix.number}. {fix.action}" for fix in fixes]
    efforts = max((len(fix.effort) for fix in fixes), default=0)
    left, right = (max(map(cell_len, texts), default=0) + 3 for texts in (actions, gains))
    notes = [f"{fix.effort:<{efforts}}   {_confidence(fix)}" for fix in fixes]
    one_line = left + right + max(map(len, notes), default=0) + 2 <= painter.width
    for fix, action, gain, note in zip(fixes, actions, gains, notes, strict=True):
        style = "green" if fix.helps else "dim"
        if one_line:
            padding = " " * (left - cell_len(action))
            painter.add(Text(action + padding).append(f"{gain:<{right}}", style=style).append(note, style="dim"), 1)
            _add_notes(painter, fix)
            continue
        painter.add(Text(clip(action, 2 * (painter.width - 8))), 2, indent=0)
        short = fix.gain if cell_len(gain) + len(note) + 9 > painter.width else gain
        painter.add(Text(short, style=style).append(f"   {fix.effort}   {_confidence(fix)}", style="dim"), 1, indent=4)
        _add_notes(painter, fix)


def _add_notes(painter: _Painter, fix: Fix) -> None:
    """Its id with what to type, or why it would not help; then what it needs, and what a trial has measured."""
    if fix.helps and fix.how and painter.tight < 2:
        lines = "; ".join(line.strip() for line in fix.how.splitlines() if line.strip())
        painter.add(Text(f"{fix.id}: {lines}"), 2, indent=4)
    elif not fix.helps:
        painter.add(Text(f"{fix.id}: {fix.why}"), 3, indent=4)
    if fix.requires:
        painter.add(Text(f"with {', '.join(fix.requires)}, which it needs", style="dim"), 1, indent=4)
    painter.add(Text(fix.tried), 1, indent=4)


def _gain(fix: Fix) -> str:
    return ", ".join(text for text in (fix.gain, fix.gain_share, fix.side) if text)


def _add_together(painter: _Painter, view: View) -> None:
    if view.together is not None:
        painter.add(Text(f"{view.together.who}: {view.together.text}", style="bold"), 1, indent=4)
    elif not view.fixes and view.bound != "unknown":
        painter.add(Text("No fix above the noise of the step was found."), 1, indent=2)


def _next(diagnosis: Diagnosis, view: View) -> str:
    """The command to type next: the one that tries the first fix on this run, else the one that explains the rule."""
    first, source = next(iter(view.top_fixes), None), diagnosis.source
    new = first is not None and first.helps and not first.tried
    if first is not None and new and source.kind == "run" and len(source.paths) == 1:
        trial = first.verify.rpartition(" ")[0]
        if trial.startswith("llmprof try "):
            return f"{trial} {shlex.quote(visible(source.paths[0]))}"
    fired = next((check.rule for check in view.checks if check.status == "fired"), None)
    rule = first.rule if first is not None else fired
    return f"llmprof explain {clip(rule, 60)}" if rule else ("llmprof doctor" if view.bound == "unknown" else "")


def _add_closing(painter: _Painter, following: str, report_path: str | None) -> None:
    """Neither a command nor a path is folded: cut in two, it can be neither pasted nor opened."""
    report = f"report  {visible(report_path)}" if report_path else ""
    if report and following and cell_len(report) + cell_len(following) + 12 <= painter.width:
        painter.add_whole(f"{report}      next  {following}")
        return
    painter.add_whole(f"next    {following}" if following else "")
    painter.add_whole(report)


def _labelled(label: str, text: str, style: str = "") -> Text:
    return Text(f"{label}: ", style=style or "bold").append(text, style=style or "none")


def _bare_ms(value: float) -> str:
    """Milliseconds without their unit, which stands once at the end of the line; seconds keep theirs."""
    return format_ms(value).removesuffix(" ms")


def _confidence(fix: Fix) -> str:
    return "confidence unknown" if fix.confidence == "unknown" else f"{fix.confidence} confidence"
