"""Can the host launch kernels fast enough?

Detects:
    The device is idle because the next kernel has not been launched yet: the host needs longer to prepare a kernel
    than the device needs to run it.

Why it costs time:
    Every kernel of eager PyTorch costs several microseconds of Python, dispatch and driver. With small tensors the
    kernels are shorter than that, the launch queue runs empty, and the step takes as long as the host needs.

How it is measured:
    Idle time of the device before the launch of its next kernel, without the time in which the host waited for a batch,
    for a synchronisation or for the allocator. A profiler slows the host, so the figure is corrected to the unprofiled
    step where that was measured. Single waits of a millisecond and more are pauses of the host, not launch overhead;
    they are named but not counted. Nor are the gaps between kernels that were launched in time.

Does not apply when:
    Training runs on the CPU.

Fix:
    Replay the step as CUDA graphs: `torch.compile(model, mode="reduce-overhead")`, or `torch.cuda.graph` by hand.
    `torch.compile(model)` alone fuses operators into fewer kernels. A larger batch makes the kernels longer. A loader
    that pins gives the memory of its batches back with Python's lock: fewer bytes, shorter pauses.

Verify:
    Record again: kernels per step stay, launches per step fall, and the host part of the step with them.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Evidence, Recommendation
from llmprof.analyzers.facts.host.compiled_launches import launches_left
from llmprof.analyzers.facts.loading.given_back import locked_ns
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.compact_batches import SHARES, compact_batches, wide_share
from llmprof.analyzers.rules.fixes import FIXES, recommend
from llmprof.analyzers.rules.gains import data_late_weight, gain, part_ns
from llmprof.analyzers.rules.host_waits import HostWaits, host_waits, reduced_by_hand, unprofiled_ns
from llmprof.analyzers.rules.optimizer_time import optimizer_host_time
from llmprof.analyzers.rules.waiting_calls import taken_out
from llmprof.units import format_count, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="launch-bound",
    category="host",
    title="Kernel launches keep up",
    failed_title="The device waits for the host to launch kernels",
    fixes=("cuda-graphs", "torch-compile", "compact-batches"),
    thresholds=(
        thresholds.LAUNCH_SHARE,
        thresholds.PAUSE,
        thresholds.GRAPHS_LOW,
        thresholds.GRAPHS_EXPECTED,
        thresholds.GRAPHS_DISTRIBUTED,
        thresholds.COMPILE_EXPECTED,
        thresholds.GRAPH_SYNCS,
        thresholds.PYTHON_COST,
        thresholds.LARGE_COPY,
    ),
)

_BY_HAND = (
    "Collectives stay outside of these graphs; to capture them too, by hand, PyTorch asks for NCCL 2.9.6 or later, "
    "DDP's asynchronous error handling off, DDP built on a side stream, and 11 eager steps first."
)
"""What a whole backward pass with collectives needs in a graph (PyTorch documentation, notes on CUDA semantics)."""

_BREAKING = ("remove-sync", "log-less-often")
"""What takes out waits inside the model. A batch is copied to the device before it, whether that waits or not."""


def evaluate(facts: Facts) -> Judgement:
    """Judge the launch-starved idle time of the critical rank."""
    partition = facts.critical.partition
    if partition is None:
        return RULE.no_data("No step of this recording could be taken apart, so idle time and its causes are unknown.")
    if partition.cpu_only:
        return RULE.not_applicable("Training runs on the CPU: there is no device to launch kernels on.")
    waits = host_waits(facts)
    cost = waits.overhead_ns + waits.reduction_ns
    share = cost / facts.step.mean_ns
    figures = _figures(facts, waits, cost)
    pauses = _pauses(facts, waits)
    if share < thresholds.LAUNCH_SHARE.value:
        return RULE.passed(f"Waiting for launches takes {format_percent(share)} of the step.{pauses}", evidence=figures)
    return RULE.fired(
        facts,
        f"The device waits {format_ns(cost)} per step ({format_percent(share)}) for launches{_kernels(facts)}.{pauses}",
        cost_ns=cost,
        confidence=confidence_of(facts, "host"),
        evidence=figures,
        recommendations=_fixes(facts, waits),
    )


def _kernels(facts: Facts) -> str:
    kernels = facts.critical.kernels
    if kernels is None or kernels.mean_ns is None:
        return ""
    return f": {format_count(kernels.count_per_step)} kernels of {format_ns(kernels.mean_ns)} on average"


def _pauses(facts: Facts, waits: HostWaits) -> str:
    """A sentence about long pauses, which launching does not explain."""
    if waits.pause_ns < thresholds.LAUNCH_SHARE.value * facts.step.mean_ns:
        return ""
    return (
        f" Another {format_ns(waits.pause_ns)} are pauses of the host of a millisecond and more, "
        "which launching does not explain."
    )


def _figures(facts: Facts, waits: HostWaits, cost_ns: float) -> list[Evidence]:
    critical = facts.critical
    window = evidence.longest(critical, "launch")
    result = [
        evidence.share("device idle before a late launch", facts, cost_ns, thresholds.LAUNCH_SHARE),
        evidence.time("device idle before a late launch", cost_ns, source="partition", rank=critical.rank),
        evidence.time("in longer pauses", waits.pause_ns, source="trace", rank=critical.rank, window=window),
    ]
    if critical.kernels is not None:
        kernels = critical.kernels
        result.append(evidence.number("kernels", kernels.count_per_step, "per step", source="trace"))
        result.append(evidence.number("kernels under 10 µs", kernels.short_share, "of all kernels", source="trace"))
    if critical.host is not None:
        result.append(evidence.number("launches", critical.host.launches, "per step", source="trace"))
        result.append(evidence.number("CUDA graph launches", critical.host.graph_launches, "per step", source="trace"))
    return result


def _fixes(facts: Facts, waits: HostWaits) -> list[Recommendation]:
    host = facts.critical.host
    if host is not None and host.graph_launches and host.graph_launches >= 1:
        return []  # what is launched beside the graphs is not named by this rule
    compiled = bool(facts.critical.environment.compiled)
    # A compiled model launches neither the optimizer's kernels nor collectives that are called by hand. Gaps between
    # launched kernels shrink with it, but are no reason to compile.
    reach = max(0.0, waits.overhead_ns + waits.gap_ns - _optimizer_ns(facts))
    result = [_graphs(facts, reach, compiled)]
    if not compiled:
        result.append(_compile(facts, reach))
    return [*result, *_compact(facts, waits)]


def _compact(facts: Facts, waits: HostWaits) -> list[Recommendation]:
    """Where the host pauses, and the thread that pins has much memory to give back, which stops all other Python."""
    copies, locked = facts.critical.copies, locked_ns(facts.critical)
    wide = wide_share(copies.pinned_to_device, copies.pinned_float_bytes) if copies is not None else 0.0
    seen = min(locked, waits.pause_ns)
    if not wide or seen < thresholds.LAUNCH_SHARE.value * facts.step.mean_ns:
        return []
    # What is seen are the pauses; a host that has lost its lead by one launches late after it as well.
    most = min(locked, waits.pause_ns + waits.overhead_ns)
    weight, late = data_late_weight(facts)
    low, middle, high = (wide * gone for gone in SHARES)
    why = f"The thread that pins holds Python's lock for about {format_ns(locked)} per step while it gives memory back."
    saved = gain(
        facts,
        expected_ns=weight * middle * seen,
        low_ns=weight * low * seen,
        high_ns=high * locked,
        at_most_ns=most,
    )
    return [compact_batches(facts, RULE.id, f"{why} {late}".rstrip(), saved)]


def _optimizer_ns(facts: Facts) -> float:
    """Launch time of a for-loop optimizer."""
    kernels, spent = facts.critical.kernels, optimizer_host_time(facts)
    if kernels is None or spent is None or kernels.optimizer_kind != "for-loop":
        return 0.0
    return spent.middle_ns


def _graphs(facts: Facts, reach_ns: float, compiled: bool) -> Recommendation:
    breaking = {fix: lost.count for fix in _BREAKING if (lost := taken_out(facts, fix)) is not None}
    breaking = {fix: count for fix, count in breaking.items() if count > thresholds.GRAPH_SYNCS.value}
    weight, late = data_late_weight(facts)
    expected = thresholds.GRAPHS_DISTRIBUTED if _broken(facts) else thresholds.GRAPHS_EXPECTED
    why = "A graph replays all its kernels with one launch, so the host no longer has to keep up with each."
    moved = bool(breaking) and _reads_into_python(facts)
    if breaking:
        why += f" {format_count(sum(breaking.values()))} host syncs per step break the graph; take them out first"
        why += ", with the Python that needs what they bring." if moved else "."
    top = reach_ns + part_ns(facts, "sync")
    return recommend(
        "cuda-graphs",
        rule=RULE.id,
        facts=facts,
        action="Replay the model as CUDA graphs",
        why=f"{why} {late}".rstrip(),
        how=f'{"torch.compile(model)" if compiled else "model"} -> torch.compile(model, mode="reduce-overhead")',
        gain=gain(
            facts,
            expected_ns=weight * expected.value * reach_ns,
            low_ns=weight * expected.value / thresholds.GRAPHS_EXPECTED.value * thresholds.GRAPHS_LOW.value * reach_ns,
            high_ns=top,
            at_most_ns=top,
        ),
        watch="the host part",
        requires=(*(("hoist-python",) if moved else ()), *breaking),
        risk=f"{FIXES['cuda-graphs'].risk} {_BY_HAND}" if _several(facts) else None,
    )


def _reads_into_python(facts: Facts) -> bool:
    """Whether Python works on what the host has waited for: such a wait cannot go without that work."""
    causes = facts.critical.causes
    work = causes.work if causes is not None else None
    needed = 0.0 if work is None else unprofiled_ns(facts, work.reading_ns)
    return needed >= thresholds.PYTHON_COST.value * facts.step.mean_ns


def _several(facts: Facts) -> bool:
    return (facts.world_size or facts.critical.environment.world_size or 1) > 1


def _broken(facts: Facts) -> bool:
    """Whether collectives stand inside the model; gradients reduced by hand, after the backward pass, do not."""
    return _several(facts) and not reduced_by_hand(facts)


def _compile(facts: Facts, reach_ns: float) -> Recommendation:
    weight, late = data_late_weight(facts)
    why = "Compilation fuses chains of small operators: fewer kernels to launch, and less Python between them."
    left = launches_left(facts.critical.kernels, cast=bool(facts.critical.environment.precision.autocast))
    low, expected, high = (
        (thresholds.COMPILE_LOW.value, thresholds.COMPILE_EXPECTED.value, thresholds.COMPILE_HIGH.value)
        if left is None
        else tuple(1.0 - one for one in left)
    )
    if _broken(facts):
        low = expected = 0.0
        why += " With several ranks the model is compiled in pieces, whose calls from Python cost what that saves."
    return recommend(
        "torch-compile",
        rule=RULE.id,
        facts=facts,
        action="Compile the model",
        why=f"{why} {late}".rstrip(),
        how="model -> torch.compile(model)",
        gain=gain(
            facts,
            expected_ns=weight * expected * reach_ns,
            low_ns=weight * low * reach_ns,
            high_ns=high * reach_ns,
            at_most_ns=reach_ns,
        ),
        watch="the host part",
    )
