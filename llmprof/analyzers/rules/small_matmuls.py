"""Are matrix products large enough to fill the GPU?

Detects:
    Matrix products whose result has too few tiles for the device's multiprocessors, or one tile more than a whole
    number of rounds.

Why it costs time:
    Each multiprocessor computes one tile at a time. In the last round some of them have nothing to do: 133 tiles on
    132 multiprocessors take as long as 264.

How it is measured:
    Tiles from the shapes and from the tile in the kernel's name; the idle share of the rounds times the kernel's time
    is lost. Kernels that split along K hide part of it, so only half of it is expected back and nothing is promised.

Does not apply when:
    Tiles or shapes are not known, or the products fill the device.

Fix:
    A larger micro-batch; or products that belong together in one (queries, keys and values; gate and up).

Verify:
    Record again and compare tokens per second: the time of the gemm class per token should fall.
"""

from __future__ import annotations

from llmprof.analyzers.facts.matmul_shapes import fills
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.operator_figures import cost_of, kernel_gain, longest_operators, operators_of
from llmprof.units import format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="small-matmuls",
    category="compute",
    title="Matrix products fill the GPU",
    failed_title="Matrix products are too small for the GPU",
    fixes=("larger-batch",),
    thresholds=(
        thresholds.WAVE_FILL,
        thresholds.WAVE_LOST,
        thresholds.WAVE_REGAINED,
        thresholds.FIT_SHARE,
        thresholds.SHAPED_SHARE,
        thresholds.HOST_LATE_SHARE,
    ),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the sizes of the matrix products of the critical rank."""
    operators = operators_of(RULE, facts)
    if isinstance(operators, Judgement):
        return operators
    cores = facts.critical.environment.device.sm_count
    if not any(one.kind == "gemm" for one in operators.work):
        return RULE.not_applicable("The step has no matrix products.")
    if cores is None:
        return RULE.no_data("The number of multiprocessors of this device is not known.")
    known = [(one, share) for one in operators.work if (share := fills(one, cores)) is not None]
    if not known:
        return RULE.no_data("The tiles of the matrix products are not in the names of their kernels.")
    total = sum(one.ns for one, _ in known)
    lost = sum(one.ns * (1 - share) for one, share in known)
    fill = 1 - lost / total
    poor = [one for one, share in known if share < thresholds.WAVE_FILL.value]
    figures = [
        evidence.number("multiprocessors that work on average", fill, "of all", source="model"),
        evidence.share("time of idle multiprocessors", facts, lost, thresholds.WAVE_LOST, source="model"),
        *longest_operators(poor, facts.critical.rank),
    ]
    if lost < thresholds.WAVE_LOST.value * facts.step.mean_ns or fill >= thresholds.WAVE_FILL.value:
        return RULE.passed(f"Matrix products keep {format_percent(fill)} of the GPU busy.", evidence=figures)
    estimate, late = kernel_gain(
        facts, low_ns=0.0, expected_ns=lost * thresholds.WAVE_REGAINED.value, high_ns=lost, at_most_ns=lost
    )
    fix = recommend(
        "larger-batch",
        rule=RULE.id,
        facts=facts,
        action="Put more work into each matrix product",
        why=f"The same products keep only {format_percent(fill)} of the GPU busy; the gain is for the same number of "
        f"tokens. {late}".rstrip(),
        how="a larger micro-batch with fewer accumulation steps, or one linear layer for queries, keys and values",
        gain=estimate,
        watch="the gemm class",
    )
    return RULE.fired(
        facts,
        f"Matrix products leave {format_percent(1 - fill)} of the GPU idle: {format_ns(lost)} of the step.",
        cost_ns=cost_of(estimate),
        confidence=confidence_of(facts, "compute", strength=0.5 * operators.shaped_share),
        evidence=figures,
        recommendations=[fix] if _has_room(facts) else [],
    )


def _has_room(facts: Facts) -> bool:
    """Whether twice of what is in use would fit; memory that was not recorded is no objection."""
    memory = facts.critical.memory
    share = None if memory is None else memory.allocated_share
    return share is None or 2 * share <= thresholds.FIT_SHARE.value
