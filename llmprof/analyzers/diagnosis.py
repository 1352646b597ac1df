"""The result of an analysis, as typed records, and the JSON document that is the product (schema llmprof.analysis/1).

Times are float milliseconds per step unless the name says otherwise; None is unknown, never 0. Reports are pure
functions of a `Diagnosis`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from llmprof._version import __version__
from llmprof.analyzers.document import plain, restored
from llmprof.analyzers.notebook import diagnosis_html
from llmprof.analyzers.rows import COLUMNS, rows_of, writable
from llmprof.errors import UnknownFormatError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PARTS",
    "SCHEMA",
    "Basis",
    "Bound",
    "Capture",
    "Combined",
    "Diagnosis",
    "Effort",
    "Evidence",
    "Finding",
    "Gain",
    "RankSummary",
    "Recommendation",
    "Recording",
    "RunnerUp",
    "Severity",
    "Sharing",
    "Source",
    "Status",
    "StepSummary",
    "Tried",
    "Verdict",
]

SCHEMA = "llmprof.analysis/1"

Bound = Literal["data", "compute", "memory", "communication", "host", "imbalance", "none"]
Status = Literal["fired", "passed", "not_applicable", "no_data", "error"]
Severity = Literal["info", "warning", "critical"]
Effort = Literal["flag", "few_lines", "refactor", "infrastructure"]
Basis = Literal["replay", "roofline", "bound", "prior"]

PARTS = (
    "compute",
    "communication",
    "skew",
    "memcpy",
    "data",
    "host",
    "sync",
    "memory_management",
    "stalls",
    "other",
)
"""The classes of the partition, in the order in which they are shown; they sum to the step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One measured figure behind a finding.

    `window_ns` is [start, end) in ns from the rank's origin, where the figure can be seen on the timeline.
    """

    label: str
    value: float | str | None
    unit: str = ""
    threshold: float | None = None
    source: str = ""
    rank: int | None = None
    window_ns: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one rule concluded. Every rule yields exactly one, so that "passed" and "could not tell" are visible."""

    rule: str
    status: Status
    title: str
    summary: str
    severity: Severity = "info"
    cost_ms: float | None = None
    share: float | None = None
    confidence: float | None = None
    ranks: tuple[int, ...] = ()
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What a fix saves per step, in ms; `expected_ms` may be negative (memory fixes cost time)."""

    expected_ms: float
    low_ms: float
    high_ms: float
    step_ms_after: float | None = None
    speedup: float | None = None
    memory_bytes: int | None = None
    basis: Basis = "bound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What `llmprof try` has measured, in ms per step; predicted from the plain step of the same trial."""

    trial: int
    """Its number: the file is trials/N.json in the run directory."""
    fixes: tuple[str, ...]
    """What was applied together."""
    outcome: str
    """kept, more, less, undecided, unpromised; see analyzers.trial."""
    plain_ms: float
    step_ms: float
    """The mean step with the fixes; its 95 % interval is `low_ms` to `high_ms`."""
    low_ms: float
    high_ms: float
    predicted_ms: float | None = None
    predicted_low_ms: float | None = None
    predicted_high_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """One fix: what to do, why, how in the user's own terms, what it saves and how to check it."""

    id: str
    rule: str
    action: str
    why: str
    how: str
    gain: Gain
    verify: str
    requires: tuple[str, ...] = ()
    effort: Effort = "few_lines"
    risk: str = ""
    tried: Tried | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """What several fixes bring together; never the sum of their gains."""

    of: tuple[str, ...]
    step_ms_after: float | None
    low_ms: float | None = None
    """Step time after, at best."""
    high_ms: float | None = None
    """Step time after, at worst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerUp:
    """The second largest cause."""

    bound: Bound
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What limits the run. `bound` None means that llmprof abstains, and `reason` says why."""

    bound: Bound | None
    sentence: str
    detail: str | None = None
    reason: str | None = None
    share: float | None = None
    confidence: float | None = None
    flags: tuple[str, ...] = ()
    runner_up: RunnerUp | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What was analysed."""

    kind: str
    paths: tuple[str, ...]
    ranks: tuple[int, ...]
    world_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The quality of the recording: of all ranks together, the worst of each; None where it is not known."""

    lost_events: int = 0
    """Rows that could not be read or cannot be true."""
    lost_share: float = 0.0
    repaired_events: int = 0
    cut: bool = False
    """A file ended early."""
    cut_in_events: bool = False
    clock_quantum_ns: int | None = None
    clock_error_share: float = 0.0
    """What rounding to that quantum may move, of the traced time."""
    overlapping_rows: int = 0
    marked_steps: int | None = None
    has_operators: bool = False
    has_shapes: bool = False
    has_flows: bool | None = None
    collective_arguments_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How many times as long as alone work takes that shares the device, from so many pairs; None is not known."""

    kernels: float | None = None
    """Kernels beside collectives."""
    kernel_pairs: int = 0
    collectives: float | None = None
    """Transfers of collectives beside kernels."""
    collective_pairs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """How far the figures can be trusted: what was measured, what was left out, what the recording cost."""

    steps_measured: int | None = None
    steps_excluded: int | None = None
    steps_traced: int | None = None
    basis: Literal["unprofiled", "profiled"] = "profiled"
    traced_step_ms: float | None = None
    replay_error: float | None = None
    """The larger of the next two."""
    identity_error: float | None = None
    """The replay of the traced steps as they are against these, a share of them."""
    unprofiled_error: float | None = None
    """The replay without the profiler against the measured step, a share of it; None where that is not known."""
    sharing: Sharing | None = None
    """None without a replay, and where neither is known."""
    overhead_pct: float | None = None
    unlinked_kernel_share: float | None = None
    recording: Recording | None = None
    """None where nothing was traced."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSummary:
    """The step that everything refers to."""

    mean_ms: float | None = None
    median_ms: float | None = None
    p95_ms: float | None = None
    tokens_per_s: float | None = None
    mfu: float | None = None
    hfu: float | None = None
    utilization_basis: str | None = None
    """The peak that mfu and hfu refer to and how attention is counted, or why there is no figure."""
    peak_memory_bytes: int | None = None
    memory_capacity_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankSummary:
    """One rank beside the others."""

    rank: int
    step_ms: float | None
    partition: Mapping[str, float] = field(default_factory=dict)
    waits_for: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Everything that the reports tell; `to_json` writes the document, `from_json` reads it back."""

    source: Source
    capture: Capture
    step: StepSummary
    partition: Mapping[str, float]
    verdict: Verdict
    environment: Mapping[str, Any] = field(default_factory=dict)
    partition_rank: int | None = None
    compute_classes: Mapping[str, float] = field(default_factory=dict)
    stall_classes: Mapping[str, float] = field(default_factory=dict)
    ranks: tuple[RankSummary, ...] = ()
    findings: tuple[Finding, ...] = ()
    recommendations: tuple[Recommendation, ...] = ()
    combined: Combined | None = None
    history_ms: tuple[float, ...] = ()
    """Unprofiled step times in order, thinned to at most 200, for the small picture beside the mean."""
    partition_noise_ms: Mapping[str, float] = field(default_factory=dict)
    """Half the 95 % interval of each part, from its spread over the traced steps; empty where that is not known."""
    costs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Milliseconds per step by name: `kernels` (the longest) and `collectives`; what was not recorded is not there."""
    joint: tuple[Combined, ...] = ()
    """Other choices of the first fixes, each replayed as one; what is not here was not replayed."""
    tried: tuple[Tried, ...] = ()
    """Trials of fixes of which none is recommended: the latest of each choice."""
    details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The figures of the report's sections, by section (`analyzers.details`); one without figures is not there."""

    def to_dict(self) -> dict[str, Any]:
        """The document as plain containers; milliseconds rounded to a tenth of a microsecond."""
        body = plain(self)
        return {"schema": SCHEMA, "tool": {"name": "llmprof", "version": __version__}, **body}

    def to_json(self) -> str:
        """The document as indented JSON text with a final newline."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def to_pandas(self) -> pd.DataFrame:
        """The step, its parts, kernels, findings and fixes as one table; see analyzers.rows for its columns."""
        import pandas as pd

        frame = pd.DataFrame([writable(row) for row in rows_of(self.to_dict())], columns=list(COLUMNS))
        return frame.astype({"record": "string", "rank": "Int64", "name": "string", "detail": "string"})

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return diagnosis_html(self.to_dict())

    @classmethod
    def from_json(cls, text: str, where: str = "analysis.json") -> Diagnosis:
        """Read a document back; keys of later versions are ignored.

        Raises UnknownFormatError when the text is not an llmprof analysis.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise UnknownFormatError(f"{where} is not JSON ({error}); write it again with `llmprof analyze`.") from None
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise UnknownFormatError(f"{where} is not an {SCHEMA} document; write it again with `llmprof analyze`.")
        try:
            return restored(cls, data)
        except (TypeError, KeyError, ValueError) as error:
            raise UnknownFormatError(f"{where} lacks a part of an {SCHEMA} document ({error}).") from None
