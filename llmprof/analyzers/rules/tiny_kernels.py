"""Are kernels so short that the device spends its time between them?

Detects:
    Kernels of a few microseconds that are launched in time, and gaps between them that add up.

Why it costs time:
    From the end of one kernel to the start of the next the device needs about a microsecond even when both are queued,
    and a kernel that short fills the device with too little work. Thousands of them leave a tenth of the step empty.

How it is measured:
    Idle time between a kernel and the next one that was launched already, up to 10 us each; the share of kernels below
    10 us. Waiting for late launches is not counted: the rule launch-bound does that.

Does not apply when:
    Training runs on the CPU.

Fix:
    Fewer, larger kernels: `torch.compile` fuses chains of small operators, foreach and batched operators replace loops,
    a larger batch makes every kernel longer.

Verify:
    Record again: kernels per step fall, and the gaps with them.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.analyzers.rules.host_waits import host_waits
from llmprof.units import NS_PER_MS, format_count, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="tiny-kernels",
    category="host",
    title="Kernels are long enough",
    failed_title="The device spends its time between tiny kernels",
    fixes=("torch-compile",),
    thresholds=(thresholds.GAP_SHARE, thresholds.TINY_KERNEL, thresholds.COMPILE_EXPECTED, thresholds.COMPILE_LOW),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the gaps between launched kernels of the critical rank."""
    critical = facts.critical
    kernels, partition = critical.kernels, critical.partition
    if partition is not None and partition.cpu_only:
        return RULE.not_applicable("Training runs on the CPU: there are no kernels.")
    if kernels is None or partition is None or kernels.mean_ns is None:
        return RULE.no_data("The recording holds no kernels of traced steps; record a burst with device activities.")
    waits = host_waits(facts)
    gaps = waits.gap_ns
    figures = [
        evidence.share("gaps between launched kernels", facts, gaps, thresholds.GAP_SHARE),
        evidence.number("kernels", kernels.count_per_step, "per step", source="trace", rank=critical.rank),
        evidence.number("mean kernel", kernels.mean_ns / NS_PER_MS, "ms", source="trace", rank=critical.rank),
    ]
    share = gaps / facts.step.mean_ns
    tiny = kernels.mean_ns < thresholds.TINY_KERNEL.value * 1000
    if share < thresholds.GAP_SHARE.value or not tiny:
        return RULE.passed(
            f"Kernels take {format_ns(kernels.mean_ns)} on average, gaps between them {format_percent(share)} of the "
            "step.",
            evidence=figures,
        )
    launching = waits.overhead_ns >= thresholds.LAUNCH_SHARE.value * facts.step.mean_ns
    reason = " Late launches cost more (launch-bound), and the same fixes help." if launching else ""
    return RULE.fired(
        facts,
        f"{format_count(kernels.count_per_step)} kernels of {format_ns(kernels.mean_ns)} leave the device empty for "
        f"{format_ns(gaps)} per step between them.{reason}",
        cost_ns=gaps,
        confidence=confidence_of(facts, "host"),
        evidence=figures,
        recommendations=[] if launching or critical.environment.compiled else [_compile(facts, gaps)],
    )


def _compile(facts: Facts, gap_ns: float) -> Recommendation:
    return recommend(
        "torch-compile",
        rule=RULE.id,
        facts=facts,
        action="Compile the model",
        why="Compilation fuses chains of small operators: fewer kernels, and fewer gaps between them.",
        how="model -> torch.compile(model)",
        gain=gain(
            facts,
            expected_ns=thresholds.COMPILE_EXPECTED.value * gap_ns,
            low_ns=thresholds.COMPILE_LOW.value * gap_ns,
            high_ns=gap_ns,
            at_most_ns=gap_ns,
        ),
        watch="the host part",
    )
