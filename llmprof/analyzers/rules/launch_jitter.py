"""Do the ranks come late in turn?

Detects:
    Waiting inside collectives on every rank, without one that is always the last: each is late at times.

Why it costs time:
    In every collective all ranks wait for the one that happens to be last, so the step follows the worst case of each
    moment and not the mean.

How it is measured:
    The time that even the rank that waits least waits for others inside collectives. A rank that is always late would
    not wait at all.

Does not apply when:
    The run has one rank, or its steps hold no collectives.

Fix:
    Bind each rank to cores of its own; collect garbage at the same step everywhere; batches of equal work.

Verify:
    Record again: waiting for late ranks falls on all of them.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.communication.rank_differences import rank_difference
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import question
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.units import format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="launch-jitter",
    category="imbalance",
    title="The ranks arrive together",
    failed_title="The ranks come late in turn",
    fixes=("numa-binding", "balance-batches"),
    thresholds=(thresholds.JITTER, thresholds.JITTER_GAIN),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge what the least waiting rank waits."""
    collectives = question(RULE, facts)
    if isinstance(collectives, Judgement):
        return collectives
    found = rank_difference(facts.ranks)
    if found is None:
        return RULE.no_data("Who waits for whom needs the same collectives of several ranks; record all ranks.")
    share = found.jitter_ns / facts.step.mean_ns
    figures = [evidence.share("waiting on the rank that waits least", facts, found.jitter_ns, thresholds.JITTER)]
    if share < thresholds.JITTER.value:
        return RULE.passed(f"Every rank is late in turn for {format_percent(share)} of the step.", evidence=figures)
    part = _varying(facts)
    figures.append(evidence.number("what varies most from step to step", part, "part of the step", source="trace"))
    return RULE.fired(
        facts,
        f"Even the rank that waits least waits {format_ns(found.jitter_ns)} ({format_percent(share)}) for others: the "
        "ranks come late in turn.",
        cost_ns=found.jitter_ns,
        confidence=confidence_of(facts, "skew", strength=0.8),
        evidence=figures,
        recommendations=[_fix(facts, found.jitter_ns, part)],
        ranks=tuple(sorted(facts.ranks)),
    )


def _varying(facts: Facts) -> str | None:
    """The part of the step, waiting aside, that varies most over the traced steps of all ranks."""
    sums: dict[str, float] = {}
    for rank in facts.ranks.values():
        for name, spread in (rank.traced.spread if rank.traced is not None else {}).items():
            if name not in ("skew", "communication"):
                sums[name] = sums.get(name, 0.0) + spread
    return max(sums, key=lambda name: sums[name]) if any(sums.values()) else None


def _fix(facts: Facts, jitter: float, part: str | None) -> Recommendation:
    node = facts.critical.environment.node
    flat = part != "compute" and node is not None and len(node.numa_nodes) == 1
    saved = gain(
        facts,
        # Where no core is nearer to a GPU than another, binding helps only if ranks share cores, which nothing shows.
        expected_ns=0.0 if flat else thresholds.JITTER_GAIN.value * jitter,
        low_ns=0.0,
        high_ns=jitter,
        at_most_ns=jitter,
    )
    if part == "compute":
        return recommend(
            "balance-batches",
            rule=RULE.id,
            facts=facts,
            action="Give every rank the same amount of work in each step",
            why="What varies most from step to step is the computation.",
            how="sort or pack sequences so that the ranks have the same number of tokens in each step",
            gain=saved,
            watch="waiting for late ranks",
        )
    return recommend(
        "numa-binding",
        rule=RULE.id,
        facts=facts,
        action="Bind each rank to cores of its own" if flat else "Bind each rank to cores of its own near its GPU",
        why="Ranks that share cores are held up in turn."
        + (" The machine has one NUMA node, so that nothing is promised." if flat else ""),
        how=("taskset -c FIRST-LAST" if flat else "numactl --cpunodebind=N --membind=N")
        + " for each rank; gc.collect() at the same steps on all ranks",
        gain=saved,
        watch="waiting for late ranks",
    )
