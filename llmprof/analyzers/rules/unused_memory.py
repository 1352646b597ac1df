"""Is device memory left over that would make the step do more?

Detects:
    A run that waits for its host, on a device of which less than half of the memory is ever in use.

Why it costs time:
    Launching a kernel costs the host the same for a large batch as for a small one, and so do many small collectives:
    twice the batch in little more than the same step is nearly twice the samples a second.

How it is measured:
    The allocator's peak against the capacity, on the fullest rank, and the share of the step in which the device waits
    for the host.

Does not apply when:
    Training runs on the CPU. A device that is busy gains little from a larger batch, so that is no finding.

Fix:
    A larger micro-batch, or the same batch with fewer accumulation steps; the learning rate may have to follow.

Verify:
    Record again with the larger batch and compare tokens or samples a second.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.memory.fits import batch_that_fits
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import host_late_share, no_gain, part_ns
from llmprof.analyzers.rules.memory_use import fullest
from llmprof.units import format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="unused-memory",
    category="host",
    title="A larger batch would win little, or not fit",
    failed_title="There is room for a larger batch",
    fixes=("larger-batch",),
    thresholds=(thresholds.ALLOCATED_LOW, thresholds.HOST_LATE_SHARE, thresholds.FIT_SHARE),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the memory of the fullest rank, and what the critical one waits for."""
    partition = facts.critical.partition
    if partition is not None and partition.cpu_only:
        return RULE.not_applicable("Training runs on the CPU: there is no device memory.")
    rank = fullest(facts)
    allocated = None if rank.memory is None else rank.memory.allocated_share
    if allocated is None or partition is None:
        return RULE.no_data("The allocator was not recorded; a trace alone does not show it, `llmprof run` does.")
    figures = [
        evidence.number("peak in use", allocated, "of the device", source="allocator", rank=rank.rank),
        evidence.number("waiting for the host or for data", host_late_share(facts), "of the step", source="partition"),
    ]
    text = f"At most {format_percent(allocated)} of the device memory is in use"
    late = host_late_share(facts)
    if allocated > thresholds.ALLOCATED_LOW.value or late < thresholds.HOST_LATE_SHARE.value:
        return RULE.passed(f"{text}.", evidence=figures)
    if part_ns(facts, "host") <= part_ns(facts, "data"):
        return RULE.passed(f"{text}; a larger batch would only need more data.", evidence=figures)
    return RULE.fired(
        facts,
        f"{text}, while the device waits for the host {format_percent(late)} of the step.",
        cost_ns=None,
        confidence=0.8,
        evidence=figures,
        recommendations=[_larger(facts, rank, allocated)],
        severity="info",
    )


def _larger(facts: Facts, rank: RankFacts, allocated: float) -> Recommendation:
    memory = rank.memory
    assert memory is not None
    fits = ""
    if memory.composition is not None and memory.capacity_bytes:
        factor = batch_that_fits(memory.composition, room=int(thresholds.FIT_SHARE.value * memory.capacity_bytes))
        fits = f"; about {factor:.{1 if factor < 10 else 0}f} times the batch should fit" if factor is not None else ""
    loader = rank.environment.loaders[0] if rank.environment.loaders else None
    batch = loader.batch_size if loader is not None else None
    now = "DataLoader(batch_size=2 * what it is now)" if batch is None else (
        f"DataLoader(batch_size={batch}) -> DataLoader(batch_size={2 * batch})"
    )  # fmt: skip
    return recommend(
        "larger-batch",
        rule=RULE.id,
        facts=facts,
        action="Consider a larger batch",
        why=f"Only {format_percent(allocated)} of the device memory is in use{fits}, and the host costs the same for "
        "more work per step. This makes a step do more, not the step shorter, so no gain is promised.",
        how=f"{now}, or fewer accumulation steps at the same effective batch",
        gain=no_gain(facts),
        watch="tokens per second",
    )
