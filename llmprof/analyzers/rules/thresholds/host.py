"""From where on does the host limit a step, and what do its fixes save? Limits of the rules on the host."""

from __future__ import annotations

from llmprof.analyzers.rules.thresholds.record import OWN, SAGEMAKER, TRACELENS, XPROF, Threshold, factor, share

HTA = "Holistic Trace Analysis (facebookresearch/HolisticTraceAnalysis)"
MSPROF = "msprof-analyze advisor (Ascend/msprof-analyze)"

# launch-bound

LAUNCH_SHARE = share(
    "launch-wait", 0.03, XPROF, "XProf's lower mark for time lost to kernel launch; its upper one is 15 %."
)
PAUSE = Threshold(
    name="pause",
    value=1.0,
    unit="ms",
    source=f"{MSPROF}; {HTA}",
    reason="msprof-analyze looks for a garbage collection from 1 ms of silence on; a launch call of 50 us is an "
    "outlier to HTA already, so a wait twenty times as long is no launch.",
)
GRAPHS_LOW = factor("graphs-low-gain", 0.5, OWN, "An assumption: graph breaks leave half of the launch wait.")
GRAPHS_EXPECTED = factor(
    "graphs-gain",
    0.85,
    OWN,
    "An assumption, fitted to no recording: the middle of 0.7 to 1.0, as all launches inside the graph become one and "
    "those of the loop around it stay.",
)
GRAPHS_DISTRIBUTED = factor(
    "graphs-gain-distributed",
    0.5,
    OWN,
    "With several ranks graphs break at gradient buckets (PyTorch documentation); that half is left is assumed.",
)
COMPILE_LOW = factor(
    "compile-low-gain", 0.2, OWN, "An assumption: fusion removes launches only where operators stand in a chain."
)
COMPILE_EXPECTED = factor(
    "compile-gain", 0.45, OWN, "An assumption: somewhat less than half of the launches are fused away. Not measured."
)
COMPILE_HIGH = factor(
    "compile-high-gain", 0.75, OWN, "An assumption: guards, optimizer and code outside the compiled module remain."
)
GRAPH_SYNCS = Threshold(
    name="graph-syncs",
    value=2,
    unit="host syncs per step",
    source=OWN,
    reason="One read of the loss at the end of a step does no harm; a sync inside the model breaks the graph.",
)


# unfused-optimizer

OPTIMIZER_COST = share("optimizer-cost", 0.01, OWN, "Below this no optimizer implementation changes the step.")
OPTIMIZER_TRAFFIC = factor(
    "fused-traffic",
    0.65,
    OWN,
    "By count, fp32 AdamW moves 28 bytes per parameter in one pass, about 80 in one pass per operation.",
)
OPTIMIZER_LOW = factor(
    "optimizer-low", 0.6, OWN, "An assumption: clipping, scaling and zeroing around the update stay as they are."
)
FUSED_HOST_REST = factor(
    "fused-host-rest", 0.05, OWN, "An assumption: host time of a fused step over that of a for-loop step."
)
FOREACH_HOST_REST = factor(
    "foreach-host-rest",
    0.1,
    "PyTorch source, ATen/native/cuda/MultiTensorApply.cuh",
    "A list operation launches one kernel for 30 to 110 tensors, where a loop launches one each; lists are collected.",
)


# host-sync, per-step-logging

SYNC_COST = share(
    "sync-cost", 0.03, XPROF, "XProf's lower mark for time lost to kernel launch: after a sync launches are late too."
)
SYNC_LOW = factor("sync-low-gain", 0.5, OWN, "An assumption: half of what is read has to be read all the same.")
LOG_EVERY = Threshold(
    name="log-every",
    value=50,
    unit="steps",
    source=OWN,
    reason="What is read every 50th step costs a fiftieth of what it costs in every step, which is within the noise.",
)


# python-gc

GC_COST = share("gc-cost", 0.01, OWN, "Less of the step cannot be told from its noise.")
GC_PAUSE = Threshold(
    name="gc-pause", value=1.0, unit="ms", source=MSPROF, reason="msprof-analyze reports collections from 1 ms on."
)


# cache-flush, allocator-churn

ALLOCATOR_COST = share("allocator-cost", 0.01, OWN, "Less of the step cannot be told from its noise.")
ALLOCATOR_CALLS = Threshold(
    name="allocator-calls",
    value=0.1,
    unit="calls per step",
    source=OWN,
    reason="After warm-up the caching allocator asks the driver for nothing; one call in ten steps is no leftover.",
)


# python-overhead

PYTHON_COST = share("python-cost", 0.05, TRACELENS, "TraceLens marks what takes 5 % of the time as important.")
PYTHON_MAJORITY = factor(
    "python-majority",
    0.5,
    OWN,
    "By majority: more of the waiting is spent outside of operators than launching in them.",
)


# tiny-kernels

GAP_SHARE = share("gap", 0.03, XPROF, "XProf's lower mark for time lost to kernel launch.")
TINY_KERNEL = Threshold(
    name="tiny-kernel", value=10.0, unit="us", source=TRACELENS, reason="TraceLens counts kernels below 10 us as short."
)


# cpu-oversubscription

CPU_BUSY = factor("cpu-busy", 0.9, SAGEMAKER, "SageMaker Debugger calls a CPU the bottleneck from 90 % on.")
OVERSUBSCRIBED = factor("oversubscribed", 1.0, OWN, "By definition: more threads want to run than there are cores.")


# recompilation

COMPILE_STALL = share("compile-stall", 0.01, OWN, "After warm-up nothing should be compiled; less is within the noise.")


# debug-switches

SWITCHES = Threshold(
    name="switches",
    value=1,
    unit="switches that are on",
    source="PyTorch Performance Tuning Guide",
    reason="The guide has debugging interfaces switched off in regular training, so one is enough.",
)
