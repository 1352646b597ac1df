"""Do some ranks wait for their input longer than others, and all of them for these ranks?

Detects:
    The critical rank waits for batches longer than the median rank, and that explains what the others wait for it.

Why it costs time:
    Ranks meet in every collective. The one whose batch comes late makes all the others wait.

How it is measured:
    Idle time under the loader of every rank; its excess on the critical rank against the median, beside the time
    that the other ranks spend waiting inside collectives.

Does not apply when:
    There is one rank.

Fix:
    The cause differs: with longer load times on the late rank its samples or its storage are heavier; with the same
    load times it has fewer workers or cores.

Verify:
    Record again: all ranks wait for input alike, and the skew part of the others falls.
"""

from __future__ import annotations

from statistics import median

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain, input_wait_ns
from llmprof.units import format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="input-imbalance",
    category="data",
    title="All ranks get their input alike",
    failed_title="One rank's input makes the others wait",
    fixes=("balance-batches",),
    thresholds=(thresholds.RANK_DIFFERENCE, thresholds.IMBALANCE_EXPLAINS),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the waits for input of all ranks against each other."""
    if len(facts.ranks) < 2:
        return RULE.not_applicable("One rank was recorded.")
    known = {number: one for number, one in facts.ranks.items() if one.partition is not None}
    if len(known) < 2 or facts.critical.partition is None:
        return RULE.no_data("Fewer than two ranks were traced, so their waits cannot be compared.")
    if all(one.loader is None and input_wait_ns(one) <= 0 for one in known.values()):
        return RULE.not_applicable("No data loader was seen.")
    critical = facts.critical
    others = [one for number, one in known.items() if number != critical.rank]
    mine, typical = input_wait_ns(critical), median(input_wait_ns(one) for one in others)
    excess = max(0.0, mine - typical)
    waited = median(_peers_ns(one) for one in others)
    share = excess / facts.step.mean_ns
    figures = [
        evidence.share("input of the critical rank above the others'", facts, excess, thresholds.RANK_DIFFERENCE),
        *(
            evidence.time("wait for input", input_wait_ns(one), source="partition", rank=number)
            for number, one in sorted(known.items())[:8]
        ),
    ]
    if share < thresholds.RANK_DIFFERENCE.value:
        return RULE.passed(f"Ranks differ by {format_percent(share)} of the step in their input.", evidence=figures)
    if excess < thresholds.IMBALANCE_EXPLAINS.value * waited:
        return RULE.passed("One rank's input is later, but explains little of the others' waiting.", evidence=figures)
    return RULE.fired(
        facts,
        f"Rank {critical.rank} waits {format_ns(excess)} per step longer for its input than the others, and they wait "
        "for it.",
        cost_ns=excess,
        confidence=confidence_of(facts, "data"),
        evidence=[*figures, evidence.time("median of the others waiting for peers", waited, source="partition")],
        recommendations=[_balance(facts, others, excess)],
        ranks=(critical.rank,),
    )


def _peers_ns(rank: RankFacts) -> float:
    partition = rank.partition
    return 0.0 if partition is None else partition.parts.get("skew", 0.0)


def _balance(facts: Facts, others: list[RankFacts], excess_ns: float) -> Recommendation:
    mine = facts.critical.loader
    loads = [one.loader.batch_ns for one in others if one.loader is not None and one.loader.batch_ns is not None]
    rank = facts.critical.rank
    heavier = mine is not None and mine.batch_ns is not None and bool(loads) and mine.batch_ns > 1.1 * median(loads)
    if heavier and mine is not None:
        why = (
            f"A batch of rank {rank} takes {format_ns(mine.batch_ns or 0.0)} to make, the others' "
            f"{format_ns(median(loads))}: its samples or its storage are heavier."
        )
        how = "shard samples by cost, not by count; give all ranks the same storage (local copy, same mount)"
    else:
        why = f"Batches take as long to make on rank {rank} as on the others, or that was not recorded: compare cores."
        how = "the same num_workers and cores (taskset, numactl, srun --cpu-bind) on every rank; the same storage"
    return recommend(
        "balance-batches",
        rule=RULE.id,
        facts=facts,
        action=f"Make the input of rank {rank} as fast as the others'",
        why=why,
        how=how,
        gain=gain(
            facts,
            expected_ns=excess_ns,
            low_ns=0.5 * excess_ns,
            high_ns=excess_ns,
            at_most_ns=excess_ns,
        ),
        watch="the data part of that rank",
    )
