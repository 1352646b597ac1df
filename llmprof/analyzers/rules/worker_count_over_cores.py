"""Are there more loader workers than cores for them?

Detects:
    A DataLoader with more than twice as many workers as the rank has cores.

Why it costs time:
    Workers that share a core make no more batches, but more of them wait for their turn, each holds memory and batches
    on order, and the thread that launches kernels competes with all of them.

How it is measured:
    `num_workers` of the loader against the cores that the rank has to itself (affinity mask and quota, divided among
    the ranks of its node). Where load times were recorded the loader is replayed with as many workers as cores.

Does not apply when:
    Batches are made in the training process.

Fix:
    As many workers as there are cores left for them. When they do not keep up then, make the work per sample smaller.

Verify:
    Record again with fewer workers: the wait for batches should not rise, memory use should fall.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain, input_wait_ns
from llmprof.analyzers.rules.loader_sizing import input_need, left_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="worker-count-over-cores",
    category="data",
    title="There are cores for the loader's workers",
    failed_title="There are far more loader workers than cores",
    fixes=("dataloader-workers",),
    thresholds=(thresholds.WORKERS_PER_CORE,),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the number of workers of the critical rank."""
    critical = facts.critical
    loader = critical.loader
    if loader is None:
        return RULE.not_applicable("No data loader was seen.")
    wait = input_wait_ns(critical) if critical.partition is not None else 0.0
    found = input_need(facts, wait, loader, "")
    if found.workers == 0:
        return RULE.not_applicable("Batches are made in the training process (num_workers=0).")
    if found.workers is None or found.cores is None:
        return RULE.no_data("The number of workers or of cores is not known; `llmprof run` records both.")
    share = found.workers / found.cores
    figures = [
        evidence.number("workers", found.workers, "processes per rank", source="DataLoader settings"),
        evidence.number("cores per rank", found.cores, "cores", source="affinity and cgroup", rank=critical.rank),
    ]
    if share <= thresholds.WORKERS_PER_CORE.value:
        return RULE.passed(f"{found.workers} workers on {found.cores} cores.", evidence=figures)
    fewer = max(1, found.cores - 1)
    known = loader.times is not None and loader.times.cpu_ns is not None
    saved = max(0.0, wait - left_ns(found, fewer)) if known else 0.0
    why = f"{found.workers} workers take turns on {found.cores} cores and make no more batches than {fewer}."
    return RULE.fired(
        facts,
        f"{found.workers} loader workers share {found.cores} cores.",
        cost_ns=saved,
        confidence=0.9,
        evidence=figures,
        recommendations=[
            recommend(
                "dataloader-workers",
                rule=RULE.id,
                facts=facts,
                action=f"Lower num_workers of the DataLoader from {found.workers} to {fewer}",
                why=why,
                how=f"DataLoader(num_workers={found.workers}) -> DataLoader(num_workers={fewer})",
                gain=gain(facts, expected_ns=saved, low_ns=0.0, high_ns=saved, at_most_ns=wait),
                watch="the data part",
                risk="When fewer workers do not keep up, the work per sample has to become smaller.",
            )
        ],
        severity=None if saved > 0 else "info",
    )
