"""Are results copied to the host in every step?

Detects:
    Tensors that are copied to the host in every step (`.cpu()`, `.numpy()`, `.tolist()`) while the host waits for them.

Why it costs time:
    The host waits until all work before the copy is done and the copy is made. Afterwards the device has no work until
    the next kernels are launched.

How it is measured:
    Idle time of the device after such copies, at most as long as the host was blocked in them, corrected to the
    unprofiled step.

Does not apply when:
    Training runs on the CPU, or nothing is copied to the host by a call that waits.

Fix:
    Log every k-th step: what is computed only for the log, on the device or on the host, goes with the wait. Or copy
    with `non_blocking=True` into pinned memory and read it a step later.

Verify:
    Record again: copies to the host per step fall, and the sync part of the step with them.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import no_gain
from llmprof.analyzers.rules.waiting_calls import MISSING, figures, late_anyway, taken_out, wait_gain
from llmprof.units import format_bytes, format_count, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="per-step-logging",
    category="host",
    title="Few results are copied to the host",
    failed_title="Results are copied to the host in every step",
    fixes=("log-less-often",),
    thresholds=(
        thresholds.SYNC_COST,
        thresholds.LOG_EVERY,
        thresholds.SYNC_LOW,
        thresholds.GRAPH_SYNCS,
        thresholds.LAUNCH_SHARE,
    ),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the waiting copies to the host of the critical rank."""
    critical = facts.critical
    if critical.partition is not None and critical.partition.cpu_only:
        return RULE.not_applicable("Training runs on the CPU: nothing is copied to the host.")
    lost = taken_out(facts, "log-less-often")
    if lost is None or critical.partition is None:
        return RULE.no_data(MISSING)
    if not lost.calls:
        return RULE.not_applicable("No copy to the host makes it wait.")
    shown = figures(facts, lost, thresholds.SYNC_COST)
    size = critical.copies.to_host.bytes if critical.copies is not None else None
    shown.append(evidence.number("copied to the host", size, "bytes per step", source="copies", rank=critical.rank))
    share = lost.cost_ns / facts.step.mean_ns
    count = format_count(lost.count)
    cheap = share < thresholds.SYNC_COST.value
    if cheap and not late_anyway(facts, lost):
        return RULE.passed(
            f"{count} waiting copies to the host per step cost {format_percent(share)} of the step.", evidence=shown
        )
    every = int(thresholds.LOG_EVERY.value)
    estimate, reason = wait_gain(facts, lost, share=1 - 1 / every)
    if cheap:
        estimate = no_gain(facts)
        reason = "Waiting alone costs little; making these copies takes time of a host that is late."
    amount = "" if size is None else f" ({format_bytes(size)})"
    return RULE.fired(
        facts,
        f"The host waits for {count} copies{amount} from the device in every step; "
        + (
            "it is late with its launches, and makes these besides."
            if cheap
            else f"the device is idle for {format_ns(lost.cost_ns)} afterwards."
        ),
        cost_ns=lost.cost_ns,
        confidence=confidence_of(facts, "sync", "host"),
        evidence=shown,
        recommendations=[
            recommend(
                "log-less-often",
                rule=RULE.id,
                facts=facts,
                action=f"Copy results to the host every {every} steps instead of in every step",
                why=f"Keep sums on the device in between; then the host stays ahead. {reason}".rstrip(),
                how=f"if step % {every} == 0: log(metrics.cpu())  # or to('cpu', non_blocking=True), read later",
                gain=estimate,
                watch="the sync part",
            )
        ],
        severity="info" if cheap else None,
    )
