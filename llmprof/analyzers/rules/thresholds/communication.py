"""From where on does communication limit a step, and what do its fixes save? Limits of its rules."""

from __future__ import annotations

from llmprof.analyzers.rules.thresholds.record import OWN, TRACELENS, Threshold, factor, share

# exposed-collectives

EXPOSED_COMMUNICATION = share("exposed-communication", 0.05, TRACELENS, "TraceLens' mark for exposed communication.")
UNOVERLAPPED = Threshold(
    name="unoverlapped",
    value=0.7,
    unit="share of collective time",
    source=TRACELENS,
    reason="TraceLens expects 70 % of communication to be hidden; here almost none is.",
)
MANY_COLLECTIVES = Threshold(
    name="many-collectives",
    value=100,
    unit="collectives per step",
    source=OWN,
    reason="DDP's default buckets of 25 MiB make tens of collectives per step; more is taken as one per parameter.",
)
FEW_COLLECTIVES = Threshold(
    name="few-collectives",
    value=30,
    unit="collectives per step",
    source=OWN,
    reason="As many as DDP's buckets make of a model of some hundred million parameters: a count tells nothing.",
)
PARAMETER_MATCH = factor("parameter-match", 0.2, OWN, "Collectives and parameter tensors differ by at most this part.")
BACKWARD_SHARE = factor(
    "backward-share",
    2 / 3,
    "PaLM (Chowdhery et al. 2022), appendix B",
    "The backward pass has twice the FLOPs of the forward pass.",
)
OVERLAP_LOW = factor(
    "overlap-low-gain", 0.3, OWN, "An assumption: little backward work to hide behind, or a slow link."
)
OVERLAP_EXPECTED = factor(
    "overlap-gain",
    0.7,
    TRACELENS,
    "TraceLens calls less than 70 % of hidden communication poor; DDP is expected to reach it.",
)
BUCKET_EXPECTED = factor(
    "bucket-gain", 0.25, OWN, "An assumption: bucket order and size move the exposed tail, not the volume."
)
BUCKET_HIGH = factor("bucket-high-gain", 0.5, OWN, "An assumption: the last bucket stays exposed.")
ACCUMULATION_STEPS = Threshold(
    name="accumulation-steps",
    value=2,
    unit="micro-steps",
    source=OWN,
    reason="The smallest accumulation that saves anything; the gain is per micro-step.",
)
