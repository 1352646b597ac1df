"""Who holds up whom? A matrix of ranks and parts, the slowest against the median, and of very many a histogram."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median, median_low

from llmprof.analyzers.diagnosis import PARTS, RankSummary
from llmprof.reports.html.charts import Piece, Row, bars, legend
from llmprof.reports.html.frame import Content, Page, cell, grid, ms_cell
from llmprof.reports.html.markup import details, esc, figure, table
from llmprof.reports.labels import PART_LABELS
from llmprof.reports.stragglers import LEGEND, Straggling, straggling_of
from llmprof.units import UNKNOWN, format_ms, format_percent

__all__ = ["ranks"]

MATRIX = 64
"""More rows than this are not read: then a histogram and the worst are shown, and all of them folded, with a search."""
WORST = 8
WORST_LEAST = 0.03
"""A slowdown below this share is not coloured: no worker stands out."""
BINS = 12


def ranks(page: Page) -> Content | None:
    """Rank by rank."""
    known = page.diagnosis.ranks
    if len(known) < 2:
        world = page.diagnosis.source.world_size
        if world is not None and world > 1:
            return Content(f"1 of {world} ranks was recorded; record all of them to see who waits for whom.")
        return Content("One rank: there is nobody to compare it with.")
    pipeline = _is_pipeline(page)
    own = _own_in_pipeline if pipeline else _own
    by_work = sorted(known, key=lambda rank: (-own(rank), rank.rank))
    critical = page.diagnosis.partition_rank
    straggling = straggling_of(page.diagnosis)
    blocks = [_against(by_work), *([] if straggling is None else _causes(straggling)), _workers(page)]
    if len(known) <= MATRIX:
        blocks.append(_matrix(page, sorted(known, key=lambda rank: rank.rank), "Parts of the step by rank"))
    else:
        chosen = [rank for place, rank in enumerate(by_work) if place < WORST or rank.rank == critical]
        in_order = sorted(known, key=lambda rank: rank.rank)
        every = _matrix(page, in_order, "All ranks that were written down", exact=False)
        blocks += [
            _histogram(list(map(own, by_work))),
            _matrix(page, chosen, f"The {WORST} with most work of their own"),
        ]
        blocks.append(details(f"All {len(known)} ranks", _SEARCH + every, name="every"))
    answer = _answer(page, by_work, straggling, tell_excess=not pipeline)
    return Content(answer, blocks, quiet=False)


_SEARCH = (
    '<p class="search js"><label>Rank or machine '
    '<input type="search" class="filter" data-rows=".every tbody tr"></label></p>'
)


def _own(rank: RankSummary) -> float:
    return (rank.step_ms or 0.0) - (rank.partition.get("skew") or 0.0)


def _is_pipeline(page: Page) -> bool:
    """Whether this is a table of pipeline operations."""
    return page.figures("stragglers").get("basis") == "operations"


def _own_in_pipeline(rank: RankSummary) -> float:
    """There waiting for the next micro-batch is no work of one's own either."""
    return _own(rank) - (rank.partition.get("other") or 0.0)


def _answer(page: Page, by_work: Sequence[RankSummary], straggling: Straggling | None, *, tell_excess: bool) -> str:
    slowest, middle = by_work[0], median_low([_own(rank) for rank in by_work])
    more = _own(slowest) - middle
    told = f"{len(by_work)} ranks. "
    if not tell_excess:
        told = told.rstrip()
    elif middle > 0 and more / middle >= 0.02:
        share, part = format_percent(more / middle), _largest(slowest, by_work)
        told += f"Rank {slowest.rank} has {format_ms(more)} ({share}) more work than the median rank"
        told += f", most of it {part}." if part else "."
    else:
        told += "They have equally much work, within 2 %."
    if straggling is not None and (straggling.told or not tell_excess):
        told += f" {straggling.sentence}"
    if page.diagnosis.partition_rank is not None:
        told += f" Rank {page.diagnosis.partition_rank} waits least for the others: the bar at the top is about it."
    return esc(told, 500) + " The deeper the colour, the larger the share of that rank's step."


def _largest(slowest: RankSummary, others: Sequence[RankSummary]) -> str:
    more = {
        part: (slowest.partition.get(part) or 0.0) - median((rank.partition.get(part) or 0.0) for rank in others)
        for part in PARTS
        if part != "skew"
    }
    part = max(more, key=lambda name: more[name])
    return PART_LABELS[part].name if more[part] > 0 else ""


def _against(by_work: Sequence[RankSummary]) -> str:
    """The slowest, the median and the fastest rank on one scale."""
    chosen = {"slowest": by_work[0], "median": by_work[len(by_work) // 2], "fastest": by_work[-1]}
    if len(by_work) == 2:
        del chosen["median"]
    rows = [
        Row(
            f"rank {rank.rank} ({name})",
            tuple(
                Piece(value, f"p-{part}", f"{PART_LABELS[part].name} {format_ms(value)}")
                for part in PARTS
                if (value := rank.partition.get(part) or 0.0) > 0
            ),
            format_ms(rank.step_ms),
        )
        for name, rank in chosen.items()
        if rank.partition
    ]
    shown = [part for part in PARTS if any(rank.partition.get(part) for rank in chosen.values())]
    keys = legend({f"p-{part}": PART_LABELS[part].name for part in shown})
    return bars("Ranks against each other", rows) + keys if rows else ""


_COLUMNS = {"kind": "Kind of work", "rank": "Rank", "stage": "Stage"}


def _causes(straggling: Straggling) -> list[str]:
    """Who has how much to do with what the ranks lose: kinds of work, ranks, stages."""
    if not straggling.causes:
        return []
    blocks = [f"<h3>What ranks that are not alike cost</h3><p>{esc(LEGEND)}</p>"]
    for group, causes in straggling.groups.items():
        title = _COLUMNS[group]
        rows = [
            [
                esc(one.name, 60),
                cell(one.slowdown, _times(one.slowdown)),
                cell(one.removed, format_percent(one.removed)),
                cell(one.added, format_percent(one.added)),
                ms_cell(one.after_ms),
            ]
            for one in causes
        ]
        head = [title, "Times as long", "Removed by a repair", "Added by it alone", "Step after a repair"]
        blocks.append(grid(f"Slowdown by {title.lower()}", head, rows, name="stragglers"))
    return blocks


def _times(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"


def _workers(page: Page) -> str:
    """Of a pipeline the slowdown of each worker, replicas by stages; the deeper the colour, the slower."""
    known = {(one["replica"], one["stage"]): one for one in page.figures("stragglers").get("workers", ())}
    replicas, stages = (sorted({place[axis] for place in known}) for axis in (0, 1))
    if not known or max(len(replicas), len(stages)) > MATRIX:
        return ""
    most = max(one["slowdown"] for one in known.values()) - 1
    rows = []
    for replica in replicas:
        cells = []
        for stage in stages:
            one = known.get((replica, stage))
            over = max(one["slowdown"] - 1, 0.0) if one else 0.0
            level = round(10 * over / most) if one and most >= WORST_LEAST else 0
            text = "" if one is None else figure(one["slowdown"], _times(one["slowdown"]))
            cells.append(f'<td class="number p-skew h{level}">{text}</td>')
        rows.append(f'<tr><th scope="row">replica {esc(replica)}</th>{"".join(cells)}</tr>')
    head = ["Times as long", *(f"stage {stage}" for stage in stages)]
    return table("Slowdown of each worker, replicas by stages", head, rows, name="ranks", right=range(1, len(head)))


def _histogram(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    width = (high - low) / BINS
    if width <= 0:
        return ""
    counts = [0] * BINS
    for value in values:
        counts[min(int((value - low) / width), BINS - 1)] += 1
    rows = [
        Row(
            f"{format_ms(low + place * width)} to {format_ms(low + (place + 1) * width)}",
            (Piece(count, "p-compute"),),
            f"{count} rank{'' if count == 1 else 's'}",
        )
        for place, count in enumerate(counts)
    ]
    return "<h3>Step without waiting for others</h3>" + bars("Ranks by their own work per step", rows)


def _matrix(page: Page, shown: Sequence[RankSummary], caption: str, *, exact: bool = True) -> str:
    """A table of ranks by parts.

    exact    with every value as in analysis.json and the colour of its share; of hundreds of ranks that alone would be
             a third of the page
    """
    about = page.figures("ranks")
    hosts, waited = about.get("hosts", {}), about.get("waited_for_ms", {})
    parts = [part for part in PARTS if any((rank.partition.get(part) or 0.0) > 0 for rank in shown)]
    head = ["Rank", *(["Machine"] if hosts else []), "Step", *(PART_LABELS[part].name for part in parts)]
    told = not _is_pipeline(page)  # which of its peers a worker of a pipeline waits for, its table does not tell
    head += ["Waits for"] if told else []
    head += ["Others wait for it, traced"] if waited else []
    rows = []
    for rank in shown:
        cells = [f"<td>{esc(hosts.get(str(rank.rank), ''), 40)}</td>"] if hosts else []
        cells.append(_cell(rank.step_ms, exact))
        for part in parts:
            value = rank.partition.get(part)
            share = value / rank.step_ms if value is not None and rank.step_ms else 0.0
            level = min(max(round(share * 10), 0), 10)
            cells.append(_cell(value, exact, f" p-{part} h{level}"))
        if told:
            cells.append(f"<td>{'nobody' if rank.waits_for is None else f'rank {esc(rank.waits_for)}'}</td>")
        if waited:
            cells.append(_cell(waited.get(str(rank.rank), 0.0), exact))
        mark = ' <b class="mark">critical</b>' if rank.rank == page.diagnosis.partition_rank else ""
        rows.append(f'<tr><th scope="row">{esc(rank.rank)}{mark}</th>{"".join(cells)}</tr>')
    return table(caption, head, rows, name="ranks")


def _cell(value: float | None, exact: bool, colour: str = "") -> str:
    if exact:
        return f'<td class="number{colour}">{figure(value, format_ms(value))}</td>'
    return f'<td class="number">{esc(format_ms(value))}</td>'
