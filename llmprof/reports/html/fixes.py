"""What does every fix bring, how is it done, and what do several bring together? The cards, and the joint results."""

from __future__ import annotations

from typing import Any

from llmprof.analyzers.diagnosis import Finding
from llmprof.reports.fixes import Fix
from llmprof.reports.html.first_screen import shrunk
from llmprof.reports.html.frame import Page, at_link
from llmprof.reports.html.markup import code, command_in, esc, own, prose
from llmprof.units import format_ms, format_ms_within

__all__ = ["cards", "joint_results"]


def cards(page: Page) -> str:
    """The section with one card a fix; several can be ticked where joint results are known."""
    view = page.view
    if not view.fixes and not view.tried:
        return ""
    count = len(view.fixes)
    answer = _answer(sum(fix.helps for fix in view.fixes), count)
    if view.together is not None:
        answer += f" {esc(view.together.who.capitalize())}: {own(view.together.text)}."
    if view.tried:
        answer += f" Tried as well: {own('; '.join(view.tried))}."
    if any(fix.verify.endswith((" RUN", " RUN2`.")) for fix in view.fixes):
        ours = "this run" if page.diagnosis.source.kind == "run" else "a run that `llmprof run` has recorded"
        answer += f" {prose(f'In a command, RUN is the directory of {ours}.')}"
    joint = frozenset(name for one in joint_results(page) if len(one["of"]) > 1 for name in one["of"])
    listed = "".join(_card(fix, page, fix.id in joint) for fix in view.fixes)
    choice = '<p class="choice js" id="choice" role="status" aria-live="polite"></p>' if joint else ""
    return (
        '<section class="section" id="fixes" aria-labelledby="fixes-title"><header><h2 id="fixes-title">Every fix</h2>'
        f'<p>{answer}</p></header>{choice}<div class="cards">{listed}</div></section>'
    )


def _answer(helping: int, count: int) -> str:
    """How many fixes there are, and how many of them only stand there with the reason why not."""
    rest = count - helping
    if not count:
        return "None is recommended for this run."
    if not helping:
        return f"{count} considered; none is expected to help this run, and each card says why."
    told = "One fix" if helping == 1 else f"{helping} fixes, in the order in which to try them"
    told += f"; {rest} more considered, of which nothing is expected here." if rest else "."
    return told if helping == 1 else f"{told} Gains do not add up."


def joint_results(page: Page) -> list[dict[str, Any]]:
    """What the script may show for a choice of fixes: results of the document, each already in words; never a sum."""
    diagnosis = page.diagnosis
    before = format_ms(diagnosis.step.mean_ms)
    found = []
    for fix in diagnosis.recommendations:
        alone = fix.gain.step_ms_after
        if alone is not None:
            found.append({"of": [fix.id], "text": f"{before} \N{RIGHTWARDS ARROW} about {format_ms(alone)}"})
    for one in (*((diagnosis.combined,) if diagnosis.combined is not None else ()), *diagnosis.joint):
        if one.step_ms_after is None:
            continue
        after = f"about {format_ms(one.step_ms_after)}"
        if one.low_ms is not None and one.high_ms is not None:
            after = format_ms_within(one.step_ms_after, *sorted((one.low_ms, one.high_ms)))
        found.append({"of": sorted(one.of), "text": f"{before} \N{RIGHTWARDS ARROW} {after}"})
    return found


def _card(fix: Fix, page: Page, joint: bool) -> str:
    """One fix; it can be ticked where it is known what it brings with others (`joint`)."""
    facts = [
        ("Gain", f"<strong>{esc(fix.gain)}</strong>{f'<br>{esc(fix.gain_share)}' if fix.gain_share else ''}"),
        ("Also", esc(fix.side)),
        ("Tried", own(fix.tried.removeprefix("tried: "))),
        ("Step", own(fix.after)),
        ("Basis", esc(fix.basis) if fix.expected_ms else ""),
        ("Shrinks", esc(", ".join(shrunk(page.view, fix)), 200)),
        ("Effort", esc(fix.effort)),
        ("Confidence", esc(fix.confidence)),
        ("Needs first", esc(", ".join(fix.requires), 300)),
        ("Rule", f'<a href="#rule={esc(fix.rule)}"><code>{esc(fix.rule, 80)}</code></a>' if _judged(fix, page) else ""),
        ("See it", _window(fix, page)),
    ]
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts if value)
    command = command_in(fix.verify)
    before = fix.verify.removesuffix(f" `{command}`.") if command != fix.verify else ""
    verify = f"<p>{prose(before)}{':' if before != fix.verify else ''}</p>" if before else ""
    verify += code(command) if command else ""
    risk = f"<h4>Risk</h4><p>{prose(fix.risk)}</p>" if fix.risk else ""
    tick = (
        f'<label class="tick js"><input type="checkbox" class="with" value="{esc(fix.id)}"> with others</label>'
        if joint
        else ""
    )
    return (
        f'<article class="card{"" if fix.helps else " useless"}" id="fix-{fix.number}">'
        f'<h3><span class="rank">{fix.number}</span><span>{esc(fix.action)}</span>{tick}</h3>'
        f'<div class="columns"><dl>{listed}</dl><div class="prose"><h4>Why</h4><p>{prose(fix.why)}</p>'
        f"<h4>How</h4>{code(fix.how)}{risk}<h4>Verify</h4>{verify}</div></div>"
        '<p class="cardfoot"><button type="button" class="markdown js">Copy as Markdown</button></p></article>'
    )


def _judged(fix: Fix, page: Page) -> bool:
    return any(check.rule == fix.rule for check in page.view.checks)


def _window(fix: Fix, page: Page) -> str:
    """The first window that the rule's evidence names."""
    finding: Finding | None = next((one for one in page.diagnosis.findings if one.rule == fix.rule), None)
    for item in finding.evidence if finding is not None else ():
        if link := at_link(page, item.rank, item.window_ns):
            return link.strip()
    return ""
