"""Is the device idle while its batch is copied?

Detects:
    Copies of the batch from pinned memory that nothing runs beside, and blocking copies after which the host
    launches late. Copies from pageable memory are the matter of another rule.

Why it costs time:
    Copies and kernels run at the same time only on different streams. On the stream of the step the first kernel
    waits for its batch; a copy without `non_blocking=True` also makes the host wait, which launches nothing
    meanwhile.

How it is measured:
    Device time in which only a copy from pinned memory ran before the first kernel of its step, plus idle time of
    the device after copies that made the host wait, at most as long as they did; corrected to the unprofiled step.

Does not apply when:
    Training runs on the CPU, or nothing is copied from pinned memory.

Fix:
    Copy the next batch on a stream of its own while the device computes; `non_blocking=True` takes away the host's
    wait. Large batches in fp32 take half of the time in bf16, and a quarter as the bytes that images are stored in.

Verify:
    Record again: the copies run beside kernels, and the data part of the step falls.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.loading.copies import CopyFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.compact_batches import SHARES, compact_batches, wide_share
from llmprof.analyzers.rules.copies import copies_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.analyzers.rules.host_waits import Loss, loss
from llmprof.analyzers.rules.waiting_calls import wait_gain
from llmprof.units import format_bytes, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="exposed-input-copy",
    category="data",
    title="Batches are copied while the device computes",
    failed_title="The device is idle while its batch is copied",
    fixes=("prefetch-to-device", "pin-memory", "compact-batches"),
    thresholds=(thresholds.EXPOSED_COPY,),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the copies from pinned memory of the critical rank."""
    critical = facts.critical
    copies = copies_of(RULE, facts)
    if isinstance(copies, Judgement):
        return copies
    pinned = copies.pinned_to_device
    if pinned.count <= 0:
        return RULE.not_applicable("Nothing is copied to the device from pinned memory.")
    charged = critical.partition.detail.get("input_copy", 0.0) if critical.partition is not None else 0.0
    exposed = min(pinned.exposed_ns, charged)
    lost = loss(facts, "to-device") if copies.pageable_to_device.count <= 0 else None
    waiting = lost.cost_ns if lost is not None else 0.0
    cost = exposed + waiting
    window = evidence.longest(critical, "input_copy")
    figures = [
        evidence.share("step time lost to input copies", facts, cost, thresholds.EXPOSED_COPY, source="copies"),
        evidence.time("only an input copy ran", exposed, source="copies", rank=critical.rank, window=window),
        evidence.time("late launches after blocking copies", waiting, source="trace", rank=critical.rank),
        evidence.number("copied from pinned memory", pinned.bytes, "bytes per step", source="copies"),
    ]
    share = cost / facts.step.mean_ns
    if share < thresholds.EXPOSED_COPY.value:
        return RULE.passed(f"Input copies cost {format_percent(share)} of the step.", evidence=figures)
    fixes = [_prefetch(facts, exposed)] if exposed > 0 else []
    if lost is not None and lost.cost_ns > thresholds.NOISE_SHARE.value * facts.step.mean_ns:
        fixes.append(_unblock(facts, lost))
    fixes += _compact(facts, copies, cost)
    return RULE.fired(
        facts,
        f"{format_bytes(pinned.bytes)} per step are copied to the device while it has nothing else to do; the step "
        f"loses {format_ns(cost)} to it.",
        cost_ns=cost,
        confidence=confidence_of(facts, "data"),
        evidence=figures,
        recommendations=fixes,
    )


def _prefetch(facts: Facts, exposed_ns: float) -> Recommendation:
    return recommend(
        "prefetch-to-device",
        rule=RULE.id,
        facts=facts,
        action="Copy the next batch on a stream of its own while the device computes",
        why="Copies from pinned memory run beside kernels of another stream.",
        how="with torch.cuda.stream(copy_stream): following = batch.to(device, non_blocking=True) - before the step; "
        "after it: torch.cuda.current_stream().wait_stream(copy_stream)",
        # Beside kernels the copy shares the memory bandwidth; a batch is small against what a step moves.
        gain=gain(
            facts, expected_ns=0.9 * exposed_ns, low_ns=0.5 * exposed_ns, high_ns=exposed_ns, at_most_ns=exposed_ns
        ),
        watch="the data part",
    )


def _unblock(facts: Facts, lost: Loss) -> Recommendation:
    estimate, reason = wait_gain(facts, lost)
    return recommend(
        "pin-memory",
        rule=RULE.id,
        facts=facts,
        action="Copy the pinned batches without blocking",
        why=f"The host goes on launching while the batch is copied. {reason}".rstrip(),
        how="batch.to(device) -> batch.to(device, non_blocking=True)",
        gain=estimate,
        watch="the data part",
    )


def _compact(facts: Facts, copies: CopyFacts, cost_ns: float) -> list[Recommendation]:
    """What is copied and waited for goes with its bytes, where these are mostly fp32."""
    wide = wide_share(copies.pinned_to_device, copies.pinned_float_bytes)
    low, expected, high = (wide * gone * cost_ns for gone in SHARES)
    saved = gain(facts, expected_ns=expected, low_ns=low, high_ns=high, at_most_ns=cost_ns)
    why = "Copies take as long as there are bytes, and these are fp32."
    return [compact_batches(facts, RULE.id, why, saved)] if wide else []
