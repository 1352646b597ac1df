"""What was looked at, and can the run be trusted and repeated? All rules with their states, the recording, the run."""

from __future__ import annotations

from llmprof.reports.checks import Check, count_states
from llmprof.reports.html.frame import Page, proved
from llmprof.reports.html.markup import details, esc, prose, table
from llmprof.reports.view import View

__all__ = ["checks", "run"]


def checks(page: Page) -> str:
    """Every rule with its state."""
    view = page.view
    if not view.checks:
        return ""
    loud = [check for check in view.checks if check.status in ("fired", "error")]
    missing = [check for check in view.checks if check.status == "no_data"]
    quiet = [check for check in view.checks if check.status in ("passed", "not_applicable")]
    body = _table(page, "Checks that found something", loud) if loud else ""
    for title, some in (("Checks without the data that they need", missing), ("Checks without a finding", quiet)):
        if some:
            body += details(count_states(tuple(some)).capitalize(), _table(page, title, some))
    answer = f"{esc(count_states(view.checks))}."
    return _section("checks", "Everything that was checked", answer, body)


def _section(name: str, title: str, answer: str, body: str) -> str:
    return (
        f'<section class="section" id="{name}" aria-labelledby="{name}-title">'
        f'<header><h2 id="{name}-title">{title}</h2><p>{answer}</p></header>{body}</section>'
    )


def _table(page: Page, caption: str, some: list[Check]) -> str:
    rows = []
    for check in some:
        proofs = "".join(f"<li>{proved(page, proof)}</li>" for proof in check.proofs)
        rows.append(
            f'<tr id="rule={esc(check.rule)}"><td><span class="state {esc(check.status)} {esc(check.severity)}">'
            f'{esc(check.state)}</span></td><th scope="row">{esc(check.title)}<code>{esc(check.rule)}</code></th>'
            f"<td>{prose(check.summary)}</td><td><ul>{proofs}</ul></td>"
            f'<td class="number">{esc(check.cost)}</td></tr>'
        )
    return table(caption, ["State", "Check", "What was seen", "Evidence", "Cost per step"], rows, name="checks")


def run(view: View) -> str:
    """Environment and quality of the recording."""
    facts = "".join(f"<div><dt>{esc(name, 80)}</dt><dd>{esc(value)}</dd></div>" for name, value in view.facts)
    trust = "".join(f'<li class="{"weak" if item.weak else "fine"}">{prose(item.text)}</li>' for item in view.trust)
    body = (
        f'<div class="columns even"><div><h3>Recording</h3><ul class="trusts">{trust}</ul></div>'
        f'<div><h3>Run</h3><dl class="facts">{facts}</dl></div></div>'
    )
    return _section("run", "Run and recording", "What was recorded, how, and what weakens it.", body)
