"""Does training wait for checkpoints to be written?

Detects:
    Time in which the training thread saves: torch.save, torch.distributed.checkpoint, safetensors, or what a framework
    does to save.

Why it costs time:
    The device stands still from the moment it is copied from until the file is written, on all ranks.

How it is measured:
    The recorder times the functions that save, on every step of the run, and how often they are called.

Does not apply when:
    No checkpoint was written in the measured steps.

Fix:
    Write in the background: copy to host memory, train on, and let another thread write. Or save less often: with a
    mean time between failures M and a checkpoint that costs C, about every sqrt(2 C M) (Young 1974).

Verify:
    Record again over at least one checkpoint: the step with it is as long as the others but for the copy.
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
from llmprof.units import format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="checkpoint-stall",
    category="host",
    title="Checkpoints cost little",
    failed_title="Training waits for checkpoints",
    fixes=("async-checkpoint",),
    thresholds=(thresholds.STALL_COST, thresholds.ASYNC_EXPECTED, thresholds.ASYNC_LOW, thresholds.COPY_RATE),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the checkpoints of the critical rank."""
    return judge(
        RULE, facts, "checkpoint", absent="No checkpoint was written in the measured steps.", fix=_in_background
    )


def _in_background(facts: Facts, stall: Stall) -> Recommendation:
    held = stall.counted_ns
    # Written beside the rest of the step, at most as long as that: what takes longer is waited for at the next one.
    rest = max(0.0, facts.step.mean_ns - held)
    beside = min(held, rest) if held > 0 else stall.per_step_ns
    why = "Only the copy to host memory stops training; the file is written while it goes on."
    low, expected = thresholds.ASYNC_LOW.value * min(held, rest), thresholds.ASYNC_EXPECTED.value * min(held, rest)
    copying = _copying_ns(facts)
    if copying is not None and held > 0:
        # Which memory they are copied to decides how long that takes, and nothing recorded tells.
        low = min(held * max(0.0, 1 - copying * stall.count / stall.total_ns), rest)
        expected = (low + expected) / 2
        why += (
            f" The copy takes up to {format_ns(copying)} of a checkpoint of {format_ns(stall.total_ns / stall.count)} "
            "into memory that is allocated anew each time, and little into pinned memory that is kept."
        )
    if held > rest:
        why += (
            f" Writing takes {format_ns(held)} per step and the rest of the step {format_ns(rest)}, so no more than "
            "that is hidden; save less often as well."
        )
    if held <= 0:
        why += (
            f" No checkpoint falls into the steps that are explained, so nothing of these is promised; over the run it "
            f"is {format_ns(stall.per_step_ns)} per step."
        )
    return recommend(
        "async-checkpoint",
        rule=RULE.id,
        facts=facts,
        action="Write checkpoints in the background",
        why=why,
        how="future = torch.distributed.checkpoint.async_save(state_dict, checkpoint_id=path), and future.result() "
        "before the next one; or copy the state to pinned host memory that is kept, and torch.save it in a thread",
        gain=gain(facts, expected_ns=expected, low_ns=min(low, expected), high_ns=beside, at_most_ns=beside),
        watch="the steps with a checkpoint",
    )


def _copying_ns(facts: Facts) -> float | None:
    """How long weights and optimizer states take to host memory at most; None where their size is not known."""
    memory = facts.critical.memory
    held = memory.composition if memory is not None else None
    if held is None:
        return None
    return (held.parameters + held.optimizer) / thresholds.COPY_RATE.value
