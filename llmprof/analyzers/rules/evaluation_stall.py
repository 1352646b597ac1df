"""Does evaluation take much of the training time?

Detects:
    Time between training steps in which the model is evaluated: what a loader gives that no backward pass follows, or
    what a framework does to evaluate.

Why it costs time:
    Nothing is trained meanwhile.

How it is measured:
    The recorder times evaluations on every step of the run, and counts them. Part of the first one's time is the wait
    for training that was queued, which the next steps give back: what counts is how much longer all these steps are
    than those before the evaluation. A first evaluation that takes twice as long as later ones is left out.

Does not apply when:
    Nothing was evaluated in the measured steps.

Fix:
    Evaluate less often, or on fewer samples; under torch.inference_mode() a larger batch fits than in training.

Verify:
    Record again over at least one evaluation: its share of the step has fallen.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.pace.step_table import Stall
from llmprof.analyzers.rules import thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.analyzers.rules.stalls import judge

__all__ = ["RULE", "evaluate"]

ERRORS = 2.0
"""Standard errors within which a mean lies (95 %)."""
LEAST_DOUBT = 0.1
"""Of the cost, also where a few evaluations happened to agree (an assumption)."""

RULE = Rule(
    id="evaluation-stall",
    category="host",
    title="Evaluation costs little",
    failed_title="Evaluation takes much of the time",
    fixes=("evaluate-less-often",),
    thresholds=(thresholds.STALL_COST, thresholds.EVALUATE_HALF),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the evaluations of the critical rank."""
    return judge(RULE, facts, "evaluation", absent="Nothing was evaluated in the measured steps.", fix=_less_often)


def _less_often(facts: Facts, stall: Stall) -> Recommendation:
    half = thresholds.EVALUATE_HALF.value * stall.counted_ns
    # What an evaluation costs beyond the wait for work that was queued is told from the steps around it, which vary.
    doubt = max(ERRORS * (stall.error_ns or 0.0), LEAST_DOUBT * stall.counted_ns) * thresholds.EVALUATE_HALF.value
    every = "" if stall.period_steps is None else f" (now every {stall.period_steps} steps)"
    return recommend(
        "evaluate-less-often",
        rule=RULE.id,
        facts=facts,
        action=f"Evaluate half as often{every}",
        why="Half as many evaluations cost half as much; a part of the samples, or a larger batch, does the same.",
        how="evaluate every 2k-th step instead of every k-th; with torch.inference_mode(): and a larger batch_size",
        gain=gain(facts, expected_ns=half, low_ns=half - doubt, high_ns=half + doubt, at_most_ns=stall.counted_ns),
        watch="the time of evaluation",
    )
