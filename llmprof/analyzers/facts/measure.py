"""All facts of a timeline: each measurement once, on every rank, and the rank that stands for the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from llmprof.analyzers.facts.collectives import CollectiveFacts, collective_facts, skew_spans
from llmprof.analyzers.facts.copies import copy_facts
from llmprof.analyzers.facts.correction import correct
from llmprof.analyzers.facts.coverage import gap_in_recording
from llmprof.analyzers.facts.cpu_partition import cpu_partition
from llmprof.analyzers.facts.data_loading import loader_facts
from llmprof.analyzers.facts.host import host_facts
from llmprof.analyzers.facts.kernels import kernel_facts
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.memory import memory_facts
from llmprof.analyzers.facts.partition import Partition, device_partition, parts_of
from llmprof.analyzers.facts.step_times import counted_steps, exposed_wait_ns, step_facts
from llmprof.analyzers.facts.steps import StepFacts, Windows
from llmprof.analyzers.facts.windows import windows_of
from llmprof.errors import NotEnoughDataError
from llmprof.timeline.events import DEVICE_KINDS
from llmprof.timeline.intervals import EMPTY, Intervals
from llmprof.timeline.timeline import RankTimeline, Timeline

__all__ = ["measure"]


@dataclass(frozen=True, slots=True)
class _Peers:
    """What has to be known of all ranks before one of them can be measured."""

    windows: Mapping[int, Windows | None]
    collectives: Mapping[int, CollectiveFacts | None]
    skew: Mapping[int, Intervals]
    per_host: Counter[str | None]


def measure(timeline: Timeline, *, step_ms: float | None = None) -> Facts:
    """The facts of all ranks.

    step_ms    mean unprofiled step in ms as the user measured it, for a recording that has no baseline of its own

    Raises NotEnoughDataError when no rank tells how long a step is.
    """
    gaps = {rank.rank: gap for rank in timeline.ranks if (gap := gap_in_recording(rank)) is not None}
    windows = {rank.rank: windows_of(rank) for rank in timeline.ranks if rank.rank not in gaps}
    placed = {number: found for number, found in windows.items() if found is not None}
    traced = [rank for rank in timeline.ranks if rank.rank in placed]
    peers = _Peers(
        windows=windows,
        collectives=collective_facts(traced, placed),
        skew=skew_spans(traced, placed) if len(traced) > 1 else {},
        per_host=Counter(rank.environment.host for rank in timeline.ranks),
    )
    ranks = {}
    for rank in timeline.ranks:
        found = None if rank.rank in gaps else _measure_rank(rank, peers, step_ms)
        if found is not None:
            ranks[rank.rank] = found
    if not ranks and gaps:
        number, gap = min(gaps.items())
        raise NotEnoughDataError(f"The recording of rank {number} in {', '.join(timeline.paths)} is not whole: {gap}.")
    if not ranks:
        raise NotEnoughDataError(
            f"No step can be measured in {', '.join(timeline.paths)}: it holds neither step times, nor step marks, "
            "nor device work; record the run with `llmprof run -- COMMAND`, or trace it with CPU and CUDA activities."
        )
    critical = ranks[_critical_rank(ranks)]
    shares = [rank.quality.unlinked_kernel_share for rank in timeline.ranks]
    known = [share for share in shares if share is not None]
    return Facts(
        ranks=ranks,
        critical=critical,
        step=_run_step(critical.step, ranks, timeline.world_size),
        world_size=timeline.world_size,
        unlinked_kernel_share=max(known) if known else None,
        warnings=_warnings(timeline, gaps),
    )


def _warnings(timeline: Timeline, gaps: Mapping[int, str]) -> tuple[str, ...]:
    """What the readers noted, and which ranks are left out, each once."""
    left_out = [f"rank {number} is left out: {gap}." for number, gap in sorted(gaps.items())]
    noted = [warning for rank in timeline.ranks for warning in rank.quality.warnings]
    return tuple(dict.fromkeys([*timeline.warnings, *left_out, *noted]))


def _measure_rank(rank: RankTimeline, peers: _Peers, step_ms: float | None) -> RankFacts | None:
    windows = peers.windows.get(rank.rank)
    step = step_facts(rank, windows, step_ms)
    if step is None:
        return None
    traced = _traced_partition(rank, windows, peers.skew.get(rank.rank, EMPTY))
    partition, remainder = _explained_partition(rank, traced, step)
    exposed = traced.detail.get("wait", 0.0) if traced is not None else None
    alike = peers.per_host[rank.environment.host] if rank.environment.host is not None else None
    return RankFacts(
        rank=rank.rank,
        environment=rank.environment,
        step=step,
        windows=windows,
        traced=traced,
        partition=partition,
        remainder_ns=remainder,
        kernels=kernel_facts(rank, windows) if windows is not None else None,
        copies=copy_facts(rank, windows) if windows is not None else None,
        collectives=peers.collectives.get(rank.rank),
        loader=loader_facts(rank, step=step, windows=windows, exposed_traced_ns=exposed, ranks_on_node=alike),
        memory=memory_facts(rank),
        host=host_facts(rank, windows) if windows is not None else None,
        died=rank.died,
        overhead_ns=rank.overhead_ns_per_step,
    )


def _traced_partition(rank: RankTimeline, windows: Windows | None, skew: Intervals) -> Partition | None:
    events = rank.events
    if events is None or windows is None:
        return None
    if events.rows(*DEVICE_KINDS).size:
        return device_partition(events, windows, skew)
    return cpu_partition(events, windows)


def _explained_partition(
    rank: RankTimeline, traced: Partition | None, step: StepFacts
) -> tuple[Partition | None, float | None]:
    """The partition of the step that is explained, and what of it the trace could not explain."""
    measured = _measured_parts(rank, cpu_only=traced.cpu_only if traced is not None else None)
    if traced is None or rank.events is None:
        return (_untraced_partition(measured, step), None) if measured else (None, None)
    if step.basis == "profiled" and step.mean_ns == traced.step_ns and not measured:
        return traced, 0.0
    found = correct(traced, rank.events, step.mean_ns, measured)
    return found.partition, found.remainder_ns


def _measured_parts(rank: RankTimeline, *, cpu_only: bool | None) -> dict[str, float]:
    """Classes that were measured on the counted steps themselves, in ns per step.

    The wait for data counts where the device was idle meanwhile; without a device all of it counts. A garbage
    collection pause counts only without a device: with one it is mostly hidden behind queued work.
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
        if column is not None and total > 0:
            parts[name] = float(column[rows][column[rows] > 0].sum()) / rows.size
    return parts


def _untraced_partition(measured: Mapping[str, float], step: StepFacts) -> Partition:
    """What the always-on measurements alone tell: the named classes, the rest `untraced`."""
    detail = {**measured, "untraced": max(step.mean_ns - sum(measured.values()), 0.0)}
    stalls = {name: value for name, value in detail.items() if name in ("checkpoint", "evaluation", "gc")}
    rest = {name: value for name, value in detail.items() if name not in stalls}
    return Partition(step_ns=step.mean_ns, parts=parts_of(detail), stall_classes=stalls, detail=rest)


def _critical_rank(ranks: Mapping[int, RankFacts]) -> int:
    """The rank that waits least for its peers inside collectives: the last arriver, the one that sets the pace.

    Without collectives the slowest rank; without any difference the first.
    """

    def waiting(facts: RankFacts) -> tuple[float, float]:
        calls = facts.collectives
        if calls is None:
            return (0.0, -facts.step.mean_ns)
        aligned = all(r.collectives is not None and r.collectives.skew_ns is not None for r in ranks.values())
        return (float(calls.skew_ns or 0.0) if aligned else calls.summed_ns, -facts.step.mean_ns)

    traced = {number: facts for number, facts in ranks.items() if facts.partition is not None} or ranks
    return min(sorted(traced), key=lambda number: waiting(traced[number]))


def _run_step(step: StepFacts, ranks: Mapping[int, RankFacts], world_size: int | None) -> StepFacts:
    """The critical rank's step with the tokens of all ranks; unknown when a rank was not recorded."""
    rates = [facts.step.tokens_per_s for facts in ranks.values()]
    known = [rate for rate in rates if rate is not None]
    complete = len(known) == len(rates) and (world_size is None or world_size == len(ranks))
    return replace(step, tokens_per_s=sum(known) if complete and known else None)
