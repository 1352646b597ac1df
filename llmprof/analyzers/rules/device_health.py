"""Which GPUs were sampled, and how are they called? What the rules about the machine share."""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts, RankFacts

__all__ = ["NOT_SAMPLED", "on_the_cpu", "sampled", "who"]

NOT_SAMPLED = "The GPU was not sampled during the steps; `llmprof run` does, where NVML can be read."


def on_the_cpu(facts: Facts) -> bool:
    """Whether training has no GPU."""
    partition = facts.critical.partition
    return partition is not None and partition.cpu_only


def sampled(facts: Facts) -> list[RankFacts]:
    """Ranks of whose GPU something is known, ascending."""
    ranks = facts.ranks or {facts.critical.rank: facts.critical}
    return [rank for _, rank in sorted(ranks.items()) if rank.hardware is not None]


def who(facts: Facts, rank: RankFacts) -> str:
    """`the GPU`, or with several ranks `the GPU of rank 3 (GPU 3 of node07)`."""
    if max(facts.world_size or 1, len(facts.ranks)) < 2:
        return "the GPU"
    environment = rank.environment
    place = "" if environment.gpu_index is None else f"GPU {environment.gpu_index}"
    if environment.host:
        place = f"{place} of {environment.host}" if place else environment.host
    return f"the GPU of rank {rank.rank}{f' ({place})' if place else ''}"
