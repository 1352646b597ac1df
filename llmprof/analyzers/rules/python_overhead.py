"""Does the device wait for Python rather than for launches?

Detects:
    A step whose device waits for the host while the host runs neither operators nor runtime calls: Python code, or
    a library that is not PyTorch, between the operators. Or while it works on tensors of the CPU: metrics over what
    was copied there, masks, counts.

Why it costs time:
    Python runs one statement at a time on one core. Loops over layers, parameters or samples, hooks, string work
    and logging delay the next launch, and with an empty queue the device waits for it.

How it is measured:
    Idle time before a late launch in which the launching thread was inside no operator and no runtime call, without
    the way from a fetched batch to the first kernel and without pauses of the garbage collector; corrected to the
    unprofiled step. Operators that compute and call nothing for a millisecond and more have their tensors on the CPU,
    and count with the Python between them; backward pass and optimizer do not. Where the device was seen to run dry,
    what the unprofiled steps took longer than the traced ones between forward, backward and optimizer counts as well.
    Stretches of a millisecond and more are single pieces of work that can be moved, and so are those of a tenth of it
    directly behind a wait for the device, where what was read is worked on; the rest is spread out.

Does not apply when:
    Launching itself takes most of the waiting: the rule launch-bound speaks of that.

Fix:
    Move work that does not belong to every step out of the loop, or into another thread or process. Compute metrics on
    the device, and copy the result. What is spread out goes with `torch.compile`.

Verify:
    Record again (`llmprof trigger --stacks RUN` names the lines): the host part of the step falls.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.host.host_work import HostWork
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import data_late_weight, gain
from llmprof.analyzers.rules.host_waits import later_ns, unprofiled_ns
from llmprof.units import format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="python-overhead",
    category="host",
    title="Python keeps up",
    failed_title="The device waits for Python code",
    fixes=("hoist-python",),
    thresholds=(thresholds.PYTHON_COST, thresholds.PYTHON_MAJORITY),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the silent time of the critical rank's host."""
    critical = facts.critical
    work = critical.causes.work if critical.causes is not None else None
    if work is None or critical.partition is None:
        return RULE.no_data("The recording holds no operators of traced steps; record a burst with CPU activities.")
    long, short = _python(facts, work)
    cost = long + short
    share = cost / facts.step.mean_ns
    on_cpu = unprofiled_ns(facts, work.computing_ns)
    figures = [
        evidence.share("waiting for Python", facts, cost, thresholds.PYTHON_COST, source="trace"),
        evidence.time("in long stretches", long, source="trace", rank=critical.rank, window=work.longest),
        evidence.time("from one operator to the next", short, source="trace", rank=critical.rank),
    ]
    if on_cpu:
        figures.append(evidence.time("work on tensors of the CPU", on_cpu, source="trace", rank=critical.rank))
    if share < thresholds.PYTHON_COST.value:
        return RULE.passed(f"Waiting for Python takes {format_percent(share)} of the step.", evidence=figures)
    all_of_it = unprofiled_ns(facts, work.waiting_ns) + later_ns(facts)
    # Work on tensors of the CPU is a piece of its own, however long launching takes.
    minor = cost < thresholds.PYTHON_MAJORITY.value * all_of_it
    if minor and on_cpu < thresholds.PYTHON_COST.value * facts.step.mean_ns:
        return RULE.passed(
            f"Waiting for Python takes {format_percent(share)} of the step, launching takes more.",
            evidence=figures,
        )
    said = (
        f"The device waits {format_ns(on_cpu)} per step while the host works on tensors of the CPU."
        if on_cpu >= 0.5 * cost
        else f"The device waits {format_ns(cost)} per step while the host runs Python outside of all operators, "
        f"{format_ns(long)} of it in long stretches."
    )
    return RULE.fired(
        facts,
        said,
        cost_ns=cost,
        confidence=confidence_of(facts, "host", "sync") if on_cpu else confidence_of(facts, "host"),
        evidence=figures,
        recommendations=[_hoist(facts, work, long, cost)],
    )


def _python(facts: Facts, work: HostWork) -> tuple[float, float]:
    """Long and short stretches in the step that is explained, without garbage collection in the traced steps."""
    causes, partition = facts.critical.causes, facts.critical.partition
    pauses = causes.collections if causes is not None else None
    known = 0.0 if pauses is None else pauses.mean_ns if pauses.traced_ns is None else pauses.traced_ns
    if partition is not None and partition.cpu_only:
        known = 0.0  # a class of its own there
    own = max(0.0, work.long_ns - known)
    # What the host takes longer in the other steps, outside of the model's phases, is the same work.
    later = later_ns(facts) if own > 0 else 0.0
    return unprofiled_ns(facts, own) + later, unprofiled_ns(facts, work.short_ns)


def _hoist(facts: Facts, work: HostWork, long_ns: float, cost_ns: float) -> Recommendation:
    weight, late = data_late_weight(facts)
    expected = max(long_ns, 0.5 * cost_ns)
    partition = facts.critical.partition
    # What the other steps took longer than the traced ones is host time as well, and may be more of the same code.
    most = cost_ns + (0.0 if partition is None else partition.detail.get("untraced", 0.0))
    on_cpu = work.computing_ns >= 0.5 * work.long_ns > 0
    how = "do it every k steps, before the loop, or in another process; `llmprof trigger --stacks RUN` names lines"
    return recommend(
        "hoist-python",
        rule=RULE.id,
        facts=facts,
        action=f"Move {'work on tensors of the CPU' if on_cpu else 'Python work'} out of the training step",
        why=f"The next kernel is launched as soon as the operators before it are. {late}".rstrip(),
        how=f"do it on the device, and copy the result; or {how}" if on_cpu else how,
        gain=gain(facts, expected_ns=weight * expected, low_ns=0.5 * weight * long_ns, high_ns=most, at_most_ns=most),
        watch="the host part",
    )
