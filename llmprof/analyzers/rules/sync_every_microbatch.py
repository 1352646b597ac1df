"""Are gradients reduced for every micro-batch?

Detects:
    Gradient accumulation in which every backward pass reduces the gradients, although only their sum is used.

Why it costs time:
    The reduction moves the same number of bytes for one micro-batch as for all of them together, and
    DistributedDataParallel copies every gradient into its bucket and back for each.

How it is measured:
    Elements that the backward passes reduce per step over those of the gradients, and batches per step as the loop
    fetched them. Of k reductions k - 1 go; the last one stays as it is.

Does not apply when:
    The run has one rank, its steps hold no collectives, or a step has one micro-batch.

Fix:
    `no_sync()` around all but the last micro-batch; with `fully_shard`, `set_requires_gradient_sync(False)`.

Verify:
    Record again: the bytes that are reduced per step fall to those of the gradients.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import (
    communication_gain,
    exposed_of,
    exposed_share,
    parallelism,
    question,
    reductions_of_backward,
    times_reduced,
)
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import part_ns
from llmprof.units import format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="sync-every-microbatch",
    category="communication",
    title="Gradients are reduced once per step",
    failed_title="Gradients are reduced for every micro-batch",
    fixes=("no-sync",),
    thresholds=(thresholds.COMMUNICATION_COST, thresholds.REDUCED_OFTEN),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge how often the gradients of the critical rank are reduced."""
    collectives = question(RULE, facts)
    if isinstance(collectives, Judgement):
        return collectives
    batches = collectives.microbatches
    if batches is None:
        return RULE.no_data("It is not known how many micro-batches a step has; record the run with `llmprof run`.")
    if batches < thresholds.REDUCED_OFTEN.value:
        return RULE.not_applicable("A step has one micro-batch.")
    groups, times = reductions_of_backward(facts), times_reduced(facts)
    if times is None:
        return RULE.no_data("The size of the gradients or of the messages is not known; record with `llmprof run`.")
    if times < thresholds.REDUCED_OFTEN.value:
        return RULE.passed(f"{batches:.0f} micro-batches per step, and gradients are reduced {times:.1f} times.")
    exposed = exposed_of(facts, groups) if collectives.groups else part_ns(facts, "communication")
    saved = exposed * (1 - 1 / times)
    figures = [
        evidence.number("micro-batches", batches, "per step", source="run"),
        evidence.number("gradients reduced", times, "times per step", source="trace"),
        exposed_share(facts, saved),
    ]
    if saved < thresholds.COMMUNICATION_COST.value * facts.step.mean_ns:
        return RULE.passed(
            f"Gradients are reduced {times:.0f} times per step, and computation hides it.", evidence=figures
        )
    gain, late = communication_gain(facts, expected_ns=saved, low_ns=thresholds.REPLAY_LOW.value * saved, high_ns=saved)
    sharded = bool(parallelism(facts).fsdp)
    version = facts.critical.environment.fsdp.version if facts.critical.environment.fsdp else None
    how = (
        "model.set_requires_gradient_sync(micro == last)"
        if sharded and version != 1
        else "with model.no_sync(): around forward and backward of all but the last micro-batch"
    )
    return RULE.fired(
        facts,
        f"Gradients are reduced {times:.0f} times per step, once for each of {batches:.0f} micro-batches; "
        f"{format_ns(saved)} of it are exposed and not needed.",
        cost_ns=saved,
        confidence=confidence_of(facts, "communication"),
        evidence=figures,
        recommendations=[
            recommend(
                "no-sync",
                rule=RULE.id,
                facts=facts,
                action="Reduce gradients only in the last micro-batch of a step",
                why=f"Only the sum over the micro-batches is used. {late}".rstrip(),
                how=how,
                gain=gain,
                watch="the communication part",
                risk="Gradients stay whole on every rank between micro-batches." if sharded else "None known.",
            )
        ],
    )
