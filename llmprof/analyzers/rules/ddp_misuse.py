"""Is data parallelism set up in a way that costs time for nothing?

Detects:
    `torch.nn.DataParallel`, which drives all GPUs from one process; gloo as the backend of CUDA tensors;
    `find_unused_parameters=True` although every parameter gets a gradient.

Why it costs time:
    DataParallel copies the model to every GPU and gathers the outputs in every step, in one Python process. Gloo moves
    gradients through host memory. The search for unused parameters walks the graph in every step, and all ranks agree
    on what was used with one more collective and a copy to the host.

How it is measured:
    From the settings of the run; that no parameter is unused, from the gradients that the traced backward passes
    accumulate against the parameters of the optimizer.

Does not apply when:
    The run has one rank and no DataParallel.

Fix:
    DistributedDataParallel with the nccl backend, without find_unused_parameters.

Verify:
    Record again: the setting is gone, and the step is shorter.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.communication.links import expected_link
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import exposed_of, gradient_bytes
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain, part_ns
from llmprof.units import NS_PER_S, format_count, format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="ddp-misuse",
    category="communication",
    title="Data parallelism is set up as recommended",
    failed_title="A setting of data parallelism costs time for nothing",
    fixes=("wrap-ddp", "nccl-backend", "static-graph"),
    thresholds=(thresholds.PARAMETER_MATCH, thresholds.REPLAY_LOW),
)
_USED_DTYPE = "int32"
"""Of the map of used parameters that DistributedDataParallel reduces (torch/csrc/distributed/c10d/reducer)."""

SEARCH_NS, MOST_SEARCH_NS = 200.0, 500.0
"""Of the host for each operator of a step, to search the graph for unused parameters. Own measurement, a model of 460
autograd nodes on a CPU: 0.4 µs a node, and a step has at least two operators a node; a busy host is slower."""

PCIE_BYTES_PER_S = 63e9
"""Of sixteen lanes of the fifth generation, one direction: the fastest that H100 and H200 have."""


def evaluate(facts: Facts) -> Judgement:
    """Judge the settings of data parallelism on the critical rank."""
    environment = facts.critical.environment
    wrappers = [name for model in environment.models for name in model.wrappers]
    if "DataParallel" in wrappers:
        return _data_parallel(facts)
    world = facts.world_size or environment.world_size
    if world == 1:
        return RULE.not_applicable("The run has one rank: there is nobody to talk to.")
    backend = (environment.ddp.backend if environment.ddp else None) or environment.backend
    if backend is not None and backend.lower() == "gloo" and environment.device.name is not None:
        return _gloo(facts)
    if environment.ddp is None and environment.models:
        return RULE.not_applicable("The model is not wrapped in DistributedDataParallel.")
    if environment.ddp is None:
        return RULE.no_data("The settings of DistributedDataParallel are not known; record with `llmprof run`.")
    if environment.ddp.find_unused_parameters:
        return _unused(facts)
    return RULE.passed(f"DistributedDataParallel, {backend or 'nccl'}, no search for unused parameters.")


def _data_parallel(facts: Facts) -> Judgement:
    """What is not computation may go; that the GPUs then work side by side is not in the step of one of them."""
    idle = part_ns(facts, "host", "sync", "memcpy", "communication")
    copies = part_ns(facts, "communication", "memcpy") / 2
    return RULE.fired(
        facts,
        "The model is wrapped in torch.nn.DataParallel: one process copies it to all GPUs in every step.",
        cost_ns=None,
        severity="warning",
        confidence=0.9,
        evidence=[evidence.time("host, copies and collectives", idle, source="partition")],
        recommendations=[
            recommend(
                "wrap-ddp",
                rule=RULE.id,
                facts=facts,
                action="Start one process per GPU and wrap the model in DistributedDataParallel",
                why="PyTorch recommends it over DataParallel even on one node: no copies of the model, no gather.",
                how="torchrun --nproc-per-node=gpu train.py; DistributedDataParallel(model, device_ids=[local_rank])",
                # The copies of the model go; the gradients still travel.
                gain=gain(facts, expected_ns=copies, low_ns=0.0, high_ns=idle, at_most_ns=idle),
                watch="the host part",
            )
        ],
    )


def _gloo(facts: Facts) -> Judgement:
    """Gloo blocks the host: what it costs is somewhere in the parts that wait, and not less than its copies.

    Where the recording shows that the device idled while the host exchanged tensors, that is what is expected to go.
    """
    waiting = part_ns(facts, "host", "sync", "memcpy", "communication", "skew", "other")
    size = gradient_bytes(facts)
    link = expected_link({number: rank.environment for number, rank in facts.ranks.items()}, None)
    with_nccl = 0.0 if size is None or link is None else size / link.bus_bytes_per_s * NS_PER_S
    high = max(0.0, waiting - with_nccl)
    # To the host and back over PCIe is the least that gradients take on the way through host memory.
    low = 0.0 if size is None else min(high, max(0.0, 2 * size / PCIE_BYTES_PER_S * NS_PER_S - with_nccl))
    seen = min(high, max(0.0, part_ns(facts, "communication") - with_nccl))
    expected = max(low, seen) if seen > 0 else (low + high) / 2
    low = max(low, thresholds.REPLAY_LOW.value * seen)
    return RULE.fired(
        facts,
        "Gradients of CUDA tensors are exchanged with the gloo backend, through host memory.",
        cost_ns=None,
        severity="warning",
        confidence=0.8,
        evidence=[
            evidence.time("waiting of the device", waiting, source="partition"),
            evidence.number("gradients", size, "bytes", source="run"),
        ],
        recommendations=[
            recommend(
                "nccl-backend",
                rule=RULE.id,
                facts=facts,
                action="Use the nccl backend for CUDA tensors",
                why="NCCL moves gradients from GPU to GPU, on the device's own streams.",
                how='torch.distributed.init_process_group("nccl")',
                gain=gain(facts, expected_ns=expected, low_ns=low, high_ns=high, at_most_ns=high),
                watch="the waiting of the device",
            )
        ],
    )


def _unused(facts: Facts) -> Judgement:
    collectives, environment = facts.critical.collectives, facts.critical.environment
    tensors = environment.optimizers[0].parameter_tensors if environment.optimizers else None
    got = None if collectives is None else collectives.gradients
    if got is None or not tensors:
        return RULE.no_data("Which parameters got gradients is not known; record a burst with CPU activities.")
    passes = max(1.0, (collectives.microbatches if collectives else None) or 1.0)
    if got < (1 - thresholds.PARAMETER_MATCH.value / 10) * tensors * passes:
        return RULE.passed(
            f"find_unused_parameters is needed: {format_count(got / passes)} of {tensors} parameters got gradients."
        )
    groups = [g for g in collectives.groups if g.dtype == _USED_DTYPE] if collectives else []
    cost = exposed_of(facts, groups)
    return RULE.fired(
        facts,
        f"find_unused_parameters is set, and all {tensors} parameters get gradients"
        + (f"; agreeing on that costs at least {format_ns(cost)}." if cost > 0 else "."),
        cost_ns=cost,
        confidence=confidence_of(facts, strength=0.9),
        evidence=[
            evidence.number("gradients", got, "per step", source="trace"),
            evidence.number("parameter tensors", tensors, "tensors", source="run"),
            evidence.time("exposed agreement on unused parameters", cost, source="trace"),
        ],
        recommendations=[_static(facts, cost, passes)],
    )


def _static(facts: Facts, cost: float, passes: float) -> Recommendation:
    waits = cost + part_ns(facts, "host", "sync")
    operators = (facts.critical.host.operators if facts.critical.host is not None else None) or 0.0
    recorded = facts.critical.collectives.search_ns if facts.critical.collectives is not None else None
    searches = (SEARCH_NS * operators, MOST_SEARCH_NS * operators) if recorded is None else (recorded, 2 * recorded)
    expected, most = (min(cost + each, waits) for each in searches)
    high = most if any(searches) else waits
    # A static graph may not begin inside no_sync() (c10d::Reducer of PyTorch), as accumulated micro-steps do.
    static = "; or static_graph=True where the graph is the same in every step" if passes == 1 else ""
    return recommend(
        "static-graph",
        rule=RULE.id,
        facts=facts,
        action="Leave find_unused_parameters=True out",
        why="Every parameter gets a gradient, so the search finds nothing. It walks over the graph of the forward "
        "pass, node by node"
        + (". How long that takes the host is not recorded." if recorded is None else f", for {format_ns(recorded)}."),
        how=f"DistributedDataParallel(model){static}",
        gain=gain(
            facts,
            expected_ns=expected,
            low_ns=min(thresholds.REPLAY_LOW.value * cost, expected),
            high_ns=high,
            at_most_ns=waits,
        ),
        watch="the host part",
    )
