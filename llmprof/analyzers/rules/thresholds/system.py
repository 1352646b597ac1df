"""From where on is the machine to blame, or the course of the run? Limits of the rules on hardware and on its steps."""

from __future__ import annotations

from llmprof.analyzers.rules.thresholds.record import (
    ML_ENGINEERING,
    OWN,
    SAGEMAKER,
    TRACEML,
    Threshold,
    factor,
    share,
)

MINDSTUDIO = "MindStudio profiling advisor (Ascend/msprof-analyze)"
DCGM = "NVIDIA DCGM documentation, profiling metrics"
NVML = "NVIDIA NVML API reference"

# throttling, power-cap

THROTTLED = Threshold(
    name="throttled",
    value=0.01,
    unit="share of the time",
    source=OWN,
    reason="A hundredth of the samples: cooling and power supply never hold a healthy GPU back.",
)
POWER_CAPPED = Threshold(
    name="power-capped",
    value=0.05,
    unit="share of the time",
    source=MINDSTUDIO,
    reason="Its mark for clocks below the rated ones; running into the power limit under full load is normal.",
)
POWER_LOWERED = Threshold(
    name="power-lowered",
    value=0.98,
    unit="of the default limit",
    source=NVML,
    reason="Enforced below the default power limit, rounding aside: somebody has set it.",
)

# ecc-errors

ECC_ERRORS = Threshold(
    name="ecc-errors",
    value=1,
    unit="uncorrected errors",
    source=NVML,
    reason="An uncorrected error means wrong data in memory.",
)

# pcie-downgrade

LINK_USED = Threshold(
    name="link-used",
    value=100e6,
    unit="B/s",
    source=OWN,
    reason="An idle link falls back to generation 1; with this much traffic it is up.",
)

# numa-misaffinity

FAR_COPIES = factor(
    "far-copies",
    0.2,
    OWN,
    "An assumption, at most: share of the copy time that the way through the other socket takes.",
)

# foreign-processes, foreign-memory

FOREIGN_SMALL = Threshold(
    name="foreign-small",
    value=2**30,
    unit="bytes",
    source=ML_ENGINEERING,
    reason="A CUDA context alone takes 0.5 to 2 GiB, so a process with less only looks at the device.",
)
HIDDEN_MEMORY = Threshold(
    name="hidden-memory",
    value=4 * 2**30,
    unit="bytes",
    source=ML_ENGINEERING,
    reason="The CUDA context takes up to 2 GiB and NCCL 1 to 2 GiB; more is neither.",
)

# host-memory-pressure

HOST_FULL = Threshold(
    name="host-full",
    value=0.80,
    unit="share of the host's memory",
    source=TRACEML,
    reason="TraceML's mark for memory of the system.",
)

# hollow-utilization

UTILIZATION_FULL = Threshold(
    name="utilization-full",
    value=0.95,
    unit="share of the time",
    source=NVML,
    reason="Nearly always some kernel runs; NVML's figure does not say how much of the GPU it uses.",
)
SM_HOLLOW = Threshold(
    name="sm-hollow",
    value=0.5,
    unit="share of SM cycles",
    source=DCGM,
    reason="Below 0.5 DCGM calls the use of the GPU ineffective; 0.8 is needed for effective use.",
)
POWER_HOLLOW = Threshold(
    name="power-hollow",
    value=0.5,
    unit="of the power limit",
    source=OWN,
    reason="Where SM activity was not sampled: a GPU that computes draws most of its power limit.",
)

# gpu-spread

GPU_SPREAD = Threshold(
    name="gpu-spread",
    value=0.05,
    unit="share of the time of shared kernels",
    source=f"{MINDSTUDIO}; {ML_ENGINEERING}",
    reason="The advisor's mark for ranks that differ; GPUs of one node were seen to differ by 5 %.",
)

# step-outliers

OUTLIER_COST = share("outlier-cost", 0.01, OWN, "Long steps that cost a hundredth of the mean step.")
OUTLIERS_FEW = Threshold(
    name="outliers-few",
    value=0.8,
    unit="share of what long steps cost",
    source=OWN,
    reason="Less of it in the longest tenth of the steps: then long steps are a kind of step, not outliers.",
)

# checkpoint-stall, evaluation-stall

STALL_COST = share("stall-cost", 0.03, MINDSTUDIO, "What takes 3 % of the step is marked as of medium weight.")
ASYNC_EXPECTED = factor(
    "async-checkpoint-gain",
    0.9,
    "PyTorch blog on asynchronous distributed checkpointing (2024)",
    "Training was held up 10 times and more shorter: what is left is the copy to host memory.",
)
ASYNC_LOW = factor(
    "async-checkpoint-low",
    0.5,
    OWN,
    "An assumption, where the size of the states is not known: the copy to host memory is half of a checkpoint.",
)
COPY_RATE = Threshold(
    name="checkpoint-copy-rate",
    value=1.0,
    unit="GB/s",
    source=OWN,
    reason="The slowest way to host memory: pageable, and touched for the first time. Own recordings on H200s of "
    "training that copies 220 and 310 MB so: 1.1 and 1.2 GB/s. Pinned memory that is kept takes the rate of the link.",
)
EVALUATE_HALF = factor("evaluate-half", 0.5, OWN, "By arithmetic: half as many evaluations cost half as much.")

# step-drift

DRIFT = Threshold(
    name="drift",
    value=0.01,
    unit="growth of the step per 100 steps",
    source=OWN,
    reason="At this pace a step is a tenth longer after a thousand steps.",
)
DRIFT_STEPS = Threshold(
    name="drift-steps", value=200, unit="steps", source=OWN, reason="Fewer steps do not tell a drift from a phase."
)
DRIFT_TOKENS = factor("drift-tokens", 0.5, OWN, "When tokens grow half as fast as the step, the work has grown.")

# long-warm-up

WARM_UP_NOTED = Threshold(
    name="warm-up-noted",
    value=60,
    unit="s",
    source=OWN,
    reason="A minute of every start and restart: worth knowing, seldom worth work.",
)
WARM_UP_LONG = Threshold(
    name="warm-up-long",
    value=20 * 60,
    unit="s",
    source=SAGEMAKER,
    reason="SageMaker's limit for the initialisation of a run.",
)

# profiler-perturbation

LEFT_BEHIND = Threshold(
    name="left-behind",
    value=0.05,
    unit="of the step before the burst",
    source=OWN,
    reason="Steps after the burst that are this much longer than those before: something of the profiler stayed.",
)
