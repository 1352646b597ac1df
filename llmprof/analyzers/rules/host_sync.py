"""Does the host wait for the device and then launch late?

Detects:
    Values read from the device (`.item()`, `float(tensor)`, `if tensor:`), results whose size the host has to learn
    (`nonzero`, boolean indexing, `masked_select`, `unique`), and synchronisations that the script asks for
    (`torch.cuda.synchronize()`), after which the device is idle.

Why it costs time:
    While it waits the host launches nothing. When it goes on the device has run out of work, and every kernel is
    waited for until the host is ahead again. The wait itself costs nothing: the device works meanwhile.

How it is measured:
    Not the length of the wait counts but the bubble after it: idle time of the device up to the next wait, at most
    as long as the host was blocked, corrected to the unprofiled step. In a step that is launch-bound the device has
    nothing to do when the wait begins, so the host is blocked for microseconds only and a step without these waits
    is as long: taking an `.item()` out of every layer of a launch-bound model on an H200 changed nothing (37.9 to
    39.5 ms).

Does not apply when:
    Training runs on the CPU, or the host never waits.

Fix:
    Keep values on the device (`torch.where` instead of `if` and of boolean indexing, sums on the device), read them
    every k-th step, or copy them with `non_blocking=True` and read them a step later. In a launch-bound step it pays
    only together with CUDA graphs, which such a wait would break.

Verify:
    Record again: syncs per step fall, and the sync and host parts of the step with them.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import no_gain
from llmprof.analyzers.rules.host_waits import Loss
from llmprof.analyzers.rules.waiting_calls import MISSING, figures, late_anyway, taken_out, wait_gain
from llmprof.units import format_count, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="host-sync",
    category="host",
    title="The host does not wait for the device",
    failed_title="The host waits for the device, and launches late afterwards",
    fixes=("remove-sync",),
    thresholds=(thresholds.SYNC_COST, thresholds.SYNC_LOW, thresholds.GRAPH_SYNCS, thresholds.LAUNCH_SHARE),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge reads and explicit synchronisations of the critical rank."""
    partition = facts.critical.partition
    if partition is not None and partition.cpu_only:
        return RULE.not_applicable("Training runs on the CPU: there is no device to wait for.")
    lost = taken_out(facts, "remove-sync")
    if lost is None or partition is None:
        return RULE.no_data(MISSING)
    if not lost.calls:
        return RULE.not_applicable("The host reads nothing from the device and asks for no synchronisation.")
    shown = figures(facts, lost, thresholds.SYNC_COST)
    share = lost.cost_ns / facts.step.mean_ns
    count = format_count(lost.count)
    if share >= thresholds.SYNC_COST.value:
        return RULE.fired(
            facts,
            f"The host waits for the device {count} times per step ({lost.operators}); the device is idle for "
            f"{format_ns(lost.cost_ns)} afterwards.",
            cost_ns=lost.cost_ns,
            confidence=confidence_of(facts, "sync", "host"),
            evidence=shown,
            recommendations=[_remove(facts, lost, late=False)],
        )
    summary = f"{count} waits per step ({lost.operators}) cost {format_percent(share)} of the step."
    if not late_anyway(facts, lost):
        return RULE.passed(summary, evidence=shown)
    return RULE.fired(
        facts,
        f"{summary} The host is late anyway, so they hold nothing up; but no CUDA graph can be made around them.",
        cost_ns=lost.cost_ns,
        confidence=confidence_of(facts, "sync", "host"),
        evidence=shown,
        recommendations=[_remove(facts, lost, late=True)],
        severity="info",
    )


def _remove(facts: Facts, lost: Loss, *, late: bool) -> Recommendation:
    if late:
        estimate, reason = no_gain(facts), "No gain is expected by itself: the host is late anyway."
    else:
        estimate, reason = wait_gain(facts, lost)
    why = "Without the wait the host stays ahead, and the device always has work."
    return recommend(
        "remove-sync",
        rule=RULE.id,
        facts=facts,
        action=f"Take the waits for the device out of the step: {lost.operators}",
        why=f"{why} {reason}".rstrip(),
        how=_how(facts, lost),
        gain=estimate,
        watch="the sync part",
    )


def _how(facts: Facts, lost: Loss) -> str:
    first = lost.calls[0]
    if facts.critical.environment.precision.detect_anomaly:
        return "torch.autograd.set_detect_anomaly(False): while it is on every gradient is read on the host"
    if first.group == "shapes":
        return "x[mask].sum() -> (x * mask).sum(); torch.where(mask, a, b); repeat_interleave(..., output_size=n)"
    if first.group == "explicit":
        if first.operator.startswith("aten::"):
            return f"{first.operator} waits for the device; run it every k steps, or replace it"
        return "remove torch.cuda.synchronize() from the loop; time with CUDA events and read them later"
    if facts.critical.environment.precision.grad_scaler and first.count <= 1:
        return "bf16 instead of fp16 needs no GradScaler, which reads on the host whether gradients overflowed"
    return "loss_sum += loss.detach(); every k steps: print(loss_sum.item()) - and torch.where(mask, a, b) for `if`"
