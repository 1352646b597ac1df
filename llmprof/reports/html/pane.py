"""Which events does the page show, and what is left out of it? The timeline pane and its data, within a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.reports.html.charts import legend
from llmprof.reports.html.markup import esc, island
from llmprof.reports.html.packing import TONES, Packed, Rows, pack
from llmprof.reports.labels import CLASS_LABELS, PART_LABELS
from llmprof.reports.redact import without_paths
from llmprof.timeline.events import DEVICE_KINDS, Kind
from llmprof.timeline.timeline import RankTimeline, Timeline
from llmprof.units import format_bytes, format_count, format_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Pane", "pane", "tone_colours"]

BUDGET = 4_000_000
"""Characters of the events: with all else the page stays below 5 MB, which can be mailed and opens without a wait."""
MOST_EVENTS = 1_200_000
MOST_RANKS = 8
SHORTEST_NS = (0, 2_000, 5_000, 10_000, 20_000, 50_000, 200_000, 1_000_000)
"""Host events shorter than this are left out, one stage after the other, until the budget is kept."""
MARGIN = 0.02
"""Of the traced time that is kept before and after the steps."""


@dataclass(frozen=True, slots=True)
class Pane:
    """The section as HTML, and the text of its data island; no data when there is nothing to show."""

    html: str
    data: str = ""


def pane(diagnosis: Diagnosis, timeline: Timeline | None, *, redact: bool = False) -> Pane:
    """The timeline of the traced steps; without events one line that says how to get them."""
    able = [rank for rank in timeline.ranks if rank.events is not None and len(rank.events)] if timeline else []
    if not able:
        why = (
            "No event was recorded: the timeline needs a burst under the profiler."
            if timeline is not None
            else "This page was made without the recording; <code>llmprof report RUN -o report.html</code> shows it."
        )
        return Pane(_frame(f"<p>{why}</p>", ""))
    chosen, notes = _chosen(diagnosis, able)
    every = len(diagnosis.source.ranks)
    if not notes and every > len(chosen):
        notes = [f"{len(chosen)} of {every} ranks are shown."]
    zeros, clocks = _zeros(chosen)
    packed, thinned = _packed(chosen, zeros, without_paths if redact else str)
    notes += [*clocks, *thinned]
    data = {
        "ranks": [one.fields for one in packed],
        "tones": [_tone(name) for name in TONES],
        "steps": {str(rank.rank): _steps(rank, zeros[rank.rank]) for rank in chosen},
        "zero_ns": {str(number): zero for number, zero in zeros.items()},
        "focus": diagnosis.partition_rank,
    }
    count = sum(one.events for one in packed)
    answer = f"{format_count(count)} events of {len(packed)} rank{'' if len(packed) == 1 else 's'}, as recorded."
    told = "".join(f"<li>{esc(note)}</li>" for note in notes)
    left_out = f'<ul class="thinned" aria-label="What is left out">{told}</ul>' if told else ""
    shown = {f"t-{tone}": _tone(TONES[tone])["name"] for tone in sorted(set().union(*(one.tones for one in packed)))}
    return Pane(_frame(f"<p>{esc(answer)}</p>{left_out}", _BODY.replace("$keys", legend(shown))), island(data))


def _frame(answer: str, body: str) -> str:
    return (
        '<section class="section" id="timeline" aria-labelledby="timeline-title">'
        f'<header><h2 id="timeline-title">Timeline</h2>{answer}</header>{body}</section>'
    )


_BODY = (
    '<noscript><p class="aside">The timeline is drawn by a script; all else can be read without.</p></noscript>'
    '<div class="pane js"><div class="tools"><label>Rank <select id="tl-rank"></select></label>'
    '<label>Step <select id="tl-step"></select></label>'
    '<label>Find <input id="tl-find" type="search" placeholder="name" autocomplete="off"></label>'
    '<button type="button" id="tl-next" aria-label="Next match">Next</button>'
    '<button type="button" id="tl-in" aria-label="Zoom in">+</button>'
    '<button type="button" id="tl-out" aria-label="Zoom out">&minus;</button>'
    '<button type="button" id="tl-all">All</button>'
    '<output id="tl-found" class="found"></output></div>'
    '<canvas id="tl-canvas" tabindex="0" role="application" aria-label="Timeline of the traced steps" '
    'aria-describedby="tl-keys tl-told"></canvas>'
    '$keys<p class="told" id="tl-told" role="status" aria-live="polite"></p>'
    '<p class="aside" id="tl-keys">Drag or arrow keys to move, wheel with Ctrl or + and &minus; to zoom, n and p for '
    "the next and the previous event of a row, up and down for the row, Enter for its details, 0 for everything."
    "</p></div>"
)


def tone_colours() -> list[str]:
    """The colour of each tone, in their order."""
    return [_tone(name)["colour"] for name in TONES]


def _tone(name: str) -> dict[str, str]:
    if name in CLASS_LABELS:
        return {"name": CLASS_LABELS[name].name, "colour": CLASS_LABELS[name].colour}
    part = {"communication": "communication", "memcpy": "memcpy", "memset": "memcpy"}.get(name)
    if part is not None:
        return {"name": {"memset": "memory fill"}.get(name, PART_LABELS[part].name), "colour": PART_LABELS[part].colour}
    colours = {"operator": "#8f7fb8", "runtime": "#b08cb0", "annotation": "#6f8f6f", "sync": PART_LABELS["sync"].colour}
    return {"name": name, "colour": colours.get(name, "#9aa0a6")}


def _chosen(diagnosis: Diagnosis, able: Sequence[RankTimeline]) -> tuple[list[RankTimeline], list[str]]:
    """Up to MOST_RANKS: the critical one, the slowest, the median and the fastest, then by number."""
    if len(able) <= MOST_RANKS:
        return list(able), []
    there = {rank.rank: rank for rank in able}
    work = {r.rank: (r.step_ms or 0.0) - (r.partition.get("skew") or 0.0) for r in diagnosis.ranks if r.rank in there}
    order = sorted(work, key=lambda number: -work[number])
    ends = [order[place] for place in (0, len(order) // 2, -1)] if order else []
    first = [diagnosis.partition_rank, *ends, *sorted(there)]
    numbers = [number for number in dict.fromkeys(first) if number in there][:MOST_RANKS]
    note = f"{len(numbers)} of {len(able)} ranks are shown, with the critical, slowest, median and fastest among them."
    return [there[number] for number in sorted(n for n in numbers if n is not None)], [note]


def _packed(
    ranks: Sequence[RankTimeline], zeros: Mapping[int, int], clean: Callable[[str], str]
) -> tuple[list[Packed], list[str]]:
    """All ranks, with as many short host events left out as the budget asks for, and what was left out."""
    notes: list[str] = []
    packed: list[Packed] = []
    most = MOST_EVENTS
    all_rows = [_in_steps(rank) for rank in ranks]
    total = sum(rank_rows.size for rank_rows in all_rows)
    for place, shortest in enumerate(SHORTEST_NS):
        rows = [_thinned(rank, some, shortest) for rank, some in zip(ranks, all_rows, strict=True)]
        count, last = sum(some.size for some in rows), place == len(SHORTEST_NS) - 1
        if count > most and not last:
            continue
        packed = [
            pack(rank, some, zero_ns=zeros[rank.rank], clean=clean) for rank, some in zip(ranks, rows, strict=True)
        ]
        size = sum(one.size for one in packed)
        if size <= BUDGET or last:
            break
        most = min(most, int(1.1 * count * BUDGET / size))  # the next stage that may be enough
    left_out = total - sum(one.events for one in packed)
    if left_out > 0:
        below = (
            f"host events below {format_ns(shortest)}"
            if shortest
            else "marks of the profiler, Python frames and the deepest host rows"
        )
        notes.append(f"{format_count(left_out)} of {format_count(total)} events are left out: {below}.")
    size = sum(one.size for one in packed)
    if size > BUDGET:
        packed, note = _cut(ranks, rows, zeros, clean)
        notes.append(note)
    return packed, notes


def _cut(
    ranks: Sequence[RankTimeline], rows: Sequence[Rows], zeros: Mapping[int, int], clean: Callable[[str], str]
) -> tuple[list[Packed], str]:
    """The beginning only: half of it, and half again, until the budget is kept."""
    share = 1.0
    while True:
        share /= 2
        some = [chosen[: max(int(chosen.size * share), 1)] for chosen in rows]
        packed = [
            pack(rank, part, zero_ns=zeros[rank.rank], clean=clean) for rank, part in zip(ranks, some, strict=True)
        ]
        size = sum(one.size for one in packed)
        if size <= BUDGET or share < 1e-4:
            return packed, f"Only the first {share:.0%} of the events of each rank are shown ({format_bytes(size)})."


def _first(rank: RankTimeline) -> int:
    events = rank.events
    assert events is not None
    rows = _in_steps(rank)
    return int(events.ts[rows[0]]) if rows.size else int(events.ts[0])


def _in_steps(rank: RankTimeline) -> Rows:
    """Events in or close to the steps: what the profiler does before and after is of no interest."""
    events = rank.events
    assert events is not None
    windows = windows_of(rank)
    if windows is None or len(windows) == 0:
        return np.arange(len(events))
    low = min(int(windows.start_ns.min()), int(rank.marks.start_ns.min()) if len(rank.marks) else 2**62)
    high = max(int(windows.end_ns.max()), int(rank.marks.end_ns.max()) if len(rank.marks) else -(2**62))
    edge = int(MARGIN * (high - low))
    inside = (events.ts < high + edge) & (events.ts + events.dur > low - edge)
    return np.flatnonzero(inside)


def _thinned(rank: RankTimeline, rows: Rows, shortest: int) -> Rows:
    """Without Python frames and shadows of annotations, and without host events shorter than `shortest`."""
    events = rank.events
    assert events is not None
    kinds = events.kind[rows]
    dull = (kinds == Kind.PYTHON) | (kinds == Kind.GPU_ANNOTATION) | (kinds == Kind.OVERHEAD) | (kinds == Kind.SYNC)
    tiny = ~np.isin(kinds, DEVICE_KINDS) & (kinds != Kind.ANNOTATION) & (events.dur[rows] < shortest)
    kept: Rows = rows[~(dull | tiny)]
    return kept


def _zeros(ranks: Sequence[RankTimeline]) -> tuple[dict[int, int], list[str]]:
    """Where the page's zero is on each rank's clock: the first event of all, or of each where the clocks disagree."""
    firsts = {rank.rank: _first(rank) for rank in ranks}
    unix = {rank.rank: rank.origin_ns + firsts[rank.rank] for rank in ranks}
    begin = min(unix.values())
    longest = max(_length(rank) for rank in ranks)
    if max(unix.values()) - begin > longest:
        return firsts, ["The clocks of the ranks do not agree: each rank begins at its own first step."]
    return {rank.rank: begin - rank.origin_ns for rank in ranks}, []


def _length(rank: RankTimeline) -> int:
    events = rank.events
    assert events is not None
    return int(events.ts[-1] - events.ts[0])


def _steps(rank: RankTimeline, zero_ns: int) -> list[list[int]]:
    """Number, start and end of each traced step, in ns from the page's zero."""
    windows = windows_of(rank)
    if windows is None:
        return []
    columns = (windows.number, windows.start_ns - zero_ns, windows.end_ns - zero_ns)
    return [[int(value) for value in one] for one in zip(*columns, strict=True)]
