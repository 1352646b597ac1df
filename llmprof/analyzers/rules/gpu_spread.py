"""Do the same kernels take longer on one GPU than on the others?

Detects:
    A rank whose kernels take five hundredths longer than those of the other ranks, for the same work.

Why it costs time:
    All ranks wait for the slowest GPU in every step.

How it is measured:
    The median length of kernels that take most time, those with the same name and the same count per step on every
    rank. Only calls that no collective ran beside: those are slower on any GPU. Only kernels whose calls are alike.

Does not apply when:
    One rank was traced, or the rank does more arithmetic than the others: its kernels do more then.

Fix:
    Look at clocks, temperature and power of this GPU first (the rule throttling); a GPU that stays slow is swapped for
    another, or given less to do.

Verify:
    Put another rank on this GPU: if the kernels stay slow, it is the GPU; if they move along, it is the work.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.communication.rank_differences import more_work
from llmprof.analyzers.facts.device.spread import GpuSpread, gpu_spread
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.device_health import on_the_cpu, who
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.units import NS_PER_MS, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="gpu-spread",
    category="compute",
    title="All GPUs take the same time for the same work",
    failed_title="One GPU is slower than the others",
    fixes=("repair-straggler",),
    thresholds=(thresholds.GPU_SPREAD,),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the rank whose kernels take longest."""
    if on_the_cpu(facts):
        return RULE.not_applicable("Training runs on the CPU.")
    if max(len(facts.ranks), facts.world_size or 1) < 2:
        return RULE.not_applicable("One rank has no other GPU to be compared with.")
    solo = {number: rank.solo for number, rank in facts.ranks.items() if rank.solo}
    if len(solo) < 2:
        return RULE.no_data("Fewer than two ranks have kernels that can be compared; trace several ranks.")
    spread = gpu_spread(solo)
    if spread is None:
        return RULE.not_applicable("The ranks have no kernels in common: they do different work.")
    figures = [
        evidence.number("time of shared kernels", value / NS_PER_MS, "ms per step", source="trace", rank=number)
        for number, value in sorted(spread.ns_by_rank.items(), key=lambda item: -item[1])[:8]
    ]
    rank = facts.ranks[spread.slowest]
    more = more_work(rank, (one for number, one in facts.ranks.items() if number != rank.rank))
    if more is not None and more >= thresholds.GPU_SPREAD.value:
        return RULE.not_applicable(
            f"Rank {rank.rank} does {format_percent(more)} more arithmetic per step than the others: there kernels of "
            "one name do other work."
        )
    if spread.share < thresholds.GPU_SPREAD.value:
        text = f"Over {spread.kernels} kernels the slowest GPU takes {format_percent(spread.share)} longer."
        return RULE.passed(text, evidence=figures)
    return RULE.fired(
        facts,
        f"The same {spread.kernels} kernels take {format_ns(spread.excess_ns)} per step "
        f"({format_percent(spread.share)}) longer on {who(facts, rank)} than on the others.",
        cost_ns=spread.excess_ns,
        confidence=confidence_of(facts, "compute", strength=0.9),
        evidence=figures,
        recommendations=[_swap(facts, spread)],
        ranks=(spread.slowest,),
    )


def _swap(facts: Facts, spread: GpuSpread) -> Recommendation:
    rank = facts.ranks[spread.slowest]
    # Only the rank that the others wait for sets the pace; with lengths that depend on the data it may be the data.
    paces = spread.slowest == facts.critical.rank
    excess = spread.excess_ns if paces else 0.0
    why = "The others wait for this rank in every step; with data-dependent shapes it may be its data, not its GPU."
    if not paces:
        why = f"It is not this rank that sets the pace but rank {facts.critical.rank}, so nothing is gained yet."
    return recommend(
        "repair-straggler",
        rule=RULE.id,
        facts=facts,
        action=f"Find out why {who(facts, rank)} is slow",
        why=why,
        how="compare nvidia-smi -q -d CLOCK,TEMPERATURE,POWER of both GPUs under load; exchange the ranks of two GPUs",
        gain=gain(facts, expected_ns=excess / 2, low_ns=0.0, high_ns=excess, at_most_ns=excess),
        watch="the kernel time of this rank",
    )
