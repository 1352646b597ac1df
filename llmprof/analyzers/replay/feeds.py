"""When does a loader with worker processes have the next batch? One rank's loader, as recorded and as a fix makes it.

Batches that a training process makes itself are host work, and stand in the graph. Those of worker processes come from
outside: the graph then holds only the handing over of a batch that is ready, and the loader's own pace comes from the
replay of its queue (facts.loading.loader_model) with the replayed step as the consumer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from llmprof.analyzers.facts.loading.batch_times import BatchTimes
from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.facts.loading.loader_model import SIBLING, alone_ns, batch_interval_ns, paired_share
from llmprof.analyzers.facts.loading.loader_queue import DEFAULT_PREFETCH
from llmprof.analyzers.replay.graph.graph import Graph, Mask, Region

__all__ = ["HAND_OVER_NS", "Feed", "feed_of", "recorded_feed", "without_waits"]

HAND_OVER_NS = 200_000.0
"""Receiving a batch that is ready takes the main process some 0.1 to 0.3 ms (unpickling, mapping shared memory);
at most this much of a recorded fetch is taken for it where it was not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """The loader of one rank that uses worker processes; ns a batch.

    loads_ns       load times in their order, without waiting for cores; empty where nobody measured them
    paces          how many times that each worker takes, where they differ
    limit_ns       the step that the loader allows, where it set the pace and its load times are not known
    passing_ns     what the thread that pins batches takes with each
    arriving_ns    what a batch that is waited for takes from its worker to the training process
    run_ns         load times of the whole run, where these say more than those of the counted steps
    """

    fetches: float
    workers: int | None = None
    prefetch: int = DEFAULT_PREFETCH
    loads_ns: tuple[float, ...] = ()
    cpu_ns: float = 0.0
    cores: float | None = None
    hand_over_ns: float = 0.0
    limit_ns: float | None = None
    in_order: bool = True
    paces: tuple[float, ...] = ()
    passing_ns: float = 0.0
    arriving_ns: float = 0.0
    run_ns: tuple[float, ...] = ()

    @property
    def measured(self) -> bool:
        """Whether its queue can be replayed: how long loads take is known, and how many workers there are."""
        return bool(self.loads_ns and self.workers)

    def step_ns(self, consumer_ns: float) -> float:
        """The step with a consumer that takes `consumer_ns` a step when it never waits."""
        if self.loads_ns and self.workers:
            rest = max(consumer_ns / self.fetches - self.hand_over_ns, 0.0)
            return self.fetches * batch_interval_ns(
                self.loads_ns,
                rest,
                self.workers,
                self.prefetch,
                hand_over_ns=self.hand_over_ns,
                cpu_ns=self.cpu_ns,
                cores=self.cores,
                in_order=self.in_order,
                paces=self.paces,
                passing_ns=self.passing_ns,
                arriving_ns=self.arriving_ns,
            )
        return max(consumer_ns, self.limit_ns or 0.0)

    @property
    def paired(self) -> float:
        """How many times as long a load takes on a core that another thread uses as well."""
        mean = sum(self.loads_ns) / len(self.loads_ns) if self.loads_ns else 0.0
        return 1.0 + (min(1.0, self.cpu_ns / mean) if mean > 0 else 0.0) * (SIBLING - 1.0)

    def running(self, step_ns: float, consumer_ns: float) -> float:
        """Threads that have something to do, on average: the workers, and the one that trains while it does not wait.

        consumer_ns    of the step, what is not waiting
        """
        return (consumer_ns + self.cpu_ns * self.fetches) / max(step_ns, 1.0)

    def beside(self, running: float) -> float:
        """How many times as long the training thread's own work takes while so many threads have something to do."""
        return 1.0 + paired_share(running, self.cores) * (SIBLING - 1.0)

    @property
    def usual(self) -> Feed:
        """With the loads of the whole run, where there are any to tell from those that were waited for."""
        return replace(self, loads_ns=self.run_ns, paces=()) if self.run_ns else self

    def crowded(self, before: float, after: float) -> Feed:
        """With loads as they are while `after` threads have something to do, recorded while `before` had.

        Only the difference counts: what slowed them until now is in what was recorded, worker by worker.
        """
        now, then = (1.0 + paired_share(running, self.cores) * (self.paired - 1.0) for running in (before, after))
        return replace(self, loads_ns=tuple(then / now * load for load in self.loads_ns))


def feed_of(loader: LoaderFacts | None, graph: Graph, rank: int) -> Feed | None:
    """The feed of a rank; None when it makes its batches itself, fetches none, or nothing tells."""
    fetching = _fetching(graph, rank)
    if loader is None or loader.in_process is not False or not fetching.any():
        return None
    each = _step_ns(graph, fetching) / max(loader.fetches_per_step or 1.0, 1e-9)
    return recorded_feed(loader, min(HAND_OVER_NS if loader.hand_over_ns is None else loader.hand_over_ns, each))


def recorded_feed(loader: LoaderFacts, hand_over_ns: float) -> Feed:
    """The feed of worker processes as it was recorded, with what receiving a batch takes that is ready."""
    settings, times = loader.settings, loader.times
    workers = settings.num_workers if settings is not None else None
    return Feed(
        fetches=loader.fetches_per_step or 1.0,
        workers=workers,
        prefetch=(settings.prefetch_factor if settings is not None else None) or DEFAULT_PREFETCH,
        loads_ns=_alone(times, workers, loader.own_cores),
        run_ns=_of_run(loader, times, workers),
        cpu_ns=(times.cpu_ns if times is not None else None) or 0.0,
        cores=loader.own_cores,
        hand_over_ns=hand_over_ns,
        in_order=settings is None or settings.in_order is not False,
        paces=times.paces if times is not None else (),
        passing_ns=loader.passing_ns or 0.0,
        arriving_ns=loader.arriving_ns or 0.0,
    )


def _alone(times: BatchTimes | None, workers: int | None, cores: float | None) -> tuple[float, ...]:
    if times is None or not workers:
        return ()
    return _with_turns(alone_ns(times.even_ns or times.sequence_ns, times.cpu_ns, workers, cores), times)


def _of_run(loader: LoaderFacts, times: BatchTimes | None, workers: int | None) -> tuple[float, ...]:
    """The loads of the whole run where these say more than those of the counted steps.

    That is where the wait may be that of a few slow batches, and where there are simply more of the same loads: a fix
    is done to a run that goes on with others of them.
    """
    if times is None or not workers:
        return ()
    more = times.run_alike and not times.paces
    if not loader.waits_by_chance and not more:
        return ()
    return _with_turns(alone_ns(times.run_ns, times.cpu_ns, workers, loader.own_cores), times)


def _with_turns(loads_ns: tuple[float, ...], times: BatchTimes) -> tuple[float, ...]:
    """Until the worker can begin with the next batch."""
    return tuple(load + times.turn_ns for load in loads_ns)


def without_waits(graph: Graph, feeds: Mapping[int, Feed]) -> Graph:
    """The graph in which a fetch from worker processes takes no longer than handing over a batch that is ready."""
    lag, dur = graph.before_lag.copy(), graph.dur.copy()
    for rank, feed in feeds.items():
        fetching = _fetching(graph, rank)
        total = _step_ns(graph, fetching)
        share = min(1.0, feed.hand_over_ns * feed.fetches / total) if total > 0 else 1.0
        lag[fetching] *= share
        dur[fetching] *= share
    return replace(graph, before_lag=lag, dur=dur)


def _fetching(graph: Graph, rank: int) -> Mask:
    found: Mask = graph.within(Region.FETCH) & (graph.rank == rank)
    return found


def _step_ns(graph: Graph, nodes: Mask) -> float:
    """What the host spends in these nodes and before them; ns per step."""
    return float(np.sum(graph.before_lag[nodes]) + np.sum(graph.dur[nodes])) / graph.steps
