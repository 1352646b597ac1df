"""From where on is memory short, and what do its fixes win? Limits of the rules on memory."""

from __future__ import annotations

from llmprof.analyzers.facts.faster import kept_activations
from llmprof.analyzers.rules.thresholds.record import (
    HUGGING_FACE,
    MEGATRON,
    OWN,
    SAGEMAKER,
    TRACEML,
    Threshold,
    factor,
)

# memory-near-limit

RESERVED_FULL = Threshold(
    name="reserved-full",
    value=0.97,
    unit="share of device memory",
    source=TRACEML,
    reason="TraceML's critical mark; the driver, NCCL and the CUDA context need the rest.",
)
ALLOCATED_LOW = Threshold(
    name="allocated-low",
    value=0.5,
    unit="share of device memory",
    source=SAGEMAKER,
    reason="SageMaker calls a batch too small when memory stays below 70 %; at half a doubled batch still fits.",
)
FRAGMENTED = Threshold(
    name="fragmented",
    value=0.10,
    unit="share of device memory",
    source=OWN,
    reason="Reserved by the allocator and never in use: this much makes room for larger tensors when given back.",
)
RECOMPUTE_EXPECTED = factor(
    "recompute-cost", 0.25, f"{HUGGING_FACE}; {MEGATRON}", "Between about 20 % slower and 30 % more compute."
)
RECOMPUTE_LOW = factor("recompute-low-cost", 0.15, OWN, "An assumption: about every second block is recomputed.")
RECOMPUTE_HIGH = factor("recompute-high-cost", 1 / 3, OWN, "A whole second forward pass: a third of the compute.")
CHECKPOINTED_SHARE = factor(
    "checkpointed", 0.6, OWN, "An assumption: part of the activations that checkpointing frees."
)
STATE_PER_PARAMETER = Threshold(
    name="state-per-parameter",
    value=4,
    unit="times the parameter bytes",
    source=HUGGING_FACE,
    reason="Weights, gradients and two Adam moments in the format of the weights.",
)


# out-of-memory

FIT_SHARE = Threshold(
    name="fits",
    value=kept_activations.FIT_SHARE,
    unit="share of device memory",
    source=TRACEML,
    reason="TraceML's lower mark of memory pressure: what is to fit needs room for fragments and for other shapes.",
)
STATES_DOMINATE = Threshold(
    name="states-dominate",
    value=0.40,
    unit="share of the memory in use",
    source=OWN,
    reason="From here on weights, gradients and optimizer states are taken to be worth sharding.",
)
HALF_FREES = factor(
    "half-frees",
    0.4,
    "PyTorch AMP documentation",
    "bf16 tensors are half as long; norms, losses and the cast weights take a part of it.",
)
EIGHT_BIT_FREES = factor("eight-bit-frees", 0.75, "bitsandbytes documentation", "32 bits of each state become 8.")


# fragmentation

RESERVED_TWICE = factor(
    "reserved-twice", 2.0, TRACEML, "Reserved over allocated, from which TraceML warns of fragments."
)
RESERVED_MUCH = Threshold(
    name="reserved-much",
    value=0.30,
    unit="share of device memory",
    source=TRACEML,
    reason="Below it TraceML does not look at reserved over allocated: a cache on an empty device is no harm.",
)


# allocator-retries

RETRIES = Threshold(
    name="retries",
    value=1,
    unit="retries in the measured steps",
    source="PyTorch documentation, torch.cuda.memory_stats",
    reason="Each frees the whole cache and waits for the device; those of the warm-up are not counted.",
)


# activations-dominate, logits-spike

ACTIVATIONS_DOMINATE = Threshold(
    name="activations-dominate",
    value=0.50,
    unit="share of the memory in use",
    source=OWN,
    reason="More than half of what tensors use depends on the batch: shrinking it wins more than anything else.",
)
LOGITS_SHARE = Threshold(
    name="logits-share",
    value=0.10,
    unit="share of the memory in use",
    source=OWN,
    reason="A tenth of the peak for one operator of the step.",
)

# memory-creep

CREEP_BYTES = Threshold(
    name="creep-bytes",
    value=512 * 2**20,
    unit="bytes",
    source=TRACEML,
    reason="TraceML's least growth for a leak.",
)
CREEP_SHARE = Threshold(
    name="creep-share",
    value=0.06,
    unit="of the memory in use",
    source=TRACEML,
    reason="TraceML's least growth for a leak, against where it began.",
)
CREEP_PACE = Threshold(
    name="creep-pace",
    value=0.015,
    unit="growth per 100 steps",
    source=TRACEML,
    reason="TraceML's least pace for a leak.",
)
CREEP_STEPS = Threshold(
    name="creep-steps",
    value=300,
    unit="steps",
    source=OWN,
    reason="Fewer than TraceML's 800 of step peaks: what is in use between two steps holds no activations that vary.",
)

# rank-memory-imbalance

RANK_SPREAD = Threshold(
    name="rank-spread",
    value=0.20,
    unit="above the median rank",
    source=TRACEML,
    reason="TraceML's lower mark for ranks whose memory differs.",
)
RANK_PRESSURE = Threshold(
    name="rank-pressure",
    value=0.30,
    unit="share of device memory",
    source=TRACEML,
    reason="Below it TraceML does not compare ranks: the difference does no harm.",
)
