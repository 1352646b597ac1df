"""What can be measured of one rank without its peers? Its facts, and the compact rest that a merge needs.

A rank is looked at once, alone, and may be forgotten afterwards: thousands of ranks are reduced one by one, in other
processes or on other machines. What the peers add (waiting for them, bus bandwidth, the correction of waiting) is
added from these records by `measure.join`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from llmprof.analyzers.facts.communication.collectives import exposed_spans, own_collectives, slim
from llmprof.analyzers.facts.communication.rank_calls import RankCalls, rank_calls
from llmprof.analyzers.facts.device.hardware import hardware_facts
from llmprof.analyzers.facts.device.kernels import kernel_facts
from llmprof.analyzers.facts.device.spread import solo_kernels
from llmprof.analyzers.facts.host.host import host_facts
from llmprof.analyzers.facts.host.host_causes import collections_of, host_causes
from llmprof.analyzers.facts.host.host_memory import host_memory
from llmprof.analyzers.facts.loading.copies import copy_facts
from llmprof.analyzers.facts.loading.data_loading import loader_facts
from llmprof.analyzers.facts.measured import RankFacts
from llmprof.analyzers.facts.memory.logits import logits_facts
from llmprof.analyzers.facts.memory.memory import memory_facts
from llmprof.analyzers.facts.operators.flops import rank_flops
from llmprof.analyzers.facts.operators.operator_facts import operator_facts
from llmprof.analyzers.facts.operators.utilization import utilization
from llmprof.analyzers.facts.pace.between import longer_between_ns, waits_inside
from llmprof.analyzers.facts.pace.steady import steady
from llmprof.analyzers.facts.pace.step_table import StepTable, step_table
from llmprof.analyzers.facts.partition.correction import ELASTIC, Elastic, HostEvents, elastic_of, host_events
from llmprof.analyzers.facts.partition.cpu_partition import cpu_partition
from llmprof.analyzers.facts.partition.partition import Partition, device_partition, parts_of
from llmprof.analyzers.facts.pipeline.stage_work import stage_work
from llmprof.analyzers.facts.pipeline.written_pipeline import with_pipeline
from llmprof.analyzers.facts.steps.coverage import gap_in_recording, recording_facts
from llmprof.analyzers.facts.steps.step_times import counted_steps, exposed_wait_ns, step_facts
from llmprof.analyzers.facts.steps.steps import StepFacts, Windows
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.timeline.events import DEVICE_KINDS, NONE
from llmprof.timeline.intervals import EMPTY, Intervals
from llmprof.timeline.timeline import RankTimeline

__all__ = ["RankReduction", "reduce_rank"]

MOST_ROWS = 4096
"""Of a compact reduction: elastic spans, exposed spans and host events at most, so that a rank takes some 100 kB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankReduction:
    """One rank, measured alone."""

    rank: int
    hostname: str | None
    unlinked_share: float | None
    """Of the device's work in the traced steps: how much has no launch in the recording."""
    warnings: tuple[str, ...]
    gap: str | None = None
    """Why nothing can be concluded from this rank."""
    facts: RankFacts | None = None
    """What the rank tells alone: `partition` is missing where the peers have a say in it. None without a step."""
    measured: Mapping[str, float] = field(default_factory=dict)
    """Classes that were measured on the counted steps themselves, ns per step."""
    calls: RankCalls | None = None
    exposed: Intervals = field(default_factory=lambda: EMPTY)
    """When the device ran collectives and nothing else inside the windows, or idled while the host ran them."""
    elastic: Elastic | None = None
    """Spans that the correction may shorten; those of waiting for peers are not known yet."""
    host: HostEvents | None = None
    """Host events, at least those inside `exposed`."""


def reduce_rank(rank: RankTimeline, *, step_ms: float | None = None, compact: bool = False) -> RankReduction:
    """Measure one rank.

    step_ms    mean unprofiled step in ms as the user measured it
    compact    leave out what only the report on the critical rank needs (when each class was charged), and join what
               is too many to be sent: exact up to MOST_ROWS rows, and close to it beyond
    """
    head = RankReduction(
        rank=rank.rank,
        hostname=rank.environment.host,
        unlinked_share=rank.quality.unlinked_kernel_share,
        warnings=rank.quality.warnings,
        gap=gap_in_recording(rank),
    )
    if head.gap is not None:
        return head
    rank = with_pipeline(steady(rank))
    windows = windows_of(rank)
    head = replace(head, unlinked_share=_unlinked_share(rank, windows))
    step = step_facts(rank, windows, step_ms)
    if step is None:
        return head
    traced = _traced_partition(rank, windows)
    table = step_table(rank)
    measured = _measured_parts(rank, table, cpu_only=traced.cpu_only if traced is not None else None)
    found = replace(head, facts=_facts(rank, windows, step, traced, measured, table), measured=measured)
    if traced is None or windows is None or rank.events is None:
        return found
    host = host_events(rank.events)
    names = traced.spans if traced.cpu_only else ELASTIC
    # With the waits for collectives that a backend runs on the host, which the partition has charged as well.
    charged = traced.spans.get("communication", EMPTY)
    exposed = EMPTY if traced.cpu_only else exposed_spans(rank, windows) | charged
    found = replace(
        found,
        calls=rank_calls(rank),
        exposed=exposed,
        elastic=elastic_of({name: traced.spans[name] for name in names if name in traced.spans}, host),
        host=host,
    )
    return _compacted(found) if compact else found


def _facts(
    rank: RankTimeline,
    windows: Windows | None,
    step: StepFacts,
    traced: Partition | None,
    measured: Mapping[str, float],
    table: StepTable | None,
) -> RankFacts:
    exposed = traced.detail.get("wait", 0.0) if traced is not None else None
    kernels = kernel_facts(rank, windows) if windows is not None else None
    causes = host_causes(rank, windows, traced)
    late = causes is not None and not waits_inside(causes.blocking)
    return RankFacts(
        rank=rank.rank,
        environment=rank.environment,
        step=step,
        windows=windows,
        traced=traced,
        partition=_untraced_partition(measured, step) if traced is None and measured else None,
        kernels=kernels,
        copies=copy_facts(rank, windows) if windows is not None else None,
        collectives=own_collectives(rank, windows) if windows is not None else None,
        loader=loader_facts(rank, step=step, windows=windows, exposed_traced_ns=exposed, ranks_on_node=None),
        memory=memory_facts(rank),
        host=host_facts(rank, windows) if windows is not None else None,
        causes=causes,
        utilization=utilization(rank_flops(rank, windows), step.mean_ns, rank.environment.device, kernels),
        operators=operator_facts(rank, windows),
        hardware=hardware_facts(rank),
        host_memory=host_memory(rank),
        table=table,
        longer_ns=longer_between_ns(rank.times) if late else 0.0,
        logits=logits_facts(rank),
        stage=stage_work(rank, windows),
        solo=solo_kernels(rank, windows),
        died=rank.died,
        overhead_ns=rank.overhead_ns_per_step,
        recording=recording_facts(rank, windows),
    )


def _unlinked_share(rank: RankTimeline, windows: Windows | None) -> float | None:
    """Of the device's work in the traced steps; what drains before them was launched before the recording began."""
    if rank.events is None or windows is None or len(windows) == 0:
        return rank.quality.unlinked_kernel_share
    events = rank.events
    work = events.rows(*DEVICE_KINDS)
    work = work[(events.ts[work] >= windows.start_ns[0]) & (events.ts[work] < windows.end_ns[-1])]
    return float(np.mean(events.launch[work] == NONE)) if work.size else None


def _traced_partition(rank: RankTimeline, windows: Windows | None) -> Partition | None:
    events = rank.events
    if events is None or windows is None:
        return None
    if events.rows(*DEVICE_KINDS).size:
        return device_partition(events, windows)
    return cpu_partition(events, windows)


def _measured_parts(rank: RankTimeline, table: StepTable | None, *, cpu_only: bool | None) -> dict[str, float]:
    """Classes that were measured on the counted steps themselves, in ns per step.

    The wait for data counts where the device was idle meanwhile; without a device all of it counts. Of garbage
    collection pauses a step with a device counts what it is longer by when it has one: the rest is hidden behind queued
    work.
    """
    times = rank.times
    rows = counted_steps(times)
    if times is None or rows.size == 0:
        return {}
    wait = exposed_wait_ns(times)
    if wait is None and (cpu_only or (cpu_only is None and rank.environment.device.name is None)):
        wait = times.mean_part_ns("data_wait", rows)
    total = float(times.wall_ns[rows].sum())
    names = ("checkpoint", "evaluation", "gc") if cpu_only else ("checkpoint", "evaluation")
    parts = {} if wait is None else {"wait": wait}
    for name in names:
        column = times.parts.get(name)
        stall = table.stalls.get(name) if table is not None and not cpu_only else None
        if stall is not None:
            parts[name] = stall.counted_ns  # without the wait for work that was queued before
        elif column is not None and total > 0:
            parts[name] = float(column[rows][column[rows] > 0].sum()) / rows.size
    pauses = None if cpu_only else collections_of(times)
    if pauses is not None and pauses.told_from_nothing:
        parts["gc"] = pauses.felt_ns or 0.0
    return parts


def _untraced_partition(measured: Mapping[str, float], step: StepFacts) -> Partition:
    """What the always-on measurements alone tell: the named classes, the rest `untraced`."""
    detail = {**measured, "untraced": max(step.mean_ns - sum(measured.values()), 0.0)}
    stalls = {name: value for name, value in detail.items() if name in ("checkpoint", "evaluation", "gc")}
    rest = {name: value for name, value in detail.items() if name not in stalls}
    return Partition(step_ns=step.mean_ns, parts=parts_of(detail), stall_classes=stalls, detail=rest)


def _compacted(found: RankReduction) -> RankReduction:
    """Without the spans of the partition, and with at most MOST_ROWS rows in each column."""
    facts, exposed = found.facts, _longest(found.exposed)
    if facts is not None and facts.traced is not None:
        facts = replace(facts, traced=replace(facts.traced, spans={}))
    if facts is not None:
        facts = replace(facts, collectives=slim(facts.collectives))
    return replace(
        found,
        facts=facts,
        exposed=exposed,
        elastic=None if found.elastic is None else found.elastic.binned(MOST_ROWS),
        host=None if found.host is None else found.host.thinned(exposed, MOST_ROWS),
    )


def _longest(spans: Intervals) -> Intervals:
    """The MOST_ROWS longest spans; what is exposed in the others stays communication and never counts as waiting."""
    if len(spans) <= MOST_ROWS:
        return spans
    kept = np.sort(np.argsort(spans.starts - spans.ends, kind="stable")[:MOST_ROWS])
    return Intervals(spans.starts[kept], spans.ends[kept])
