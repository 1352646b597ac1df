"""Did the GPU's memory have errors that could not be corrected?

Detects:
    Uncorrected memory errors that came while the run was recorded.

Why it costs time:
    It need not; but what was computed may be wrong, and such errors end runs.

How it is measured:
    The growth of the driver's volatile error counters during the counted steps (NVML).

Does not apply when:
    Training runs on the CPU.

Fix:
    Take the GPU out of use: drain the node, reset the GPU, have it replaced when errors come back. No change of the
    training helps.

Verify:
    `nvidia-smi -q -d ECC,ROW_REMAPPER` after the reset; record again.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.device_health import NOT_SAMPLED, on_the_cpu, sampled, who

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="ecc-errors",
    category="compute",
    title="Device memory has no errors",
    failed_title="Device memory has uncorrected errors",
    fixes=(),
    thresholds=(thresholds.ECC_ERRORS,),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the GPU with most uncorrected errors."""
    if on_the_cpu(facts):
        return RULE.not_applicable("Training runs on the CPU.")
    counts = {
        rank.rank: rank.hardware.ecc_uncorrected
        for rank in sampled(facts)
        if rank.hardware is not None and rank.hardware.ecc_uncorrected is not None
    }
    if not counts:
        return RULE.no_data(f"Memory errors are not known. {NOT_SAMPLED}")
    bad = {number: count for number, count in counts.items() if count >= thresholds.ECC_ERRORS.value}
    corrected = sum(rank.hardware.ecc_corrected or 0 for rank in sampled(facts) if rank.hardware is not None)
    if not bad:
        return RULE.passed(f"No uncorrected error came during the steps; {corrected} were corrected.")
    number = max(sorted(bad), key=lambda one: bad[one])
    return RULE.fired(
        facts,
        f"{bad[number]} uncorrected memory errors came on {who(facts, facts.ranks.get(number, facts.critical))} during "
        "the steps: results may be wrong.",
        cost_ns=None,
        confidence=0.95,
        evidence=[
            evidence.number("uncorrected errors", count, "errors", source="NVML", rank=one)
            for one, count in sorted(bad.items())
        ],
        ranks=tuple(sorted(bad)),
        severity="critical",
    )
