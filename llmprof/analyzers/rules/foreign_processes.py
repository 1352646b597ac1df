"""Do other processes compute on the run's GPUs?

Detects:
    Compute processes on a GPU of the run that do not belong to it, and hold more memory than a mere look at the device.

Why it costs time:
    Processes on one GPU take turns: while the other one's kernels run, those of the training wait.

How it is measured:
    The processes that the driver lists on the GPU, every two seconds, without those of the run and its children (NVML).
    How long their kernels run is not known.

Does not apply when:
    Training runs on the CPU.

Fix:
    Find out whose they are and move one of the two; a scheduler that gives out whole GPUs, or MIG, keeps them apart.

Verify:
    `nvidia-smi` lists the run's processes only; record again.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.device_health import on_the_cpu, sampled, who
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import no_gain
from llmprof.units import format_bytes

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="foreign-processes",
    category="compute",
    title="The GPUs are the run's alone",
    failed_title="Other processes share a GPU of the run",
    fixes=("free-device",),
    thresholds=(thresholds.FOREIGN_SMALL,),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the GPU on which others hold most."""
    if on_the_cpu(facts):
        return RULE.not_applicable("Training runs on the CPU.")
    known = [one for one in sampled(facts) if one.hardware is not None and one.hardware.other_processes is not None]
    if not known:
        return RULE.no_data("The processes on the GPU are not known: NVML does not tell them in most containers.")
    held = {one.rank: one.hardware.other_bytes or 0 for one in known if one.hardware and one.hardware.other_processes}
    if not held:
        return RULE.passed("No other process was seen on the GPUs.")
    number = max(sorted(held), key=lambda one: held[one])
    rank = facts.ranks.get(number, facts.critical)
    assert rank.hardware is not None
    count = rank.hardware.other_processes
    text = f"{count} other process{'' if count == 1 else 'es'} on {who(facts, rank)} hold {format_bytes(held[number])}"
    figures = [
        evidence.number("other processes", count, "at a time", source="NVML", rank=number),
        evidence.number("memory of other processes", held[number], "bytes", source="NVML", rank=number),
    ]
    if held[number] < thresholds.FOREIGN_SMALL.value:
        return RULE.passed(f"{text}: too little to compute much.", evidence=figures)
    return RULE.fired(
        facts,
        f"{text}; how much of the GPU's time they take is not known.",
        cost_ns=None,
        confidence=0.8,
        evidence=figures,
        recommendations=[
            recommend(
                "free-device",
                rule=RULE.id,
                facts=facts,
                action=f"Keep other processes off {who(facts, rank)}",
                why="While their kernels run, those of the training wait; the memory that they hold is missing too.",
                how="nvidia-smi --query-compute-apps=pid,used_memory --format=csv -i GPU; then ask the scheduler for "
                "whole GPUs",
                gain=no_gain(facts, memory_bytes=held[number]),
                watch="the processes on this GPU",
            )
        ],
        ranks=tuple(sorted(one for one, size in held.items() if size >= thresholds.FOREIGN_SMALL.value)),
        severity="warning",
    )
