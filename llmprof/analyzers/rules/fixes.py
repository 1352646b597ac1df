"""Which fixes can be recommended? The table of all recommendation ids, and how one becomes a recommendation.

The ids are fixed: they are what `--fix` takes. `removes` names the parts of the step that a fix can shorten; two fixes
that share one are never added up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llmprof.analyzers.diagnosis import Effort, Gain, Recommendation
from llmprof.analyzers.facts.measured import Facts
from llmprof.collectors.live.fixes.applying.catalogue import about, applicable

__all__ = ["FIXES", "Fix", "recommend"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One fix: what it does in one line, what it takes, what can go wrong, which parts of the step it shortens."""

    id: str
    does: str
    effort: Effort
    risk: str
    removes: tuple[str, ...]


def _fix(id: str, effort: Effort, removes: str, does: str, risk: str) -> Fix:
    return Fix(id=id, does=does, effort=effort, risk=risk, removes=tuple(removes.split()))


# fmt: off
_TABLE = (
    # Input
    _fix("dataloader-workers", "flag", "data",
         "Load batches in more worker processes.",
         "Each worker takes a core and a copy of what the dataset holds."),
    _fix("dataloader-prefetch", "flag", "data",
         "Keep more batches ready per worker.",
         "Takes host memory for the batches in the queue."),
    _fix("persistent-workers", "flag", "data",
         "Keep the workers alive between epochs.",
         "Workers hold their memory during evaluation too."),
    _fix("pin-memory", "flag", "data memcpy host sync",
         "Copy batches from pinned memory without blocking.",
         "Pinned host memory cannot be swapped out."),
    _fix("offline-preprocessing", "refactor", "data",
         "Prepare samples once, before training.",
         "The prepared data needs storage and is stale when the preparation changes."),
    _fix("packed-dataset", "refactor", "data",
         "Store samples in large sequential files.",
         "Shuffling works within shards; shard sizes have to be chosen."),
    _fix("compact-batches", "few_lines", "data host sync",
         "Hand over batches of fewer bytes, and convert them on the device.",
         "Values have to fit the smaller type: pixels uint8, most other input bf16."),
    _fix("prefetch-to-device", "few_lines", "data",
         "Copy the next batch on a stream of its own while the device computes.",
         "Takes device memory for one more batch; the streams have to wait for each other."),
    _fix("preprocess-in-workers", "few_lines", "host data",
         "Do the work on each batch in the DataLoader's workers.",
         "What is done there must not use CUDA; results are sent between processes."),
    _fix("balance-batches", "few_lines", "data skew compute",
         "Give every rank the same amount of work.",
         "Changes the order of the samples."),
    _fix("bucket-lengths", "few_lines", "compute memory_management",
         "Batch samples of similar length.",
         "Changes the order of the samples."),
    # Arithmetic
    _fix("bf16-autocast", "few_lines", "compute",
         "Run matrix products in bf16.",
         "Changes the numerics: compare the loss curve over some hundred steps."),
    _fix("tf32", "flag", "compute",
         "Let fp32 matrix products use TF32 tensor cores.",
         "Matrix products keep 10 bits of mantissa."),
    _fix("fp8", "refactor", "compute",
         "Run large linear layers in fp8.",
         "Needs scaling; quality has to be checked."),
    _fix("sdpa-attention", "few_lines", "compute",
         "Use scaled_dot_product_attention.",
         "Attention weights are no longer available."),
    _fix("fused-attention-backend", "few_lines", "compute",
         "Choose a faster attention backend.",
         "Backends restrict masks, head sizes and dropout."),
    _fix("torch-compile", "few_lines", "host compute",
         "Compile the model: fewer, fused kernels.",
         "The first steps are slow; changing shapes compile again."),
    _fix("cuda-graphs", "few_lines", "host sync",
         "Replay the step as CUDA graphs.",
         "Needs fixed shapes and no host sync inside; keeps a private memory pool."),
    _fix("fused-optimizer", "flag", "host compute",
         "Update all parameters in a few fused kernels.",
         "Rounding differs in the last bits."),
    _fix("foreach-optimizer", "flag", "host compute",
         "Update parameters in lists instead of one by one.",
         "Needs temporary memory of about the size of the parameters."),
    _fix("fused-cross-entropy", "few_lines", "compute",
         "Fuse the output layer with the loss.",
         "Logits are no longer available."),
    _fix("fused-norm", "few_lines", "compute",
         "Compute each norm in one kernel.",
         "Rounding differs in the last bits."),
    _fix("pad-vocabulary", "few_lines", "compute",
         "Pad the vocabulary to a multiple of 64.",
         "Checkpoints change shape."),
    _fix("align-dimensions", "refactor", "compute",
         "Make dimensions multiples of 64.",
         "Changes the model."),
    _fix("keep-layout", "few_lines", "compute",
         "Keep tensors in the layout and number format that the next operator reads.",
         "None known."),
    _fix("channels-last", "few_lines", "compute",
         "Store images and convolution weights as channels_last.",
         "Operators without such kernels convert back and forth."),
    _fix("cudnn-benchmark", "flag", "compute",
         "Let cuDNN try its algorithms once for each shape.",
         "Changing shapes are tried again and again; runs may differ in the last bits."),
    _fix("larger-batch", "flag", "host communication compute",
         "Do more work per step.",
         "Changes the optimisation: the learning rate may have to follow."),
    _fix("static-shapes", "few_lines", "host memory_management stalls",
         "Keep tensor shapes the same in every step.",
         "Padding costs compute."),
    # Memory
    _fix("smaller-batch", "flag", "memory_management",
         "Halve the micro-batch and accumulate gradients.",
         "Smaller kernels may run less efficiently."),
    _fix("accumulate-gradients", "few_lines", "communication host",
         "Synchronise and update once per several micro-steps.",
         "Changes the effective batch size unless the micro-batch shrinks."),
    _fix("drop-recompute", "flag", "compute",
         "Stop recomputing activations.",
         "Takes more memory."),
    _fix("selective-recompute", "few_lines", "compute",
         "Recompute only what is cheap.",
         "Takes more memory."),
    _fix("activation-checkpointing", "few_lines", "memory_management",
         "Recompute activations instead of keeping them.",
         "Costs up to a third more compute."),
    _fix("zero-sharding", "refactor", "memory_management",
         "Shard optimizer states over the ranks.",
         "More communication; checkpoints change format."),
    _fix("model-parallel", "refactor", "memory_management",
         "Split layers inside a node, stages across nodes.",
         "More communication, and the model's code has to follow."),
    _fix("8bit-optimizer", "few_lines", "memory_management",
         "Keep optimizer states in 8 bits.",
         "Quality has to be checked."),
    _fix("expandable-segments", "flag", "memory_management",
         "Let the allocator grow segments instead of splitting them.",
         "Not available on every platform."),
    # Host
    _fix("remove-sync", "few_lines", "sync host",
         "Stop reading device values in every step.",
         "Values are seen later."),
    _fix("stop-cache-flush", "few_lines", "memory_management host sync",
         "Stop calling torch.cuda.empty_cache() in the loop.",
         "Other processes get no memory back."),
    _fix("gc-policy", "few_lines", "stalls host",
         "Collect garbage at chosen steps.",
         "Reference cycles live longer."),
    _fix("log-less-often", "few_lines", "sync host",
         "Log every k-th step.",
         "Fewer points in the curves."),
    _fix("hoist-python", "few_lines", "host",
         "Move Python work out of the training loop.",
         "None known."),
    _fix("debug-off", "flag", "host sync communication",
         "Unset the debugging switch.",
         "Errors are reported later, and with less detail."),
    _fix("async-checkpoint", "few_lines", "stalls",
         "Write checkpoints in the background.",
         "Takes host memory for a copy."),
    _fix("evaluate-less-often", "flag", "stalls",
         "Evaluate less often, or on fewer samples.",
         "Fewer points of the validation curve."),
    _fix("thread-count", "flag", "host data",
         "Fit thread counts to the cores.",
         "None known."),
    _fix("numa-binding", "infrastructure", "host data memcpy",
         "Bind each rank to the cores near its GPU.",
         "Has to follow the machine's topology."),
    # Communication
    _fix("wrap-ddp", "few_lines", "communication host",
         "Let DistributedDataParallel reduce gradients during backward.",
         "Takes memory for the buckets; do not reduce by hand as well."),
    _fix("ddp-bucket-size", "flag", "communication",
         "Change the size of DDP's buckets.",
         "Too large a bucket hides less."),
    _fix("ddp-bucket-view", "flag", "communication compute",
         "Let gradients be views into the buckets.",
         "Gradients cannot be detached in place."),
    _fix("static-graph", "flag", "communication host",
         "Tell DDP that the graph never changes.",
         "Wrong when some parameters are not used in every step."),
    _fix("no-sync", "few_lines", "communication",
         "Reduce gradients only in the last micro-step.",
         "FSDP keeps whole gradients meanwhile."),
    _fix("compress-gradients", "few_lines", "communication",
         "Reduce gradients in bf16.",
         "Rounding in the reduction."),
    _fix("reduce-in-bf16", "flag", "communication",
         "Reduce in bf16 instead of fp32.",
         "Rounding in the reduction, more so with many ranks."),
    _fix("fsdp-prefetch", "flag", "communication",
         "Gather the next layer earlier.",
         "Takes memory for one more layer."),
    _fix("fsdp-keep-unsharded", "flag", "communication",
         "Keep parameters whole between forward and backward.",
         "Takes memory for all parameters."),
    _fix("hybrid-shard", "few_lines", "communication",
         "Shard within a node, replicate across nodes.",
         "Takes memory for one copy per node."),
    _fix("enable-p2p", "infrastructure", "communication memcpy",
         "Let the GPUs reach each other directly.",
         "Depends on the machine."),
    _fix("topology-placement", "infrastructure", "communication",
         "Place ranks near the peers they talk to.",
         "Depends on the scheduler."),
    _fix("nccl-backend", "few_lines", "communication memcpy host sync",
         "Exchange CUDA tensors with NCCL instead of gloo.",
         "Needs one GPU for each rank."),
    _fix("skip-buffer-broadcast", "flag", "communication",
         "Stop broadcasting buffers in every step.",
         "Buffers of the ranks differ: statistics of batch norms are those of one rank."),
    _fix("join-collectives", "few_lines", "communication sync host",
         "Exchange small values together, and less often.",
         "Values are seen later."),
    _fix("more-microbatches", "flag", "communication skew",
         "Fill the pipeline with more micro-batches.",
         "Smaller kernels, or a larger batch."),
    _fix("balance-stages", "refactor", "skew",
         "Give every pipeline stage the same work.",
         "Checkpoints may change layout."),
    _fix("repair-straggler", "infrastructure", "skew",
         "Find out why one rank is slow.",
         "None known."),
    _fix("repair-link", "infrastructure", "data memcpy",
         "Bring the PCIe link back to its full speed.",
         "Needs the machine's operator."),
    _fix("free-device", "infrastructure", "compute",
         "Keep other processes off the GPU.",
         "Whose they are has to be found out first."),
    _fix("fix-throttling", "infrastructure", "compute",
         "Cool the GPU or raise its power limit.",
         "Needs the machine's operator."),
)
# fmt: on

FIXES: Mapping[str, Fix] = {fix.id: fix for fix in _TABLE}
"""Every fix by its id."""


def recommend(
    fix: str,
    *,
    rule: str,
    facts: Facts,
    action: str,
    why: str,
    how: str,
    gain: Gain,
    watch: str,
    requires: tuple[str, ...] = (),
    risk: str | None = None,
    effort: Effort | None = None,
) -> Recommendation:
    """One recommendation; `watch` is the part of the step that should fall.

    Effort and risk are those of the table unless the rule knows better for this run.

    Raises KeyError for an id that is not in the table.
    """
    known = FIXES[fix]
    return Recommendation(
        id=fix,
        rule=rule,
        action=action,
        why=why,
        how=how,
        gain=gain,
        verify=_verify(facts, fix, requires, watch),
        requires=requires,
        effort=known.effort if effort is None else effort,
        risk=known.risk if risk is None else risk,
    )


def _verify(facts: Facts, fix: str, requires: tuple[str, ...], watch: str) -> str:
    """The command that measures the promise; a recording that does not know its command can only be compared.

    Most fixes are changes of code or of the machine that nobody can make from outside: two runs are then compared. What
    a fix needs is part of its promise.
    """
    if facts.critical.environment.command:
        together = [*(one for one in requires if one in FIXES), fix]
        fixes = " ".join(f"--fix {one}" for one in together)
        if all(one in applicable() for one in together):
            numeric = any(known.numerics for one in together if (known := about(one)) is not None)
            return f"llmprof try {fixes}{' --allow-numerics' if numeric else ''} RUN"
        return f"Record the changed run as RUN2, then `llmprof try {fixes} RUN --against RUN2`."
    return f"Apply it, run `llmprof run -- COMMAND` and look at {watch}."
