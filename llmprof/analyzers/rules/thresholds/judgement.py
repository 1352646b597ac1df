"""How bad is a finding, how sure is it, and from where on is the device late? Limits that all rules share."""

from __future__ import annotations

from llmprof.analyzers.rules.thresholds.record import OWN, TRACELENS, XPROF, Threshold, factor, share

SEVERITY_WARNING = share(
    "severity-warning", 0.05, TRACELENS, "TraceLens marks what takes 5 % of the time as important."
)
SEVERITY_CRITICAL = share(
    "severity-critical", 0.15, XPROF, "The upper of XProf's two marks for launch and communication."
)
NOISE_SHARE = share(
    "noise", 0.01, OWN, "An assumption for when the spread of the step is not known: a hundredth is taken as noise."
)
NOISE_ERRORS = Threshold(
    name="noise-errors",
    value=2.0,
    unit="standard errors of the mean step",
    source=OWN,
    reason="Two standard errors: a smaller difference is chance in more than one of twenty comparisons.",
)
EFFORT_FEW_LINES = factor(
    "effort-few-lines", 2.0, OWN, "An assumption: a flag goes first unless some lines promise twice as much."
)
EFFORT_REFACTOR = factor(
    "effort-refactor", 3.0, OWN, "An assumption: work of days, after a flag that promises a third."
)
EFFORT_INFRASTRUCTURE = factor(
    "effort-infrastructure",
    4.0,
    OWN,
    "An assumption: somebody else has to do it, after a flag that promises a quarter.",
)
CONFIDENCE_TRACE = Threshold(
    name="confidence-trace",
    value=0.85,
    unit="confidence",
    source=OWN,
    reason="A trace without device counters that agree with it.",
)
CONFIDENCE_PERTURBED = Threshold(
    name="confidence-perturbed",
    value=0.69,
    unit="confidence",
    source=OWN,
    reason="At most medium when the profiled step differs from the real one, or the real one was not measured.",
)
CONFIDENCE_UNEXPLAINED = Threshold(
    name="confidence-unexplained",
    value=0.4,
    unit="confidence",
    source=OWN,
    reason="The recording and the measured step do not fit together.",
)
PERTURBED_SHARE = share("perturbed", 0.10, OWN, "A profiled step more than a tenth slower is taken as another step.")
REMAINDER_SHARE = share("remainder", 0.05, OWN, "What the partition of the real step may leave unexplained.")
HOST_LATE_SHARE = share(
    "host-late",
    0.20,
    OWN,
    "From here on the device is taken to wait for the host or the input; XProf and TraceML call a share of 20 % high.",
)
