"""What was looked at, and what was seen? Every rule with its state, its threshold and its evidence."""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.analyzers.diagnosis import Diagnosis, Evidence, Finding
from llmprof.reports.labels import confidence_word, status_word
from llmprof.reports.text import quantity, short_unit, visible
from llmprof.units import UNKNOWN, format_ms, format_percent

__all__ = ["Check", "Proof", "checks_of", "count_states", "why_of"]

_ORDER = {"fired": 0, "error": 1, "no_data": 2, "passed": 3, "not_applicable": 4}
_SEVERITY = {"critical": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One measured figure, told."""

    label: str
    value: str
    threshold: str
    """Empty when the figure has none."""
    source: str
    rank: int | None = None
    window_ns: tuple[int, int] | None = None
    """Where it can be seen on the rank's timeline."""

    @property
    def text(self) -> str:
        """`queue empty 95 % (threshold 50 %)`."""
        limit = f" (threshold {self.threshold})" if self.threshold else ""
        return f"{self.label} {self.value}{limit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rule and what it concluded."""

    rule: str
    title: str
    status: str
    state: str
    """The status in words."""
    severity: str
    summary: str
    cost: str
    """`94.1 ms (19 %)`; empty for a rule that passed or does not apply."""
    confidence: str
    ranks: tuple[int, ...]
    proofs: tuple[Proof, ...]


def checks_of(diagnosis: Diagnosis) -> tuple[Check, ...]:
    """All rules: what was found first, dearest first; then failed, undecided, passed and not applicable ones."""
    return tuple(_check(finding, diagnosis) for finding in sorted(diagnosis.findings, key=_order))


def count_states(checks: tuple[Check, ...]) -> str:
    """`3 found, 2 no data, 9 passed`."""
    counts: dict[str, int] = {}
    for check in checks:
        counts[check.state] = counts.get(check.state, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def why_of(diagnosis: Diagnosis) -> tuple[Proof, ...]:
    """The evidence behind the first fix, or else behind the dearest finding: why the verdict is believed."""
    fired = [finding for finding in sorted(diagnosis.findings, key=_order) if finding.status == "fired"]
    rules = [item.rule for item in diagnosis.recommendations]
    first = next((finding for rule in rules for finding in fired if finding.rule == rule and finding.evidence), None)
    chosen = first or next((finding for finding in fired if finding.evidence), None)
    return tuple(_proof(item, diagnosis) for item in chosen.evidence) if chosen else ()


def _order(finding: Finding) -> tuple[int, float, int, str]:
    cost = finding.cost_ms if finding.cost_ms is not None else -1.0
    return _ORDER.get(finding.status, 5), -cost, _SEVERITY.get(finding.severity, 3), finding.rule


def _check(finding: Finding, diagnosis: Diagnosis) -> Check:
    cost = "" if finding.status in ("passed", "not_applicable") else UNKNOWN
    if finding.status == "fired" and finding.cost_ms is not None:
        share = "" if finding.share is None else f" ({format_percent(finding.share)})"
        cost = f"{format_ms(finding.cost_ms)}{share}"
    return Check(
        rule=visible(finding.rule),
        title=visible(finding.title),
        status=finding.status,
        state=status_word(finding.status),
        severity=finding.severity,
        summary=visible(finding.summary),
        cost=cost,
        confidence=confidence_word(finding.confidence),
        ranks=finding.ranks,
        proofs=tuple(_proof(item, diagnosis) for item in finding.evidence),
    )


def _proof(item: Evidence, diagnosis: Diagnosis) -> Proof:
    one_of_many = item.rank is not None and len(diagnosis.source.ranks) > 1
    where = f" on rank {item.rank}" if one_of_many and item.value is not None else ""
    return Proof(
        label=visible(item.label),
        value=quantity(item.value, item.unit) + where,
        threshold="" if item.threshold is None else quantity(item.threshold, short_unit(item.unit)),
        source=visible(item.source),
        rank=item.rank,
        window_ns=item.window_ns,
    )
