"""From where on does input limit a step, and what do its fixes save? Limits of the rules on data."""

from __future__ import annotations

from llmprof.analyzers.rules.thresholds.record import (
    DATALOADER,
    ML_ENGINEERING,
    OWN,
    TENSORBOARD,
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
REFILL_SHARE = factor(
    "refill",
    0.20,
    OWN,
    "After a wait every launch is waited for until the queue fills; bounded by what the H200 recordings show.",
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
    "Middle of none and all of the wait: how much of the work can be done beforehand is not known.",
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
