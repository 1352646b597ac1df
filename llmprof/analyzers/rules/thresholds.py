"""Which numbers does the judgement use, and why these? Every limit with its unit, its public source and its reason.

Where no published figure exists the source is "llmprof", and the reason says what the figure rests on.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ALL", "Threshold"]

_TB = "PyTorch Profiler TensorBoard plugin (pytorch/kineto, tb_plugin)"
_XP = "XProf smart suggestions (openxla/xprof)"
_SM = "SageMaker Debugger profiler rules (awslabs/sagemaker-debugger)"
_TL = "TraceLens (AMD-AGI/TraceLens)"
_TM = "TraceML (traceopt-ai/traceml)"
_MB = "Megatron-Bridge performance guide (NVIDIA-NeMo/Megatron-Bridge)"
_ML = "Machine Learning Engineering (stas00/ml-engineering)"
_HF = "Hugging Face Transformers performance documentation"
_DS = "PyTorch DataLoader documentation"
_OWN = "llmprof"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One number that decides something."""

    name: str
    value: float
    unit: str
    source: str
    reason: str


def _share(name: str, value: float, source: str, reason: str) -> Threshold:
    return Threshold(name=name, value=value, unit="share of the step", source=source, reason=reason)


def _factor(name: str, value: float, source: str, reason: str) -> Threshold:
    return Threshold(name=name, value=value, unit="factor", source=source, reason=reason)


# How bad a finding is, and how sure

SEVERITY_WARNING = _share("severity-warning", 0.05, _TL, "TraceLens marks what takes 5 % of the time as important.")
SEVERITY_CRITICAL = _share(
    "severity-critical", 0.15, _XP, "The upper of XProf's two marks for launch and communication."
)
NOISE_SHARE = _share(
    "noise", 0.01, _OWN, "An assumption for when the spread of the step is not known: a hundredth is taken as noise."
)
NOISE_ERRORS = Threshold(
    name="noise-errors",
    value=2.0,
    unit="standard errors of the mean step",
    source=_OWN,
    reason="Two standard errors: a smaller difference is chance in more than one of twenty comparisons.",
)
CONFIDENCE_TRACE = Threshold(
    name="confidence-trace",
    value=0.85,
    unit="confidence",
    source=_OWN,
    reason="A trace without device counters that agree with it.",
)
CONFIDENCE_PERTURBED = Threshold(
    name="confidence-perturbed",
    value=0.69,
    unit="confidence",
    source=_OWN,
    reason="At most medium when the profiled step differs from the real one, or the real one was not measured.",
)
CONFIDENCE_UNEXPLAINED = Threshold(
    name="confidence-unexplained",
    value=0.4,
    unit="confidence",
    source=_OWN,
    reason="The recording and the measured step do not fit together.",
)
PERTURBED_SHARE = _share("perturbed", 0.10, _OWN, "A profiled step more than a tenth slower is taken as another step.")
REMAINDER_SHARE = _share("remainder", 0.05, _OWN, "What the partition of the real step may leave unexplained.")
HOST_LATE_SHARE = _share(
    "host-late",
    0.20,
    _OWN,
    "From here on the device is taken to wait for the host or the input; XProf and TraceML call a share of 20 % high.",
)

# input-starvation

INPUT_WAIT = _share("input-wait", 0.05, f"{_TB}; {_XP}", "Both call a run input-limited from 5 % of the step on.")
INPUT_WAIT_IN_PROCESS = _share(
    "input-wait-in-process", 0.01, _OWN, "With num_workers=0 the whole wait is avoidable and the fix is one argument."
)
SPARE_WORKERS = Threshold(
    name="spare-workers",
    value=1,
    unit="workers",
    source=_DS,
    reason="Batches arrive in order, so one slow batch delays all; one worker beyond the mean demand hides it.",
)
WORKERS_AT_LEAST = _factor(
    "workers-low-gain",
    0.7,
    _OWN,
    "An assumption: workers compete for cores and memory bandwidth, so part of the gain may stay out.",
)
REFILL_SHARE = _factor(
    "refill",
    0.20,
    _OWN,
    "After a wait every launch is waited for until the queue fills; bounded by what the H200 recordings show.",
)
PREFETCH_SHARE = _factor(
    "prefetch-gain",
    0.5,
    _OWN,
    "Fetches that are fast enough on average wait only for their slow ones; a deeper queue hides some.",
)
PREPROCESSING_SHARE = _factor(
    "preprocessing-gain",
    0.5,
    _OWN,
    "Middle of none and all of the wait: how much of the work can be done beforehand is not known.",
)
EPOCH_SPIKE = _share(
    "epoch-spike",
    0.05,
    _OWN,
    "Mean step above the median by this much: the waits are rare and long, as at an epoch's start.",
)
RANK_DIFFERENCE = _share(
    "rank-difference",
    0.10,
    _TM,
    "A rank waits longer than another by a tenth of the step: the input of that rank is to blame.",
)

# pageable-transfers

PAGEABLE_COST = _share(
    "pageable-cost",
    0.01,
    _OWN,
    "Token ids of a few kilobytes are copied from pageable memory in any run and cost nothing.",
)
PINNED_SPEEDUP = _factor(
    "pinned-speedup",
    1.4,
    _ML,
    "Measured there: a loop with pinned memory and non-blocking copies ran in 0.459 s instead of 0.646 s.",
)

# launch-bound

LAUNCH_SHARE = _share(
    "launch-wait", 0.03, _XP, "XProf's lower mark for time lost to kernel launch; its upper one is 15 %."
)
PAUSE = Threshold(
    name="pause",
    value=1.0,
    unit="ms",
    source=_OWN,
    reason="No launch takes a millisecond: launch-bound recordings hold a tenth of their waits in spans this long, "
    "a run whose allocator starts over nearly all of them.",
)
GRAPHS_LOW = _factor("graphs-low-gain", 0.5, _OWN, "An assumption: graph breaks leave half of the launch wait.")
GRAPHS_EXPECTED = _factor(
    "graphs-gain",
    0.85,
    _OWN,
    "Middle of an assumed 0.7 to 1.0 of the launch wait; one H200 recording is in line with it.",
)
GRAPHS_DISTRIBUTED = _factor(
    "graphs-gain-distributed",
    0.5,
    _OWN,
    "With several ranks graphs break at gradient buckets (PyTorch documentation); that half is left is assumed.",
)
COMPILE_LOW = _factor(
    "compile-low-gain", 0.2, _OWN, "An assumption: fusion removes launches only where operators stand in a chain."
)
COMPILE_EXPECTED = _factor(
    "compile-gain", 0.45, _OWN, "An assumption: somewhat less than half of the launches are fused away. Not measured."
)
COMPILE_HIGH = _factor(
    "compile-high-gain", 0.75, _OWN, "An assumption: guards, optimizer and code outside the compiled module remain."
)
GRAPH_SYNCS = Threshold(
    name="graph-syncs",
    value=2,
    unit="host syncs per step",
    source=_OWN,
    reason="One read of the loss at the end of a step does no harm; a sync inside the model breaks the graph.",
)

# fp32-matmul

FP32_GEMM = _share(
    "fp32-gemm", 0.01, _OWN, "Matrix products on CUDA cores run an order of magnitude below tensor cores."
)
TF32_GEMM = _share(
    "tf32-gemm", 0.05, _OWN, "TF32 has half the peak of bf16 and twice its traffic: worth less, so a higher mark."
)
FORMAT_FASTER = _factor(
    "format-faster", 0.75, _OWN, "An assumption, at best: the new format comes closer to its peak than the old one."
)
FORMAT_EXPECTED = _factor(
    "format-expected",
    1.1,
    _OWN,
    "Achievable bf16 is about 0.8 of the peak (stas00/ml-engineering); fp32 on CUDA cores is assumed at 0.9.",
)
FORMAT_SLOWER = _factor(
    "format-slower", 1.6, _OWN, "An assumption, at worst: small or odd shapes that memory or launch tails limit."
)
FP32_TO_TENSOR_CORES = _factor(
    "fp32-to-tensor-cores",
    0.25,
    "NVIDIA A10 and L40S datasheets",
    "For a device whose peaks are not known: the smallest step up among data-centre GPUs since Ampere (A10, L40S).",
)
TF32_TO_BF16 = _factor("tf32-to-bf16", 0.5, "NVIDIA A100, H100 and B200 datasheets", "bf16 has twice the rate of TF32.")
ATTENTION_EXPECTED = _factor(
    "attention-expected",
    2.0,
    _TL,
    "TraceLens expects fused attention at 0.4-0.6 of the peak for 2k tokens: half of it.",
)
ATTENTION_SLOWER = _factor("attention-slower", 3.0, _TL, "TraceLens expects 0.2-0.4 of the peak for 1k tokens.")
HALVED_TRAFFIC = _factor(
    "halved-traffic",
    0.5,
    "PyTorch AMP documentation",
    "bf16 tensors are half as long; but norms and losses stay in fp32.",
)

# unfused-optimizer

OPTIMIZER_COST = _share("optimizer-cost", 0.01, _OWN, "Below this no optimizer implementation changes the step.")
OPTIMIZER_TRAFFIC = _factor(
    "fused-traffic",
    0.65,
    _OWN,
    "By count, fp32 AdamW moves 28 bytes per parameter in one pass, about 80 in one pass per operation.",
)
OPTIMIZER_LOW = _factor(
    "optimizer-low", 0.6, _OWN, "An assumption: clipping, scaling and zeroing around the update stay as they are."
)
FUSED_HOST_REST = _factor(
    "fused-host-rest", 0.05, _OWN, "An assumption: host time of a fused step over that of a for-loop step."
)
FOREACH_HOST_REST = _factor(
    "foreach-host-rest", 0.2, _OWN, "An assumption: a foreach step still launches about a dozen list operations."
)

# exposed-collectives

EXPOSED_COMMUNICATION = _share("exposed-communication", 0.05, _TL, "TraceLens' mark for exposed communication.")
UNOVERLAPPED = Threshold(
    name="unoverlapped",
    value=0.7,
    unit="share of collective time",
    source=_TL,
    reason="TraceLens expects 70 % of communication to be hidden; here almost none is.",
)
MANY_COLLECTIVES = Threshold(
    name="many-collectives",
    value=100,
    unit="collectives per step",
    source=_OWN,
    reason="DDP's default buckets of 25 MiB make tens of collectives per step; more is taken as one per parameter.",
)
FEW_COLLECTIVES = Threshold(
    name="few-collectives",
    value=30,
    unit="collectives per step",
    source=_OWN,
    reason="As many as DDP's buckets make of a model of some hundred million parameters: a count tells nothing.",
)
PARAMETER_MATCH = _factor(
    "parameter-match", 0.2, _OWN, "Collectives and parameter tensors differ by at most this part."
)
BACKWARD_SHARE = _factor(
    "backward-share",
    2 / 3,
    "PaLM (Chowdhery et al. 2022), appendix B",
    "The backward pass has twice the FLOPs of the forward pass.",
)
OVERLAP_LOW = _factor(
    "overlap-low-gain", 0.3, _OWN, "An assumption: little backward work to hide behind, or a slow link."
)
OVERLAP_EXPECTED = _factor(
    "overlap-gain",
    0.7,
    _TL,
    "TraceLens calls less than 70 % of hidden communication poor; DDP is expected to reach it.",
)
BUCKET_EXPECTED = _factor(
    "bucket-gain", 0.25, _OWN, "An assumption: bucket order and size move the exposed tail, not the volume."
)
BUCKET_HIGH = _factor("bucket-high-gain", 0.5, _OWN, "An assumption: the last bucket stays exposed.")
ACCUMULATION_STEPS = Threshold(
    name="accumulation-steps",
    value=2,
    unit="micro-steps",
    source=_OWN,
    reason="The smallest accumulation that saves anything; the gain is per micro-step.",
)

# memory-near-limit

RESERVED_FULL = Threshold(
    name="reserved-full",
    value=0.97,
    unit="share of device memory",
    source=_TM,
    reason="TraceML's critical mark; the driver, NCCL and the CUDA context need the rest.",
)
ALLOCATED_LOW = Threshold(
    name="allocated-low",
    value=0.5,
    unit="share of device memory",
    source=_SM,
    reason="SageMaker calls a batch too small when memory stays below 70 %; at half a doubled batch still fits.",
)
FRAGMENTED = Threshold(
    name="fragmented",
    value=0.10,
    unit="share of device memory",
    source=_OWN,
    reason="Reserved by the allocator and never in use: this much makes room for larger tensors when given back.",
)
RECOMPUTE_EXPECTED = _factor(
    "recompute-cost", 0.25, f"{_HF}; {_MB}", "Between about 20 % slower and 30 % more compute."
)
RECOMPUTE_LOW = _factor("recompute-low-cost", 0.15, _OWN, "An assumption: about every second block is recomputed.")
RECOMPUTE_HIGH = _factor("recompute-high-cost", 1 / 3, _OWN, "A whole second forward pass: a third of the compute.")
CHECKPOINTED_SHARE = _factor(
    "checkpointed", 0.6, _OWN, "An assumption: part of the activations that checkpointing frees."
)
STATE_PER_PARAMETER = Threshold(
    name="state-per-parameter",
    value=4,
    unit="times the parameter bytes",
    source=_HF,
    reason="Weights, gradients and two Adam moments in the format of the weights.",
)

# out-of-memory

FIT_SHARE = Threshold(
    name="fits",
    value=0.92,
    unit="share of device memory",
    source=_TM,
    reason="TraceML's lower mark of memory pressure: what is to fit needs room for fragments and for other shapes.",
)
STATES_DOMINATE = Threshold(
    name="states-dominate",
    value=0.40,
    unit="share of the memory in use",
    source=_OWN,
    reason="From here on weights, gradients and optimizer states are taken to be worth sharding.",
)
EIGHT_BIT_FREES = _factor("eight-bit-frees", 0.75, "bitsandbytes documentation", "32 bits of each state become 8.")

# fragmentation

RESERVED_TWICE = _factor("reserved-twice", 2.0, _TM, "Reserved over allocated, from which TraceML warns of fragments.")
RESERVED_MUCH = Threshold(
    name="reserved-much",
    value=0.30,
    unit="share of device memory",
    source=_TM,
    reason="Below it TraceML does not look at reserved over allocated: a cache on an empty device is no harm.",
)

ALL: tuple[Threshold, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Threshold))
"""Every threshold, in the order above."""
