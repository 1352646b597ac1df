"""From where on does the host limit a step, and what do its fixes save? Limits of the rules on the host."""

from __future__ import annotations

from llmprof.analyzers.rules.thresholds.record import OWN, XPROF, Threshold, factor, share

# launch-bound

LAUNCH_SHARE = share(
    "launch-wait", 0.03, XPROF, "XProf's lower mark for time lost to kernel launch; its upper one is 15 %."
)
PAUSE = Threshold(
    name="pause",
    value=1.0,
    unit="ms",
    source=OWN,
    reason="No launch takes a millisecond: launch-bound recordings hold a tenth of their waits in spans this long, "
    "a run whose allocator starts over nearly all of them.",
)
GRAPHS_LOW = factor("graphs-low-gain", 0.5, OWN, "An assumption: graph breaks leave half of the launch wait.")
GRAPHS_EXPECTED = factor(
    "graphs-gain",
    0.85,
    OWN,
    "Middle of an assumed 0.7 to 1.0 of the launch wait; one H200 recording is in line with it.",
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
    "foreach-host-rest", 0.2, OWN, "An assumption: a foreach step still launches about a dozen list operations."
)
