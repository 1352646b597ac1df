"""What do all rules on communication ask the facts? How much is exposed, who exchanges, and what a fix saves."""

from __future__ import annotations

from collections.abc import Iterable

from llmprof.analyzers.diagnosis import Evidence, Gain
from llmprof.analyzers.facts.communication.collectives import CollectiveFacts, CollectiveGroup
from llmprof.analyzers.facts.communication.parallelism import parallelism_of
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.gains import data_late_weight, gain, part_ns
from llmprof.timeline.settings import Parallelism

__all__ = [
    "communication_gain",
    "explained",
    "exposed_of",
    "exposed_share",
    "gradient_bytes",
    "gradient_elements",
    "joined_by_hand",
    "parallelism",
    "question",
    "reductions_of_backward",
    "times_reduced",
]

_SIZES = {"fp32": 4, "bf16": 2, "fp16": 2}
"""Bytes of an element."""
NEARLY_ALL = 0.9
"""Of the gradients: messages that carry so much of them carry all, but for parameters that got none."""


def question(rule: Rule, facts: Facts) -> Judgement | CollectiveFacts:
    """The collectives of the critical rank, or why a rule on them has nothing to say."""
    world = facts.world_size or facts.critical.environment.world_size
    if world == 1:
        return rule.not_applicable("The run has one rank: there is nobody to talk to.")
    critical = facts.critical
    if critical.partition is None or (critical.collectives is None and critical.kernels is None):
        return rule.no_data("The recording holds no traced steps with device activities; record a burst on every rank.")
    if critical.collectives is None or critical.collectives.count_per_step <= 0:
        return rule.not_applicable("The traced steps hold no collectives.")
    return critical.collectives


def parallelism(facts: Facts) -> Parallelism:
    """How the work is divided, from settings and traffic."""
    collectives = facts.critical.collectives
    return parallelism_of(facts.critical.environment, () if collectives is None else collectives.groups)


def explained(facts: Facts, traced_ns: float) -> float:
    """What of a time inside exposed collectives of the traced step is left in the step that is explained.

    The exposed collectives of the traced step, waiting for peers left out, correspond to the part `communication`.
    """
    collectives = facts.critical.collectives
    if collectives is None:
        return 0.0
    traced = collectives.exposed_ns - (collectives.skew_ns or 0.0)
    if traced <= 0:
        return 0.0
    return max(0.0, traced_ns) * min(1.0, part_ns(facts, "communication") / traced)


def exposed_of(facts: Facts, groups: Iterable[CollectiveGroup]) -> float:
    """Exposed time of these groups in the step that is explained; their share of waiting for peers left out."""
    collectives = facts.critical.collectives
    some = sum(group.exposed_ns for group in groups)
    if collectives is None or collectives.exposed_ns <= 0:
        return 0.0
    return part_ns(facts, "communication") * min(1.0, some / collectives.exposed_ns)


def exposed_share(facts: Facts, ns: float) -> Evidence:
    """An exposed time as a share of the step, beside the mark from which on it is worth a change."""
    return evidence.share("exposed time", facts, ns, thresholds.COMMUNICATION_COST)


def communication_gain(
    facts: Facts, *, expected_ns: float, low_ns: float, high_ns: float, replayed: bool = False
) -> tuple[Gain, str]:
    """The gain of less exposed communication, and why it is none while the input sets the pace (else empty)."""
    weight, late = data_late_weight(facts)
    result = gain(
        facts,
        expected_ns=weight * expected_ns,
        low_ns=weight * low_ns,
        high_ns=high_ns,
        at_most_ns=part_ns(facts, "communication"),
        basis="replay" if replayed else "bound",
    )
    return result, late


def reductions_of_backward(facts: Facts) -> list[CollectiveGroup]:
    """The collectives that reduce gradients in the backward pass of the critical rank."""
    collectives = facts.critical.collectives
    op = "reduce_scatter" if parallelism(facts).fsdp else "all_reduce"
    return [
        group
        for group in (collectives.groups if collectives is not None else ())
        if group.op == op and group.backward_share != 0 and not group.of_both_passes
    ]


def joined_by_hand(facts: Facts) -> bool:
    """Whether the loop itself reduces the gradients after the backward pass: nothing wraps the model that would."""
    environment, collectives = facts.critical.environment, facts.critical.collectives
    wrapped = any(one is not None for one in (environment.ddp, environment.fsdp, environment.deepspeed))
    elements = gradient_elements(facts)
    if collectives is None or not environment.models or wrapped or not elements:
        return False
    after = [
        group
        for group in collectives.groups
        if group.op == "all_reduce" and group.backward_share == 0 and not group.of_both_passes
    ]
    moved = sum((group.bytes or 0.0) / _SIZES.get(group.dtype or "", 4) for group in after)
    return moved >= NEARLY_ALL * elements


def times_reduced(facts: Facts) -> float | None:
    """How often the gradients are reduced per step; None where a size or a format is not known."""
    collectives = facts.critical.collectives
    if collectives is not None and collectives.passes_reduced is not None:
        return collectives.passes_reduced
    groups, elements = reductions_of_backward(facts), gradient_elements(facts)
    if not elements or any(group.bytes is None or group.dtype not in _SIZES for group in groups):
        return None
    fsdp = facts.critical.environment.fsdp
    sharded = parallelism(facts).fsdp
    # A rank of a sharded model holds its part of the parameters, and reduces the gradients of all.
    shards = ((fsdp.shard_size if fsdp else None) or sharded or 1) if sharded else 1
    return sum((group.bytes or 0.0) / _SIZES[group.dtype or ""] for group in groups) / (elements * shards)


def gradient_elements(facts: Facts) -> float | None:
    """Elements of the gradients of one backward pass on the critical rank; None where the model was not recorded."""
    environment = facts.critical.environment
    if environment.models and environment.models[0].trainable_count:
        return float(environment.models[0].trainable_count)
    counts = [one.parameter_count for one in environment.optimizers[:1] if one.parameter_count]
    return float(counts[0]) if counts else None


def gradient_bytes(facts: Facts) -> float | None:
    """Bytes of the gradients of one backward pass on the critical rank; None where the model was not recorded."""
    environment = facts.critical.environment
    if environment.models and environment.models[0].trainable_bytes:
        return float(sum(environment.models[0].trainable_bytes.values()))
    return float(sum(environment.parameter_bytes.values())) or None
