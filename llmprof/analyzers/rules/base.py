"""What is a rule, and what does it answer? The record every rule module declares, and its result."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from llmprof.analyzers.diagnosis import Evidence, Finding, Recommendation, Severity, Status
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import thresholds
from llmprof.analyzers.rules.thresholds import Threshold
from llmprof.units import NS_PER_MS

__all__ = ["Evaluate", "Judgement", "Rule", "confidence_of", "severity_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a rule concluded: exactly one finding, and the fixes that follow from it."""

    finding: Finding
    recommendations: tuple[Recommendation, ...] = ()


Evaluate = Callable[[Facts], Judgement]
"""A rule's one function: pure, reads only facts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. A rule module holds `RULE = Rule(...)` and `def evaluate(facts: Facts) -> Judgement`.

    id            kebab-case name of the bad state; the module is called the same with underscores
    category      the bound that it explains: data, host, compute, communication, memory
    title         what holds when it passed
    failed_title  what is wrong when it fired
    fixes         recommendation ids it may give (`fixes.FIXES`)
    thresholds    the numbers it judges by, for its documentation
    """

    id: str
    category: str
    title: str
    failed_title: str
    fixes: tuple[str, ...]
    thresholds: tuple[Threshold, ...] = ()

    def passed(self, summary: str, *, evidence: Iterable[Evidence] = ()) -> Judgement:
        """Looked, and nothing is wrong."""
        return self._answer("passed", self.title, summary, evidence)

    def not_applicable(self, reason: str) -> Judgement:
        """The question does not arise in this run."""
        return self._answer("not_applicable", self.title, reason)

    def no_data(self, reason: str) -> Judgement:
        """The recording cannot answer; `reason` says what is missing and how to record it."""
        return self._answer("no_data", self.title, reason)

    def error(self, reason: str) -> Judgement:
        """The rule itself failed."""
        return self._answer("error", self.title, reason)

    def fired(
        self,
        facts: Facts,
        summary: str,
        *,
        cost_ns: float | None,
        confidence: float,
        evidence: Iterable[Evidence] = (),
        recommendations: Iterable[Recommendation] = (),
        ranks: tuple[int, ...] | None = None,
        severity: Severity | None = None,
    ) -> Judgement:
        """Something is wrong. `cost_ns` is what it costs per step; severity follows from its share unless given."""
        share = None if cost_ns is None or facts.step.mean_ns <= 0 else cost_ns / facts.step.mean_ns
        finding = Finding(
            rule=self.id,
            status="fired",
            title=self.failed_title,
            summary=summary,
            severity=severity or severity_of(share),
            cost_ms=None if cost_ns is None else cost_ns / NS_PER_MS,
            share=share,
            confidence=round(confidence, 2),
            ranks=(facts.critical.rank,) if ranks is None else ranks,
            evidence=tuple(evidence),
        )
        return Judgement(finding=finding, recommendations=tuple(recommendations))

    def _answer(self, status: Status, title: str, summary: str, evidence: Iterable[Evidence] = ()) -> Judgement:
        finding = Finding(rule=self.id, status=status, title=title, summary=summary, evidence=tuple(evidence))
        return Judgement(finding=finding)


def severity_of(share: float | None) -> Severity:
    """The severity of a cost that is `share` of the step; unknown is information."""
    if share is None:
        return "info"
    if share >= thresholds.SEVERITY_CRITICAL.value:
        return "critical"
    return "warning" if share >= thresholds.SEVERITY_WARNING.value else "info"


def confidence_of(facts: Facts, *parts: str, strength: float = 1.0) -> float:
    """How sure a claim about these parts of the step is, 0 to 1.

    parts       parts of the partition the claim stands on; their spread over the traced steps counts against it
    strength    1 for a direct measurement, less for a conclusion from names or for missing settings
    """
    critical = facts.critical
    result = thresholds.CONFIDENCE_TRACE.value * strength * (1 - (facts.unlinked_kernel_share or 0.0))
    partition = critical.partition
    if partition is not None and parts:
        total = sum(partition.parts.get(name, 0.0) for name in parts)
        # The mean over n traced steps is known to 1/sqrt(n) of their spread.
        spread = sum(partition.spread.get(name, 0.0) for name in parts) / math.sqrt(facts.step.steps_traced or 1)
        result *= 1 - min(0.5, spread / total if total > 0 else 0.5)
    traced = facts.step.traced_mean_ns
    slowdown = None if traced is None or facts.step.mean_ns <= 0 else traced / facts.step.mean_ns - 1
    if facts.step.basis == "profiled" or (slowdown or 0.0) > thresholds.PERTURBED_SHARE.value:
        result = min(result, thresholds.CONFIDENCE_PERTURBED.value)
    if abs(critical.remainder_ns or 0.0) > thresholds.REMAINDER_SHARE.value * facts.step.mean_ns:
        result = min(result, thresholds.CONFIDENCE_UNEXPLAINED.value)
    return max(0.0, min(1.0, result))
