"""From where on does input limit a step, and what do its fixes save? Limits of the rules on data."""

from __future__ import annotations

from llmprof.analyzers.rules.thresholds.record import (
    DATALOADER,
    ML_ENGINEERING,
    OWN,
    SAGEMAKER,
    TENSORBOARD,
    TRACELENS,
    TRACEML,
    XPROF,
    Threshold,
    factor,
    share,
)

# input-starvation

INPUT_WAIT = share(
    "input-wait", 0.05, f"{TENSORBOARD}; {XPROF}", "Both call a run input-limited from 5 % of the step on."
)
INPUT_WAIT_IN_PROCESS = share(
    "input-wait-in-process", 0.01, OWN, "With num_workers=0 the whole wait is avoidable and the fix is one argument."
)
SPARE_WORKERS = Threshold(
    name="spare-workers",
    value=1,
    unit="workers",
    source=DATALOADER,
    reason="Batches arrive in order, so one slow batch delays all; one worker beyond the mean demand hides it.",
)
WORKERS_AT_LEAST = factor(
    "workers-low-gain",
    0.7,
    OWN,
    "An assumption: workers compete for cores and memory bandwidth, so part of the gain may stay out.",
)
PREFETCH_SHARE = factor(
    "prefetch-gain",
    0.5,
    OWN,
    "Fetches that are fast enough on average wait only for their slow ones; a deeper queue hides some.",
)
PREPROCESSING_SHARE = factor(
    "preprocessing-gain",
    0.5,
    OWN,
    "Middle of none and all of the work a batch: how much of it can be done beforehand is not known.",
)
EPOCH_SPIKE = share(
    "epoch-spike",
    0.05,
    OWN,
    "Mean step above the median by this much: the waits are rare and long, as at an epoch's start.",
)
RANK_DIFFERENCE = share(
    "rank-difference",
    0.10,
    TRACEML,
    "A rank waits longer than another by a tenth of the step: the input of that rank is to blame.",
)


# pageable-transfers

PAGEABLE_COST = share(
    "pageable-cost",
    0.01,
    OWN,
    "Token ids of a few kilobytes are copied from pageable memory in any run and cost nothing.",
)
PINNED_SPEEDUP = factor(
    "pinned-speedup",
    1.4,
    ML_ENGINEERING,
    "Measured there: a loop with pinned memory and non-blocking copies ran in 0.459 s instead of 0.646 s.",
)


# exposed-input-copy, slow-copies

EXPOSED_COPY = share("exposed-copy", 0.05, TRACELENS, "TraceLens' mark for copies of one direction that nothing hides.")
LINK_ACHIEVABLE = factor(
    "link-achievable", 0.87, ML_ENGINEERING, "Measured there: copies over PCIe 5 x16 reach 55 of 63 GB/s."
)
SLOW_COPY = factor(
    "slow-copy",
    0.6,
    OWN,
    "An assumption: below the half that one PCIe generation or half a width less would leave, with room for noise.",
)
LARGE_COPY = Threshold(
    name="large-copy",
    value=2**20,
    unit="bytes",
    source=OWN,
    reason="At 50 GB/s a MiB takes 20 us, several times what starting a copy takes: smaller ones measure the start.",
)
SLOW_COPY_COST = share("slow-copy-cost", 0.01, OWN, "Less of the step cannot be told from its noise.")


# main-thread-preprocessing

PREPARING = share(
    "preparing", 0.05, f"{TENSORBOARD}; {XPROF}", "Work on the batch in the loop is input: their mark for input."
)


# worker-count-over-cores

WORKERS_PER_CORE = factor(
    "workers-per-core", 2.0, SAGEMAKER, "SageMaker Debugger reports loader workers above 200 % of the cores."
)


# epoch-boundary-stall

EPOCH_COST = share("epoch-cost", 0.01, OWN, "Less of the step cannot be told from its noise.")
EPOCH_LEAST = Threshold(
    name="epoch-least",
    value=1.0,
    unit="steps",
    source=OWN,
    reason="A start of an epoch that takes less than one step costs at most a step an epoch: nothing to mend.",
)


# heavy-tailed-batches

TAIL_SHARE = factor(
    "tail", 0.5, OWN, "By majority: most of the wait is gone when all batches take as long as the mean."
)


# input-imbalance

IMBALANCE_EXPLAINS = factor(
    "imbalance-explains",
    0.8,
    TRACEML,
    "TraceML blames the input of a rank when it explains four fifths of what the others wait.",
)


# variable-shapes

SHAPE_COST = share("shape-cost", 0.01, OWN, "Less of the step cannot be told from its noise.")
