"""Does one rank hold up all the others?

Detects:
    A rank whose own work takes longer than that of every other one, so that all others wait for it in collectives.

Why it costs time:
    A step is as long as its slowest rank takes: what one rank takes longer, all of them lose.

How it is measured:
    The step of each rank without what it waits for peers inside collectives (clocks aligned across hosts). The excess
    of the longest one is split by class: its kernels, its input, its host, its stalls. Where it is the kernels, clocks
    and arithmetic of the ranks tell a slow device from more work. A repaired device comes to the time of the others;
    work is shared, so that all come to the mean.

Does not apply when:
    The run has one rank, or its steps hold no collectives.

Fix:
    By cause: repair or replace a slow device or host; give every rank as much work as the others.

Verify:
    Record again: waiting for the late rank is gone on the others.
"""

from __future__ import annotations

import statistics

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.communication.rank_differences import RankDifference, more_work, rank_difference
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import parallelism, question
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.units import format_ns, format_percent

__all__ = ["RULE", "evaluate", "perturbed"]

RULE = Rule(
    id="straggler-rank",
    category="imbalance",
    title="No rank holds up the others",
    failed_title="One rank holds up all the others",
    fixes=("repair-straggler", "balance-batches"),
    thresholds=(
        thresholds.STRAGGLER,
        thresholds.STRAGGLER_CAUSE,
        thresholds.SLOWER_CLOCK,
        thresholds.REPLAY_LOW,
        thresholds.PERTURBED_SHARE,
    ),
)
_CAUSES = {
    "compute": "its kernels take longer",
    "wait": "it waits for its batches",
    "input_copy": "its batches take longer to be copied",
    "launch": "its host issues work later",
    "gap": "its host issues work later",
    "python": "its host runs more Python",
    "sync": "its host waits for its device",
    "memory_management": "its allocator asks the driver for memory",
    "checkpoint": "it writes checkpoints",
    "evaluation": "it evaluates",
    "gc": "its garbage collection runs",
    "compile": "it compiles",
}
"""What the late rank does longer, by detailed class of the partition."""
_DISTORTED = frozenset({None, "launch", "gap", "python", "sync", "gc"})
"""Causes that the profiler itself makes: it slows down the host, and kernels and input hardly."""
_NAMED = 0.05
"""Of the excess: what makes up less of it is no evidence."""
_SHARDS = "sort or pack sequences so that each rank has the same number of tokens; shard the data evenly"
_EXPERTS = (
    "let the router send as many tokens to all ranks (a load-balancing loss or bias, a capacity for each expert), or "
    "lay the experts that get most on different ranks"
)
_OTHER_RULES = {"wait": "input-starvation", "input_copy": "pageable-transfers", "gc": "python-gc"}
"""Rules that explain such a cause, and bring its fix: the late rank is the one that all rules look at."""


def evaluate(facts: Facts) -> Judgement:
    """Judge the rank with most work of its own against the others."""
    collectives = question(RULE, facts)
    if isinstance(collectives, Judgement):
        return collectives
    found = rank_difference(facts.ranks)
    if found is None:
        return RULE.no_data("Who waits for whom needs the same collectives of several ranks; record all ranks.")
    share = found.over_next_ns / facts.step.mean_ns
    figures = [
        evidence.time("own work beyond the second-longest", found.over_next_ns, source="partition", rank=found.late),
        *(
            evidence.time(f"of rank {found.late} beyond the others: {name}", ns, source="partition", rank=found.late)
            for name, ns in list(found.causes.items())[:3]
            if ns >= _NAMED * found.over_next_ns
        ),
    ]
    if share < thresholds.STRAGGLER.value:
        return RULE.passed(
            f"The slowest rank ({found.late}) takes {format_ns(max(found.over_next_ns, 0.0))} longer than the next.",
            evidence=figures,
        )
    cause, why = _cause(found)
    if cause in _DISTORTED and perturbed(facts):
        return RULE.no_data(
            f"In the traced steps rank {found.late} is last because {why}; but the profiler slows hosts down, and not "
            "all alike: nothing tells whether that rank is last without it."
        )
    return RULE.fired(
        facts,
        f"Rank {found.late} takes {format_ns(found.over_next_ns)} ({format_percent(share)}) longer than any other, and "
        f"all wait for it; {why}.",
        cost_ns=found.over_next_ns,
        confidence=confidence_of(facts, strength=0.9),
        evidence=figures,
        recommendations=_fixes(facts, found, cause),
        ranks=(found.late,),
    )


def _cause(found: RankDifference) -> tuple[str | None, str]:
    """The class that makes up most of the excess, and the same in words; None when several share it."""
    total = sum(found.causes.values())
    name, ns = next(iter(found.causes.items()), (None, 0.0))
    if name is None or ns < thresholds.STRAGGLER_CAUSE.value * total:
        return None, "no single cause stands out"
    return name, _CAUSES.get(name, f"what it does longer is {name.replace('_', ' ')}")


def perturbed(facts: Facts) -> bool:
    """Whether the profiler slowed the traced steps down by more than a tenth, or nothing tells whether it did."""
    traced = facts.step.traced_mean_ns
    if facts.step.basis == "profiled":
        return True
    return traced is not None and traced > (1 + thresholds.PERTURBED_SHARE.value) * facts.step.mean_ns


def _fixes(facts: Facts, found: RankDifference, cause: str | None) -> list[Recommendation]:
    if cause in _OTHER_RULES:
        return []
    late = facts.ranks[found.late]
    others = [rank for number, rank in facts.ranks.items() if number != found.late]
    more = more_work(late, others)
    heavier = more if more is not None and more > thresholds.SLOWER_CLOCK.value else None
    slower = _slower_device(late, others)
    most = max(found.over_next_ns, found.over_median_ns)
    if cause == "compute" and heavier and not slower:
        # What this rank has too much of goes to the others: all come to their mean.
        even = min(found.over_mean_ns, found.over_next_ns)
        saved = gain(facts, expected_ns=even, low_ns=thresholds.REPLAY_LOW.value * even, high_ns=most, at_most_ns=most)
        return [
            recommend(
                "balance-batches",
                rule=RULE.id,
                facts=facts,
                action=f"Give rank {found.late} as much work as the others",
                why=f"It does {format_percent(heavier)} more arithmetic per step than the others.",
                how=_EXPERTS if parallelism(facts).ep else _SHARDS,
                gain=saved,
                watch="waiting for the late rank",
                effort="refactor" if parallelism(facts).ep else None,
            )
        ]
    low_ns = thresholds.REPLAY_LOW.value * found.over_next_ns
    saved = gain(facts, expected_ns=found.over_next_ns, low_ns=low_ns, high_ns=most, at_most_ns=most)
    host = late.environment.host
    where = f"rank {found.late}" + (f" on {host}" if host else "")
    compare = "clocks, temperature, PCIe generation, other processes and CPU affinity with a fast rank's"
    if cause == "compute" and heavier and slower and (1 + heavier) * (1 - slower) > 1:
        # A device that has more to do clocks lower under the load: here the work explains more than the clock.
        told = f"it does {format_percent(heavier)} more arithmetic per step than the others"
        told += f", at a clock {format_percent(slower)} below theirs"
        how = f"look for work that only this rank does, and for more samples in its batches; compare {compare}"
    else:
        told = (
            f"its clock is {format_percent(slower)} below the others'"
            if slower
            else "nothing tells a heavier load from a slower device"
        )
        how = f"compare {compare}; run the same work there on another GPU"
    return [
        recommend(
            "repair-straggler",
            rule=RULE.id,
            facts=facts,
            action=f"Find out why {where} is slow",
            why=f"{_cause(found)[1].capitalize()}; {told if cause == 'compute' else 'the others do the same faster'}.",
            how=how,
            gain=saved,
            watch="waiting for the late rank",
        )
    ]


def _slower_device(late: RankFacts, others: list[RankFacts]) -> float | None:
    """By how much the late rank's clock is below the median of the others; None when it is not."""
    mine = late.hardware.sm_mhz if late.hardware else None
    theirs = [rank.hardware.sm_mhz for rank in others if rank.hardware and rank.hardware.sm_mhz]
    if not mine or not theirs:
        return None
    below = 1 - mine / statistics.median(theirs)
    return below if below > thresholds.SLOWER_CLOCK.value else None
