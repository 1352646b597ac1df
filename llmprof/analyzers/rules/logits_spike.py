"""Do the logits take a large part of a full device?

Detects:
    A loss whose logits, with the tensors of the same size that its backward pass holds, are a tenth of the memory in
    use on a device that is nearly full.

Why it costs time:
    The peak of the step is there, in one operator, and decides how large the batch may be.

How it is measured:
    The shape and format of the log-softmax in the recorded shapes: its backward pass holds three tensors of that size
    at once (gradient in, output, gradient out), whatever else of the logits is alive.

Does not apply when:
    Training runs on the CPU. A compiled or fused loss has no such operator, and shows nothing.

Fix:
    A loss that never holds all logits: fused with the output layer (Liger, cut cross-entropy), or computed in chunks of
    the tokens.

Verify:
    Record again: the peak falls by about what the fix says.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.memory.logits import LogitsFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import no_gain
from llmprof.analyzers.rules.memory_use import fullest, pressed
from llmprof.units import format_bytes, format_count, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="logits-spike",
    category="memory",
    title="The logits leave room",
    failed_title="The logits take a large part of a full device",
    fixes=("fused-cross-entropy",),
    thresholds=(thresholds.LOGITS_SHARE, thresholds.FIT_SHARE),
)
CHUNKS = 8
"""What is left is one chunk of so many."""


def evaluate(facts: Facts) -> Judgement:
    """Judge the fullest rank."""
    partition = facts.critical.partition
    if partition is not None and partition.cpu_only:
        return RULE.not_applicable("Training runs on the CPU: there is no device memory.")
    rank = fullest(facts)
    logits, memory = rank.logits or facts.critical.logits, rank.memory
    if logits is None:
        return RULE.no_data("No loss with recorded shapes was seen: none was recorded, or the loss is compiled.")
    if memory is None or not memory.peak_allocated_bytes:
        return RULE.no_data("The allocator was not recorded; a trace alone does not show it, `llmprof run` does.")
    share = logits.bytes / memory.peak_allocated_bytes
    figures = [
        evidence.number("logits in the loss", logits.bytes, "bytes", source="recorded shapes", rank=rank.rank),
        evidence.number("peak in use", memory.peak_allocated_bytes, "bytes", source="allocator", rank=rank.rank),
    ]
    text = (
        f"Logits of {format_count(logits.rows)} x {format_count(logits.vocabulary)} and their gradients hold "
        f"{format_bytes(logits.bytes)} at once, {format_percent(share)} of the peak"
    )
    if share < thresholds.LOGITS_SHARE.value or not pressed(memory):
        return RULE.passed(f"{text}.", evidence=figures)
    return RULE.fired(
        facts,
        f"{text}, and the device is nearly full.",
        cost_ns=None,
        confidence=0.8,
        evidence=figures,
        recommendations=[_fused(facts, logits)],
        ranks=(rank.rank,),
        severity="warning",
    )


def _fused(facts: Facts, logits: LogitsFacts) -> Recommendation:
    return recommend(
        "fused-cross-entropy",
        rule=RULE.id,
        facts=facts,
        action="Fuse the output layer with the loss, or compute the loss in chunks",
        why="Then logits of a part of the tokens exist at a time. If the peak is elsewhere, less is won.",
        how="liger_kernel.transformers.LigerFusedLinearCrossEntropyLoss()(lm_head.weight, hidden, labels), or "
        "cross_entropy over hidden.chunk(8) under torch.utils.checkpoint",
        gain=no_gain(facts, memory_bytes=int(logits.bytes * (1 - 1 / CHUNKS))),
        watch="the peak of allocated memory",
    )
