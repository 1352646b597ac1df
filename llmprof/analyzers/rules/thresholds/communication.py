"""From where on does communication limit a step, and what do its fixes save? Limits of its rules."""

from __future__ import annotations

from llmprof.analyzers.rules.thresholds.record import (
    ML_ENGINEERING,
    OWN,
    TRACELENS,
    TRACEML,
    XPROF,
    Threshold,
    factor,
    share,
)

MSPROF = "msprof-analyze advisor (Ascend)"

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
BUCKET_HIGH = factor("bucket-high-gain", 0.5, OWN, "An assumption: the last bucket stays exposed.")
ACCUMULATION_STEPS = Threshold(
    name="accumulation-steps",
    value=2,
    unit="micro-steps",
    source=OWN,
    reason="The smallest accumulation that saves anything; the gain is per micro-step.",
)

# small-ddp-buckets, fp32-gradients, fsdp-reshard, fsdp-prefetch, slow-interconnect, tiny-collectives

COMMUNICATION_COST = share(
    "communication-cost", 0.03, XPROF, "XProf's lower mark for collectives: less is not worth a change."
)
REPLAY_LOW = factor(
    "replay-low", 0.5, OWN, "An assumption: of a replayed gain half is taken as certain, as for any edit of a replay."
)

# sync-every-microbatch

REDUCED_OFTEN = Threshold(
    name="reduced-often",
    value=1.5,
    unit="times the gradients per step",
    source=OWN,
    reason="Gradients that are reduced once per step make 1, those of two micro-batches 2; between them lies the mark.",
)

# fp32-gradients

CAST_BYTES = Threshold(
    name="cast-bytes",
    value=21,
    unit="bytes per gradient",
    source="PyTorch, torch.distributed.algorithms.ddp_comm_hooks.default_hooks, and llmprof's sample recordings",
    reason="bf16_compress_hook reads 4 and writes 2 bytes, divides in place (2 and 2), and copies back (2 and 4); the "
    "kernel that widens bf16 is not vectorised and takes as long as for 11 (2.05 TB/s on H200s, 4.4 the other way).",
)

# slow-interconnect

SLOW_LINK = Threshold(
    name="slow-link",
    value=0.5,
    unit="of the expected bus bandwidth",
    source=OWN,
    reason="Rings of two H200 over NVLink reached 0.65 to 0.83 of the expected rate in our recordings, through host "
    "memory (NCCL_P2P_DISABLE=1) 0.08; half of it is another path.",
)
LARGE_MESSAGE = Threshold(
    name="large-message",
    value=16,
    unit="MiB",
    source=ML_ENGINEERING,
    reason="On four nodes bandwidth is reached from 16 MiB on; smaller messages are slow by latency.",
)

# tiny-collectives

TINY_MESSAGE = Threshold(
    name="tiny-message",
    value=64,
    unit="KiB",
    source=OWN,
    reason="At 10 GB/s and more its bytes take some µs: such a message is latency alone.",
)

# ddp-bucket-view

BUCKET_COPY = share("bucket-copy", 0.01, OWN, "Below this the copies cannot be told from noise.")

# straggler-rank, launch-jitter

STRAGGLER = share("straggler", 0.10, TRACEML, "TraceML's lower mark for a rank that others wait for.")
STRAGGLER_CAUSE = Threshold(
    name="straggler-cause",
    value=0.5,
    unit="share of the excess",
    source=OWN,
    reason="One class that makes up more than half of what a rank does longer is named as what it does longer.",
)
JITTER = share("jitter", 0.05, MSPROF, "The advisor's mark for the spread between ranks.")
JITTER_GAIN = factor("jitter-gain", 0.5, OWN, "An assumption: causes of jitter are several, and one fix removes one.")
SLOWER_CLOCK = factor(
    "slower-clock", 0.03, OWN, "Devices of one model differ by some percent: a clock lower by more explains slowness."
)

# pipeline-bubble, stage-imbalance

BUBBLE = share("bubble", 0.10, OWN, "A pipeline with nine times as many micro-batches as further stages has this.")
BUBBLE_SEEN = factor(
    "bubble-seen", 0.5, OWN, "Of the bubble that the schedule makes, this much has to be seen as waiting."
)
STAGE_SPREAD = factor("stage-spread", 0.05, MSPROF, "The advisor's mark for uneven pipeline stages.")
