"""What happened on every rank: events, steps, telemetry, settings and how far the recording can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmprof.timeline.environment import Environment
from llmprof.timeline.events import EventTable, Lane
from llmprof.timeline.kernel_times import KernelTimes
from llmprof.timeline.loading import BatchLoads
from llmprof.timeline.memory import AllocatorStats
from llmprof.timeline.steps import NO_STEPS, StepMarks, StepTimes
from llmprof.timeline.telemetry import Series

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Quality", "RankTimeline", "ShapedSteps", "Timeline"]

NOTEBOOK_RANKS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How complete a recording is; shares are of 1, None where the question does not arise."""

    unlinked_kernel_share: float | None = None
    """Device rows whose launch lies outside the recording."""
    dropped_events: int = 0
    """Rows left out because they could not be read or cannot be true (negative or impossible durations)."""
    truncated: bool = False
    """The file ended early; everything before the cut is kept."""
    cut_in_events: bool = False
    """It ended inside its events. Those are not in order of time, so whole threads may be missing."""
    has_shapes: bool = False
    has_operators: bool = False
    has_sync_events: bool = False
    repaired_events: int = 0
    """Events that were not valid JSON but could be mended."""
    has_flows: bool | None = None
    """Whether arrows from launches to device work were recorded; None without device work. Launches are joined by
    correlation, so their absence alone costs nothing; together with unlinked rows it says that launches are missing."""
    marked_steps: int | None = None
    """Steps that the recording marks; 0 means that only the window as a whole can be judged."""
    collective_arguments_share: float | None = None
    """Collective kernels that say what they were asked to do (sizes, group)."""
    clock_quantum_ns: int | None = None
    """All starts and durations are multiples of this: 1000 where a file holds whole µs."""
    overlapping_rows: int = 0
    """Device rows that start before an earlier one on their stream has ended (real on AMD and with programmatic
    launches); they are kept."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ShapedSteps:
    """Steps that were traced once more for the input shapes of their operators; no time is taken from them."""

    events: EventTable
    marks: StepMarks


@dataclass(frozen=True, slots=True, kw_only=True)
class RankTimeline:
    """One rank: what was traced (`events`, `marks`) and what was measured without a profiler (`times`)."""

    rank: int
    events: EventTable | None
    """None when this rank was not traced (a run that was killed before the burst)."""
    lanes: Sequence[Lane] = ()
    origin_ns: int = 0
    """Unix ns of ts == 0 in `events` and `marks`."""
    marks: StepMarks = NO_STEPS
    shaped: ShapedSteps | None = None
    times: StepTimes | None = None
    loads: BatchLoads | None = None
    """Batches as the loader's workers measured them; None without workers."""
    telemetry: Sequence[Series] = ()
    memory: AllocatorStats | None = None
    environment: Environment = field(default_factory=Environment)
    quality: Quality = field(default_factory=Quality)
    overhead_ns_per_step: float | None = None
    """What the always-on collectors measured as their own cost."""
    kernel_times: KernelTimes | None = None
    """Kernels that were timed alone on this rank's model of GPU, after the run."""
    died: str | None = None
    """How this rank ended when it did not end well: `killed`, `exception: …`, `out of memory: …`."""

    def to_pandas(self) -> pd.DataFrame:
        """The events as a DataFrame with readable kinds, lanes and names; one row an event, times in ns."""
        import pandas as pd

        from llmprof.timeline.events import Kind

        events = self.events
        if events is None:
            return pd.DataFrame(columns=["rank", "ts_ns", "dur_ns", "kind", "device", "thread", "name", "correlation"])
        lanes = [self.lanes[i] for i in events.lane]
        frame: pd.DataFrame = pd.DataFrame(
            {
                "rank": self.rank,
                "ts_ns": events.ts,
                "dur_ns": events.dur,
                "kind": [Kind(k).name.lower() for k in events.kind],
                "device": [lane.device if lane.on_device else None for lane in lanes],
                "thread": [lane.thread for lane in lanes],
                "name": [events.strings[i] for i in events.name],
                "correlation": events.correlation,
            }
        )
        return frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """All ranks of one recording, ascending by rank."""

    ranks: tuple[RankTimeline, ...]
    kind: str
    """Where it came from: `run`, `kineto`, `nsys`."""
    paths: tuple[str, ...]
    world_size: int | None = None
    warnings: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    """Names of files that should have been a rank and could not be read."""

    def rank(self, number: int) -> RankTimeline:
        """The timeline of one rank; KeyError when it was not recorded."""
        for candidate in self.ranks:
            if candidate.rank == number:
                return candidate
        raise KeyError(f"rank {number} was not recorded; recorded: {[r.rank for r in self.ranks]}")

    def _repr_html_(self) -> str:
        """What a notebook shows: one row a rank."""
        from html import escape

        head = ("rank", "events", "traced steps", "measured steps", "device", "ended")
        rows = [
            (
                rank.rank,
                "not traced" if rank.events is None else f"{len(rank.events):,}",
                len(rank.marks),
                0 if rank.times is None else len(rank.times),
                rank.environment.device.name or "unknown",
                rank.died or "",
            )
            for rank in self.ranks[:NOTEBOOK_RANKS]
        ]
        cells = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
        titles = "".join(f"<th>{title}</th>" for title in head)
        more = f", the first {NOTEBOOK_RANKS} of them" if len(self.ranks) > NOTEBOOK_RANKS else ""
        told = (
            f"Timeline of {len(self.ranks)} ranks{more} ({escape(self.kind)}); llmprof.diagnose(timeline) explains it."
        )
        return f"<div class='llmprof'><p>{told}</p><table><tr>{titles}</tr>{cells}</table></div>"

    def to_pandas(self) -> pd.DataFrame:
        """The events of all ranks in one DataFrame."""
        import pandas as pd

        return pd.concat([rank.to_pandas() for rank in self.ranks], ignore_index=True)
