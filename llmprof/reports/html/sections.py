"""What stands below the fold? All fixes in full, all checks, the ranks side by side, and what was recorded how."""

from __future__ import annotations

from collections.abc import Sequence

from llmprof.analyzers.diagnosis import PARTS, Diagnosis, RankSummary
from llmprof.reports.checks import Check, count_states
from llmprof.reports.fixes import Fix
from llmprof.reports.html.first_screen import part_names
from llmprof.reports.html.markup import code, command_in, details, esc, figure, own, prose, table
from llmprof.reports.labels import PART_LABELS
from llmprof.reports.view import View
from llmprof.units import format_ms

__all__ = ["sections"]

MOST_RANKS = 32
"""More rows than this are not read: then those with most, middling and least work of their own are shown."""
WORST, MIDDLE, BEST = 16, 3, 3


def sections(view: View, diagnosis: Diagnosis) -> str:
    """The sections below the fold, in reading order."""
    return "".join((_fixes(view), _checks(view), _ranks(diagnosis), _run(view)))


def _section(name: str, title: str, answer: str, body: str) -> str:
    return (
        f'<section class="section" id="{name}" aria-labelledby="{name}-title">'
        f'<header><h2 id="{name}-title">{title}</h2><p>{answer}</p></header>{body}</section>'
    )


def _fixes(view: View) -> str:
    if not view.fixes:
        return ""
    count = len(view.fixes)
    answer = "One fix." if count == 1 else f"{count} fixes, in the order in which to try them. Gains do not add up."
    if view.together is not None:
        answer += f" {esc(view.together.who.capitalize())}: {own(view.together.text)}."
    cards = "".join(_card(fix, view) for fix in view.fixes)
    return _section("fixes", "Every fix", answer, f'<div class="cards">{cards}</div>')


def _card(fix: Fix, view: View) -> str:
    shrinks = ", ".join(part.name for part in part_names(view, fix))
    facts = [
        ("Gain", f"<strong>{esc(fix.gain)}</strong>{f'<br>{esc(fix.gain_share)}' if fix.gain_share else ''}"),
        ("Also", esc(fix.side)),
        ("Tried", esc(fix.tried.removeprefix("tried: "))),
        ("Step", own(fix.after)),
        ("Basis", esc(fix.basis) if fix.expected_ms else ""),
        ("Shrinks", esc(shrinks, 200)),
        ("Effort", esc(fix.effort)),
        ("Confidence", esc(fix.confidence)),
        ("Needs first", esc(", ".join(fix.requires), 300)),
        ("Rule", f"<code>{esc(fix.rule, 80)}</code>"),
    ]
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts if value)
    command = command_in(fix.verify)
    verify = ("" if command == fix.verify else f"<p>{prose(fix.verify)}</p>") + (code(command) if command else "")
    risk = f"<h4>Risk</h4><p>{prose(fix.risk)}</p>" if fix.risk else ""
    return (
        f'<article class="card{"" if fix.helps else " useless"}" id="fix-{fix.number}">'
        f'<h3><span class="rank">{fix.number}</span>{esc(fix.action)}</h3>'
        f'<div class="columns"><dl>{listed}</dl><div class="prose"><h4>Why</h4><p>{prose(fix.why)}</p>'
        f"<h4>How</h4>{code(fix.how)}{risk}<h4>Verify</h4>{verify}</div></div></article>"
    )


def _checks(view: View) -> str:
    if not view.checks:
        return ""
    loud = [check for check in view.checks if check.status not in ("passed", "not_applicable")]
    quiet = [check for check in view.checks if check.status in ("passed", "not_applicable")]
    body = _check_table("Checks that found or missed something", loud) if loud else ""
    if quiet:
        body += details(f"{count_states(tuple(quiet)).capitalize()}", _check_table("Checks without a finding", quiet))
    return _section("checks", "Everything that was checked", f"{esc(count_states(view.checks))}.", body)


def _check_table(caption: str, checks: list[Check]) -> str:
    rows = []
    for check in checks:
        proofs = "".join(
            f"<li><span>{esc(proof.label)}</span> <b>{esc(proof.value)}</b>"
            f"{f' <i>threshold {esc(proof.threshold)}</i>' if proof.threshold else ''}</li>"
            for proof in check.proofs
        )
        rows.append(
            f'<tr id="rule={esc(check.rule)}"><td><span class="state {esc(check.status)} {esc(check.severity)}">'
            f'{esc(check.state)}</span></td><th scope="row">{esc(check.title)}<code>{esc(check.rule)}</code></th>'
            f"<td>{prose(check.summary)}</td><td><ul>{proofs}</ul></td>"
            f'<td class="number">{esc(check.cost)}</td></tr>'
        )
    return table(caption, ["State", "Check", "What was seen", "Evidence", "Cost per step"], rows, name="checks")


def _ranks(diagnosis: Diagnosis) -> str:
    ranks = diagnosis.ranks
    if len(ranks) < 2:
        return ""
    shown = _shown_ranks(ranks, diagnosis.partition_rank)
    parts = [part for part in PARTS if any((rank.partition.get(part) or 0.0) > 0 for rank in shown)]
    head = ["Rank", "Step", *(PART_LABELS[part].name for part in parts), "Waits for"]
    rows = [_rank_row(rank, parts, diagnosis.partition_rank) for rank in shown]
    answer = f"{len(ranks)} ranks; the deeper the colour, the larger the share of that rank's step."
    if diagnosis.partition_rank is not None:
        answer += f" Rank {diagnosis.partition_rank} waits least for the others: the bar above is about it."
    if len(shown) < len(ranks):
        answer += (
            f" Shown are the {WORST} with most work of their own (waiting for others does not count), {MIDDLE} from "
            f"the middle and the {BEST} with least; analysis.json has more."
        )
    return _section("ranks", "Rank by rank", answer, table("Parts of the step by rank", head, rows, name="ranks"))


def _shown_ranks(ranks: Sequence[RankSummary], critical: int | None) -> list[RankSummary]:
    """All by number, or of many those that tell most: worst first, then the middle, then the best."""
    if len(ranks) <= MOST_RANKS:
        return sorted(ranks, key=lambda rank: rank.rank)
    by_work = sorted(
        ranks, key=lambda rank: (-((rank.step_ms or 0.0) - (rank.partition.get("skew") or 0.0)), rank.rank)
    )
    middle = (len(ranks) - MIDDLE) // 2
    places = {*range(WORST), *range(middle, middle + MIDDLE), *range(len(ranks) - BEST, len(ranks))}
    return [rank for place, rank in enumerate(by_work) if place in places or rank.rank == critical]


def _rank_row(rank: RankSummary, parts: list[str], critical: int | None) -> str:
    cells = []
    for part in parts:
        value = rank.partition.get(part)
        share = value / rank.step_ms if value is not None and rank.step_ms else 0.0
        level = min(max(round(share * 10), 0), 10)
        cells.append(f'<td class="number p-{part} h{level}">{figure(value, format_ms(value))}</td>')
    waits = "nobody" if rank.waits_for is None else f"rank {rank.waits_for}"
    mark = ' <b class="mark">critical</b>' if rank.rank == critical else ""
    step = f'<td class="number">{figure(rank.step_ms, format_ms(rank.step_ms))}</td>'
    return f'<tr><th scope="row">{rank.rank}{mark}</th>{step}{"".join(cells)}<td>{waits}</td></tr>'


def _run(view: View) -> str:
    facts = "".join(f"<div><dt>{esc(name, 80)}</dt><dd>{esc(value)}</dd></div>" for name, value in view.facts)
    trust = "".join(f'<li class="{"weak" if item.weak else "fine"}">{prose(item.text)}</li>' for item in view.trust)
    body = (
        f'<div class="columns even"><div><h3>Recording</h3><ul class="trusts">{trust}</ul></div>'
        f'<div><h3>Run</h3><dl class="facts">{facts}</dl></div></div>'
    )
    return _section("run", "Run and recording", "What was recorded, how, and what weakens it.", body)
