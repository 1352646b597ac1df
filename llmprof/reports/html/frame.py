"""What does every section look like? A heading, a sentence, then picture, table and evidence, folded if all is well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.reports.checks import Check, Proof
from llmprof.reports.html.markup import details, esc, figure, prose, table
from llmprof.reports.view import View
from llmprof.units import NS_PER_MS, UNKNOWN, format_ms, format_ns

__all__ = [
    "Content",
    "Page",
    "at_link",
    "cell",
    "grid",
    "ms_cell",
    "proved",
    "section",
    "section_of",
    "short_ms",
    "text_cell",
]

SHORT_WORD = 12
_SECTION_OF = {
    "anatomy": "step-outliers step-drift checkpoint-stall evaluation-stall long-warm-up epoch-boundary-stall "
    "profiler-perturbation",
    "idle": "hollow-utilization",
    "ranks": "gpu-spread input-imbalance rank-memory-imbalance",
    "precision": "fp32-matmul fp8-opportunity low-mfu misaligned-matmul",
    "compile": "recompilation variable-shapes",
    "devices": "throttling power-cap ecc-errors foreign-processes pcie-downgrade numa-misaffinity",
}
_BY_RULE = {rule: section for section, rules in _SECTION_OF.items() for rule in rules.split()}
_BY_CATEGORY = {
    "data": "input",
    "host": "host",
    "compute": "kernels",
    "communication": "communication",
    "memory": "memory",
    "imbalance": "ranks",
}


@dataclass(frozen=True, slots=True)
class Page:
    """What a section may read: the view, the document, and whether the page holds a timeline to point into."""

    view: View
    diagnosis: Diagnosis
    timeline: bool = False

    @property
    def without_gpu(self) -> bool:
        """Whether operators on the host stand for kernels."""
        return "cpu-only" in self.diagnosis.verdict.flags

    def figures(self, name: str) -> Mapping[str, Any]:
        """The figures of one section; empty where there are none."""
        found = self.diagnosis.details.get(name)
        return found if isinstance(found, dict) and "error" not in found else {}

    def checks(self, name: str) -> tuple[Check, ...]:
        """The rules that belong to a section."""
        return tuple(check for check in self.view.checks if section_of(check.rule) == name)


@dataclass(frozen=True, slots=True)
class Content:
    """What a section says: `answer` is HTML of one sentence or two, the rest are blocks of HTML."""

    answer: str
    blocks: Sequence[str] = ()
    quiet: bool = True
    """True when the picture need not be seen at once."""


def section_of(rule: str) -> str:
    """The section in which a rule's evidence stands; empty for a rule that nobody knows."""
    return _BY_RULE.get(rule) or _BY_CATEGORY.get(_categories().get(rule, ""), "")


@cache
def _categories() -> Mapping[str, str]:
    from llmprof.analyzers.rules import registry

    return {one.rule.id: one.rule.category for one in registry.registered()}


def section(page: Page, name: str, title: str, content: Content) -> str:
    """One section; without blocks only its sentence."""
    head = (
        f'<section class="section" id="{name}" aria-labelledby="{name}-title">'
        f'<header><h2 id="{name}-title">{title}</h2><p>{content.answer}</p></header>'
    )
    checks = page.checks(name)
    fired = [check for check in checks if check.status == "fired"]
    blocks = "".join(content.blocks) + _evidence(page, fired) + _rest(checks)
    if not "".join(content.blocks) and not fired:
        return f"{head}</section>"
    open_ = bool(fired) or not content.quiet
    return f"{head}{details('Picture, table and evidence', blocks, open_=open_, name='fold')}</section>"


def _evidence(page: Page, fired: Sequence[Check]) -> str:
    items = []
    for check in fired:
        proofs = "".join(f"<li>{proved(page, proof)}</li>" for proof in check.proofs)
        cost = f' <span class="cost">{esc(check.cost)}</span>' if check.cost not in ("", UNKNOWN) else ""
        items.append(
            f'<li class="{esc(check.severity)}"><h3><a href="#rule={esc(check.rule)}">{esc(check.title)}</a>{cost}</h3>'
            f"<p>{prose(check.summary)}</p><ul>{proofs}</ul></li>"
        )
    return f'<ul class="evidence">{"".join(items)}</ul>' if items else ""


def proved(page: Page, proof: Proof) -> str:
    """One figure of evidence, with its threshold and its place on the timeline."""
    limit = f" <i>threshold {esc(proof.threshold)}</i>" if proof.threshold else ""
    return f"{esc(proof.label)} <b>{esc(proof.value)}</b>{limit}{at_link(page, proof.rank, proof.window_ns)}"


def _rest(checks: Sequence[Check]) -> str:
    quiet = [check for check in checks if check.status != "fired"]
    counts: dict[str, int] = {}
    for check in quiet:
        counts[check.state] = counts.get(check.state, 0) + 1
    if not counts:
        return ""
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    other = "other " if len(quiet) < len(checks) else ""
    plural = "" if len(quiet) == 1 else "s"
    return f'<p class="rest"><a href="#checks">{len(quiet)} {other}check{plural}</a> of this section: {esc(told)}.</p>'


def at_link(page: Page, rank: int | None, window_ns: Sequence[int] | None) -> str:
    """A link to a window of the timeline; empty where the page has none, or the evidence names no window."""
    if not page.timeline or window_ns is None or len(window_ns) != 2:
        return ""
    number = rank if rank is not None else page.diagnosis.partition_rank
    if number is None:
        return ""
    start, end = (float(value) / 1e6 for value in window_ns)
    where = f"r{number},{start:.6f}-{end:.6f}ms"
    return (
        f' <a class="at" href="#timeline" data-at="{esc(where)}" '
        f'aria-label="Show on the timeline, rank {number} at {start:.3f} ms">on the timeline</a>'
    )


def grid(caption: str, head: list[str], rows: Sequence[Sequence[str]], *, name: str = "") -> str:
    """A table whose first column heads its rows; empty without rows, and without columns in which nothing is known.

    rows    cells as HTML, each made by `cell`, `ms_cell` or `text_cell`; the first of a row is what heads it
    """
    if not rows:
        return ""
    kept = [place for place in range(len(head)) if place == 0 or not all(_unknown(row[place]) for row in rows)]
    right = [at for at, place in enumerate(kept) if place and rows[0][place].startswith('<td class="number"')]
    lines = [f'<tr><th scope="row">{row[0]}</th>{"".join(row[place] for place in kept[1:])}</tr>' for row in rows]
    return table(caption, [head[place] for place in kept], lines, name=f"grid {name}".strip(), right=right)


def _unknown(cell: str) -> bool:
    return cell == "<td></td>" or '<span class="unknown">' in cell


def cell(raw: float | None, text: str) -> str:
    """A number at the right, with its exact value."""
    return f'<td class="number">{figure(raw, text)}</td>'


def ms_cell(value: float | None) -> str:
    """Milliseconds."""
    return cell(value, short_ms(value))


def short_ms(value: float | None) -> str:
    """Milliseconds for a reader, below 0.1 ms as microseconds."""
    return format_ns(value * NS_PER_MS) if value is not None and 0 < abs(value) < 0.1 else format_ms(value)


def text_cell(text: object, limit: int = 200) -> str:
    """Words, or nothing for None; a single short one is never broken."""
    word = ' class="word"' if text is not None and len(str(text)) <= SHORT_WORD else ""
    return f"<td{word}>{'' if text is None else esc(text, limit)}</td>"
