"""Does a rank run on CPUs that are far from its GPU?

Detects:
    A process that may only run on CPUs of another NUMA node than the one its GPU is attached to.

Why it costs time:
    Every batch, launch and result crosses the link between the sockets, and so does the memory that batches lie in.

How it is measured:
    The CPUs that the rank may run on against those of the GPU's NUMA node, as kernel and driver tell them.

Does not apply when:
    Training runs on the CPU, or the machine has one NUMA node.

Fix:
    Bind each rank, with its memory, to the CPUs near its GPU.

Verify:
    `nvidia-smi topo -m` shows the CPUs near each GPU; record again and compare copies and host time.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.device_health import on_the_cpu, sampled, who
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="numa-misaffinity",
    category="host",
    title="Ranks may run on CPUs near their GPU",
    failed_title="A rank runs on CPUs far from its GPU",
    fixes=("numa-binding",),
    thresholds=(thresholds.FAR_COPIES,),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge where the ranks may run."""
    if on_the_cpu(facts):
        return RULE.not_applicable("Training runs on the CPU.")
    node = facts.critical.environment.node
    if node is not None and len(node.numa_nodes) == 1:
        return RULE.not_applicable("The machine has one NUMA node.")
    known = [rank for rank in sampled(facts) if rank.hardware is not None and rank.hardware.far_cpus is not None]
    if not known:
        return RULE.no_data("Where CPUs and GPUs sit is not known; `llmprof run` records it where the driver tells.")
    far = [rank for rank in known if rank.hardware is not None and rank.hardware.far_cpus]
    if not far:
        return RULE.passed("Every rank may run on CPUs near its GPU.")
    rank = next((one for one in far if one.rank == facts.critical.rank), far[0])
    hardware = rank.hardware
    assert hardware is not None
    return RULE.fired(
        facts,
        f"Rank {rank.rank} may run on CPUs {rank.environment.cpu_affinity} only, none of which is near "
        f"{who(facts, rank)} (NUMA node {hardware.gpu_numa_node}).",
        cost_ns=None,
        confidence=0.8,
        evidence=[
            evidence.number("CPUs of the rank", rank.environment.cpu_affinity, "", source="kernel", rank=rank.rank),
            evidence.number("NUMA node of its GPU", hardware.gpu_numa_node, "", source="driver", rank=rank.rank),
        ],
        recommendations=[_bind(facts, rank)],
        ranks=tuple(one.rank for one in far),
        severity="warning",
    )


def _bind(facts: Facts, rank: RankFacts) -> Recommendation:
    partition = facts.critical.partition
    copies = 0.0
    if partition is not None:
        copies = sum(partition.detail.get(name, 0.0) for name in ("input_copy", "to_host"))
    node = rank.hardware.gpu_numa_node if rank.hardware is not None else None
    place = "NODE" if node is None else node
    return recommend(
        "numa-binding",
        rule=RULE.id,
        facts=facts,
        action="Bind each rank to the CPUs near its GPU",
        why="Batches then lie in the memory that the GPU is attached to. How much this saves is known for copies at "
        "most, so nothing more is promised.",
        how=f"numactl --cpunodebind={place} --membind={place} python ... for this rank; torchrun --numa-binding=node "
        "(PyTorch 2.9), srun --gres-flags=enforce-binding",
        gain=gain(facts, expected_ns=0.0, low_ns=0.0, high_ns=thresholds.FAR_COPIES.value * copies, at_most_ns=copies),
        watch="exposed copies and host time",
    )
