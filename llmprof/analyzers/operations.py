"""From a table of pipeline operations to a diagnosis: what workers that are not alike cost, and which fix comes first.

Such a table says what every worker did and when, and nothing of kernels, hosts or input: the verdict is imbalance or
none, and of the rules only those on ranks and stages are judged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from llmprof.analyzers.details.stragglers import MOSTLY, PAIRED, of_operations, uneven_batches
from llmprof.analyzers.diagnosis import (
    Capture,
    Diagnosis,
    Evidence,
    Finding,
    Gain,
    RankSummary,
    Recommendation,
    Source,
    StepSummary,
    Verdict,
)
from llmprof.analyzers.facts.pipeline.operation_times import parts_by_rank, step_lengths
from llmprof.analyzers.facts.pipeline.pipeline_graph import whole_steps
from llmprof.analyzers.facts.pipeline.stragglers import StragglerFacts, straggler_facts
from llmprof.analyzers.replay.graph.replay import FAITHFUL
from llmprof.analyzers.rules import stage_imbalance, straggler_rank, thresholds
from llmprof.analyzers.rules.base import Rule, severity_of
from llmprof.analyzers.rules.fixes import FIXES
from llmprof.analyzers.rules.thresholds import Threshold
from llmprof.analyzers.sentences import abstention
from llmprof.errors import InputError
from llmprof.timeline.operations import OperationTable
from llmprof.units import NS_PER_MS, format_ms, format_percent

__all__ = ["diagnose_operations"]

SLOWDOWN = 1.1
"""S from which a job counts as one with stragglers (the OSDI 2025 publication, section 4)."""
MISSED_SHARE = 0.05
"""By this share of the step a repaired step may be off: the publication's estimates of slowdowns that were planted
missed by 1.4 to 4.3 %."""
CONFIDENCE, DOUBT = 0.9, 0.4
"""Every operation of every step was recorded, without a profiler; and where the replay misses the step."""
HISTORY = 200
_AGAIN = "Apply it, record such a table again and look at S."


def diagnose_operations(table: OperationTable, path: str) -> Diagnosis:
    """The diagnosis of a table of pipeline operations that was read from `path`.

    Never raises for want of data: the diagnosis then abstains, with the reason.
    """
    source = Source(kind="operations", paths=(path,), ranks=tuple(np.unique(table.rank).tolist()))
    table, left_out = whole_steps(table)
    try:
        facts, parts = straggler_facts(table), parts_by_rank(table)
    except InputError as error:
        return Diagnosis(
            source=source,
            capture=Capture(),
            step=StepSummary(),
            partition={},
            verdict=abstention(str(error).rstrip(".")),
        )
    lengths = step_lengths(table) / NS_PER_MS
    step_ms = facts.recorded_ns / NS_PER_MS
    critical = min(parts, key=lambda rank: (parts[rank]["skew"] + parts[rank]["other"], rank))
    figures = of_operations(facts)
    findings, fixes = _judged(facts)
    return Diagnosis(
        source=source,
        capture=Capture(
            steps_measured=lengths.size,
            steps_excluded=left_out,
            steps_traced=lengths.size,
            basis="unprofiled",
            replay_error=abs(facts.replay_error),
            warnings=_warnings(facts, left_out),
        ),
        step=StepSummary(
            mean_ms=step_ms, median_ms=float(np.median(lengths)), p95_ms=float(np.percentile(lengths, 95))
        ),
        partition=_in_ms(parts[critical]),
        partition_rank=critical,
        ranks=tuple(
            RankSummary(rank=rank, step_ms=step_ms, partition=_in_ms(found)) for rank, found in sorted(parts.items())
        ),
        verdict=_verdict(facts, figures),
        findings=findings,
        recommendations=fixes,
        history_ms=tuple(lengths[:: math.ceil(lengths.size / HISTORY)].tolist()),
        details={"stragglers": figures},
    )


def _in_ms(parts: Mapping[str, float]) -> dict[str, float]:
    return {name: value / NS_PER_MS for name, value in parts.items()}


def _warnings(facts: StragglerFacts, left_out: int) -> tuple[str, ...]:
    said = []
    if left_out:
        said.append(f"{left_out} steps do not have the operations of the others and were left out.")
    if abs(facts.replay_error) > FAITHFUL:
        said.append(
            f"the replay misses the recorded step by {format_percent(abs(facts.replay_error))}: delays between "
            "operations, which the table does not explain, are as long; gains are upper bounds."
        )
    return tuple(said)


def _verdict(facts: StragglerFacts, figures: Mapping[str, Any]) -> Verdict:
    lost = max(1 - 1 / facts.slowdown, 0.0)
    confidence = CONFIDENCE if abs(facts.replay_error) <= FAITHFUL else DOUBT
    told = figures["sentence"][0].lower() + figures["sentence"][1:]
    if facts.slowdown < SLOWDOWN:
        told = f"No straggler limits: {told} Such a table says nothing else; `llmprof run` records what does."
        return Verdict(bound="none", sentence=told, share=lost, confidence=confidence)
    causes = ("rank", figures["ranks"]), ("stage", figures["stages"])
    detail = next((name for name, rows in causes if rows and (rows[0]["removed"] or 0.0) >= MOSTLY), None)
    detail = "batches" if uneven_batches(facts) else detail
    return Verdict(bound="imbalance", detail=detail, sentence=f"Imbalanced: {told}", share=lost, confidence=confidence)


def _judged(facts: StragglerFacts) -> tuple[tuple[Finding, ...], tuple[Recommendation, ...]]:
    """The rules on ranks and on stages, and the fixes of those that fired, the larger gain first."""
    scale = facts.recorded_ns / facts.replayed_ns  # a replay without the delays between operations is shorter
    first = _batches(facts, scale) if uneven_batches(facts) else _ranks(facts, scale)
    judged = [first, _stages(facts, scale)]
    fixes = sorted((fix for _, fix in judged if fix is not None), key=lambda fix: -fix.gain.expected_ms)
    return tuple(finding for finding, _ in judged), tuple(fixes)


_Judged = tuple[Finding, Recommendation | None]


def _ranks(facts: StragglerFacts, scale: float) -> _Judged:
    """Whether the worst ranks are slow."""
    names = _names(facts.worst_ranks)
    return _judge(
        facts,
        straggler_rank.RULE,
        "repair-straggler",
        scale * (facts.worst.removed or 0.0) * (facts.replayed_ns - facts.ideal_ns),
        thresholds.STRAGGLER,
        (
            f"Repairing {names} brings back {format_percent(facts.worst.removed)} of what the job loses:",
            f"Find out why {names} {'is' if len(facts.worst_ranks) == 1 else 'are'} slow",
            "compare clocks, temperature, PCIe generation and other processes with a fast worker's; run the same work "
            "there on another GPU",
        ),
        (_of_loss("M_W, share of the loss that repairing the worst ranks brings back", facts.worst.removed),),
        facts.worst_ranks,
    )


def _batches(facts: StragglerFacts, scale: float) -> _Judged:
    """That ranks are late in turns because their micro-batches differ."""
    return _judge(
        facts,
        straggler_rank.RULE,
        "balance-batches",
        scale * (facts.replayed_ns - (facts.even_ns or facts.replayed_ns)),
        thresholds.STRAGGLER,
        (
            "Forward and backward passes of the same micro-batches are long together; equal ones bring back",
            "Make micro-batches equally large",
            "sort or pack sequences so that every micro-batch of every rank takes the same time; attention takes time "
            "by the square of the length",
        ),
        (
            Evidence(
                label="correlation of forward and backward passes",
                value=facts.pass_correlation,
                threshold=PAIRED,
                source="trace",
            ),
        ),
        (),
    )


def _stages(facts: StragglerFacts, scale: float) -> _Judged:
    """Whether one stage has more work than the others."""
    slowest, last = max(facts.by_stage, key=lambda stage: facts.by_stage[stage]), max(facts.by_stage)
    of_last = f"M_S, share of the loss that repairing the last stage ({last}) brings back"
    return _judge(
        facts,
        stage_imbalance.RULE,
        "balance-stages",
        scale * (facts.replayed_ns - (facts.balanced_ns or facts.replayed_ns)),
        thresholds.COMMUNICATION_COST,
        (
            f"The pipeline runs at the pace of stage {slowest}; layers spread evenly bring back",
            f"Move layers away from stage {slowest}",
            "split the model so that each stage takes the same time; count the embedding, the output layer and the "
            "loss as layers",
        ),
        (
            _of_loss(of_last, facts.last_stage.removed),
            Evidence(label=f"S with only stage {slowest} as recorded", value=facts.by_stage[slowest], unit="times"),
        ),
        (),
    )


def _judge(
    facts: StragglerFacts,
    rule: Rule,
    fix: str,
    saved_ns: float,
    limit: Threshold,
    words: tuple[str, str, str],
    figures: tuple[Evidence, ...],
    ranks: tuple[int, ...],
) -> _Judged:
    """What a rule concludes from a replayed gain, and its fix; `words`: the reason, the action and how it is done."""
    step = facts.recorded_ns
    share = saved_ns / step if step > 0 else 0.0
    why, action, how = words
    evidence = (
        Evidence(
            label="slowdown S against workers that are alike", value=facts.slowdown, unit="times", source="replay"
        ),
        Evidence(label="a repair saves", value=share, unit="of the step", threshold=limit.value, source="replay"),
        *figures,
    )
    if rule is stage_imbalance.RULE and facts.balanced_ns is None:
        summary = "The job has one pipeline stage."
        return Finding(rule=rule.id, status="not_applicable", title=rule.title, summary=summary), None
    if share < limit.value:
        summary = f"A repair would save {format_percent(max(share, 0.0))} of the step."
        return Finding(rule=rule.id, status="passed", title=rule.title, summary=summary, evidence=evidence), None
    why = f"{why} {format_ms(saved_ns / NS_PER_MS)} of {format_ms(step / NS_PER_MS)}, replayed."
    finding = Finding(
        rule=rule.id,
        status="fired",
        title=rule.failed_title,
        summary=why,
        severity=severity_of(share),
        cost_ms=saved_ns / NS_PER_MS,
        share=share,
        confidence=CONFIDENCE if abs(facts.replay_error) <= FAITHFUL else DOUBT,
        ranks=ranks,
        evidence=evidence,
    )
    known = FIXES[fix]
    return finding, Recommendation(
        id=fix,
        rule=rule.id,
        action=action,
        why=why,
        how=how,
        gain=_gain(facts, saved_ns, whole=fix == "repair-straggler"),
        verify=_AGAIN,
        effort=known.effort,
        risk=known.risk,
    )


def _gain(facts: StragglerFacts, saved_ns: float, *, whole: bool) -> Gain:
    """What a repair saves: as replayed, give or take what such replays miss; at most that where this one misses.

    whole    whether it can be had in full; layers and sequences cannot be cut to equal lengths
    """
    step, after = facts.recorded_ns, facts.recorded_ns - saved_ns
    faithful = abs(facts.replay_error) <= FAITHFUL
    off, least = MISSED_SHARE * after, thresholds.REPLAY_LOW.value
    return Gain(
        expected_ms=saved_ns / NS_PER_MS,
        low_ms=max(min(saved_ns - off, (1.0 if whole else least) * saved_ns), 0.0) / NS_PER_MS if faithful else 0.0,
        high_ms=min(saved_ns + (off if faithful else 0.0), step) / NS_PER_MS,
        step_ms_after=after / NS_PER_MS,
        speedup=step / after if after > 0 else None,
        basis="replay" if faithful else "bound",
    )


def _of_loss(label: str, value: float | None) -> Evidence:
    return Evidence(label=label, value=value, unit="of the loss", source="replay")


def _names(ranks: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, ranks[:4])) + (f" and {len(ranks) - 4} more" if len(ranks) > 4 else "")
    return f"rank{'' if len(ranks) == 1 else 's'} {shown}"
