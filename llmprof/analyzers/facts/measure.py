"""All facts of a timeline: each measurement once, on every rank, and the rank that stands for the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from llmprof.analyzers.facts.communication.alignment import Waits, match_collectives, transfers_of, waits_of
from llmprof.analyzers.facts.communication.clocks import clocks_of
from llmprof.analyzers.facts.communication.collective_calls import ONE_SIDED
from llmprof.analyzers.facts.communication.collectives import CollectiveFacts, with_peers
from llmprof.analyzers.facts.host.cores import own_cores
from llmprof.analyzers.facts.loading.data_loading import passing_ns
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.partition.correction import correct, elastic_of, waited_longer
from llmprof.analyzers.facts.partition.partition import Partition, with_skew
from llmprof.analyzers.facts.pipeline.written_pipeline import agreed
from llmprof.analyzers.facts.reduction import RankReduction, reduce_rank
from llmprof.analyzers.facts.steps.steps import StepFacts
from llmprof.errors import NotEnoughDataError
from llmprof.timeline.intervals import EMPTY, Int64, Intervals
from llmprof.timeline.timeline import Timeline
from llmprof.units import format_ns

__all__ = ["join", "measure"]

MOST_WARNINGS = 32
"""More are not read; the rest is counted."""
COARSE_SHARE = 0.02
"""A clock residual above this share of the step is worth a warning: waits up to twice of it are not told apart."""


def measure(timeline: Timeline, *, step_ms: float | None = None) -> Facts:
    """The facts of all ranks.

    step_ms    mean unprofiled step in ms as the user measured it, for a recording that has no baseline of its own

    Raises NotEnoughDataError when no rank tells how long a step is.
    """
    return join(
        [reduce_rank(rank, step_ms=step_ms) for rank in timeline.ranks],
        where=", ".join(timeline.paths),
        world_size=timeline.world_size,
        warnings=timeline.warnings,
        left_out=timeline.left_out,
    )


def join(
    ranks: Sequence[RankReduction],
    *,
    where: str,
    world_size: int | None = None,
    warnings: Sequence[str] = (),
    left_out: Sequence[str] = (),
    closer: Callable[[int], RankReduction] | None = None,
) -> Facts:
    """The facts of a run from those of its ranks (ascending), each of which was measured alone.

    where       what was read, for messages
    left_out    files that should have been a rank and could not be read
    closer      gives the critical rank once more, with all detail, where `ranks` are compact

    Raises NotEnoughDataError when no rank tells how long a step is.
    """
    measured = [rank for rank in ranks if rank.facts is not None]
    gaps = {rank.rank: rank.gap for rank in ranks if rank.gap is not None}
    if not measured:
        raise NotEnoughDataError(_why_nothing(gaps, where))
    peers = _peers(ranks)
    found = {rank.rank: _joined(rank, peers) for rank in measured}
    critical = _critical_rank(found)
    if closer is not None:
        found[critical] = _joined(closer(critical), peers)
    found = agreed(found)
    known = [rank.unlinked_share for rank in ranks if rank.unlinked_share is not None]
    step = found[critical].step
    return Facts(
        ranks=found,
        critical=found[critical],
        step=_run_step(step, found, world_size),
        world_size=world_size,
        unlinked_kernel_share=max(known) if known else None,
        left_out=(*left_out, *(f"rank {rank.rank}" for rank in ranks if rank.facts is None)),
        warnings=_warnings(warnings, ranks, peers, step),
    )


@dataclass(frozen=True, slots=True)
class _Peers:
    """What has to be known of all ranks before one of them is complete; by rank."""

    waits: Mapping[int, Waits]
    transfers: Mapping[int, Int64]
    per_host: Counter[str | None]
    cores: Mapping[int, float]
    residual_ns: int


def _peers(ranks: Sequence[RankReduction]) -> _Peers:
    calls = [rank.calls for rank in ranks if rank.calls is not None]
    clocks = clocks_of(calls, match_collectives(calls))
    matches = match_collectives(calls, also=ONE_SIDED)
    return _Peers(
        waits=waits_of(calls, matches, clocks),
        transfers=transfers_of(calls, matches),
        per_host=Counter(rank.hostname for rank in ranks),
        cores=own_cores({rank.rank: rank.facts.environment for rank in ranks if rank.facts is not None}),
        residual_ns=max((clock.residual_ns for clock in clocks.values()), default=0),
    )


def _joined(rank: RankReduction, peers: _Peers) -> RankFacts:
    """The facts of one rank with what its peers tell."""
    facts = rank.facts
    assert facts is not None
    waits = peers.waits.get(rank.rank)
    skew = EMPTY if waits is None else Intervals.of(waits.start_ns, waits.end_ns)
    traced, loader = facts.traced, facts.loader
    if traced is not None and facts.windows is not None and not traced.cpu_only:
        traced = with_skew(traced, facts.windows, exposed=rank.exposed, skew=skew)
    partition, remainder = _explained_partition(rank, traced, skew)
    if loader is not None:
        loader = replace(loader, passing_ns=passing_ns(loader, facts.step.mean_ns, facts.copies))
    if loader is not None and rank.hostname is not None:
        loader = replace(loader, ranks_on_node=peers.per_host[rank.hostname], own_cores=peers.cores.get(rank.rank))
    return replace(
        facts,
        traced=traced,
        partition=partition,
        remainder_ns=remainder,
        collectives=_collectives(rank, peers),
        loader=loader,
    )


def _collectives(rank: RankReduction, peers: _Peers) -> CollectiveFacts | None:
    facts = rank.facts
    assert facts is not None
    if facts.collectives is None or facts.windows is None or rank.calls is None:
        return facts.collectives
    return with_peers(
        facts.collectives,
        calls=rank.calls,
        windows=facts.windows,
        exposed=rank.exposed,
        waits=peers.waits.get(rank.rank),
        transfers=peers.transfers.get(rank.rank),
    )


def _explained_partition(
    rank: RankReduction, traced: Partition | None, skew: Intervals
) -> tuple[Partition | None, float | None]:
    """The partition of the step that is explained, and what of it the trace could not explain."""
    facts, elastic = rank.facts, rank.elastic
    assert facts is not None
    step = facts.step
    if traced is None or elastic is None or facts.windows is None:
        return facts.partition, None
    if step.basis == "profiled" and step.mean_ns == traced.step_ns and not rank.measured:
        return traced, 0.0
    if rank.host is not None:
        elastic |= elastic_of({"skew": rank.exposed & skew}, rank.host)
    found = correct(traced, elastic, len(facts.windows), step.mean_ns, rank.measured)
    if not traced.cpu_only and facts.longer_ns > 0:
        found = waited_longer(found, facts.longer_ns)
    return found.partition, found.remainder_ns


def _why_nothing(gaps: Mapping[int, str], where: str) -> str:
    if gaps:
        number, gap = min(gaps.items())
        return f"The recording of rank {number} in {where} is not whole: {gap}."
    return (
        f"No step can be measured in {where}: it holds neither step times, nor step marks, nor device work; record "
        "the run with `llmprof run -- COMMAND`, or trace it with CPU and CUDA activities."
    )


def _warnings(given: Sequence[str], ranks: Sequence[RankReduction], peers: _Peers, step: StepFacts) -> tuple[str, ...]:
    """What the readers noted, which ranks are left out and how far the clocks agree; each once, and not too many."""
    left_out = [f"rank {rank.rank} is left out: {rank.gap}." for rank in ranks if rank.gap is not None]
    coarse = []
    if peers.residual_ns > COARSE_SHARE * step.mean_ns:
        coarse.append(
            f"the clocks of the ranks agree to {format_ns(peers.residual_ns)} only, so waits below "
            f"{format_ns(2 * peers.residual_ns)} count as communication."
        )
    noted = [warning for rank in ranks for warning in rank.warnings]
    everything = list(dict.fromkeys([*given, *left_out, *coarse, *noted]))
    if len(everything) > MOST_WARNINGS:
        rest = len(everything) - MOST_WARNINGS
        everything = [*everything[:MOST_WARNINGS], f"{rest} more warnings of the readers are not shown."]
    return tuple(everything)


def _critical_rank(ranks: Mapping[int, RankFacts]) -> int:
    """The rank that waits least for its peers inside collectives: the last arriver, the one that sets the pace.

    Without collectives the slowest rank; without any difference the first.
    """
    aligned = all(r.collectives is not None and r.collectives.skew_ns is not None for r in ranks.values())

    def waiting(facts: RankFacts) -> tuple[float, float]:
        calls = facts.collectives
        if calls is None:
            return (0.0, -facts.step.mean_ns)
        return (float(calls.skew_ns or 0.0) if aligned else calls.summed_ns, -facts.step.mean_ns)

    traced = {number: facts for number, facts in ranks.items() if facts.partition is not None} or ranks
    return min(sorted(traced), key=lambda number: waiting(traced[number]))


def _run_step(step: StepFacts, ranks: Mapping[int, RankFacts], world_size: int | None) -> StepFacts:
    """The critical rank's step with the tokens of all ranks; unknown when a rank was not recorded."""
    rates = [facts.step.tokens_per_s for facts in ranks.values()]
    known = [rate for rate in rates if rate is not None]
    complete = len(known) == len(rates) and (world_size is None or world_size == len(ranks))
    return replace(step, tokens_per_s=sum(known) if complete and known else None)
