"""How many workers does the loader need, and what wait stays with them? By the load times, replayed where recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from llmprof.analyzers.facts.loading.batch_times import BatchTimes
from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.facts.loading.loader_model import SIBLING, alone_ns, batch_interval_ns, expected_hand_over_ns
from llmprof.analyzers.facts.loading.loader_queue import DEFAULT_PREFETCH
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import thresholds

__all__ = [
    "DEEPER",
    "InputNeed",
    "chance_ns",
    "deeper_queue_ns",
    "fast_enough",
    "input_need",
    "left_ns",
    "less_work_ns",
    "saved_ns",
    "wanted_workers",
]

DEEPER = 4
"""How many times as many batches on order are advised where single slow batches are waited for."""
MOST_WORKERS = 64
"""Where the number of cores is unknown: more are not tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputNeed:
    """What the fixes are worked out from; ns per step."""

    wait_ns: float
    rest_ns: float
    loader: LoaderFacts
    workers: int | None
    """Workers now; 0 when batches are made in the training process, None when nothing tells."""
    need_ns: float | None
    """Time to make the batches of one step, one after the other."""
    cores: int | None
    """Cores per rank."""
    hand_over_ns: float = 0.0
    """Receiving one batch that is ready: measured where there are workers, expected where there are none yet."""
    where: str
    """` on rank 1` when only some ranks wait, else empty."""

    @property
    def receiving_ns(self) -> float:
        """Receiving the batches of a step that are ready."""
        return self.hand_over_ns * (self.loader.fetches_per_step or 1.0)

    @property
    def pinning_ns(self) -> float:
        """Of the wait per step, what the thread that pins batches is the reason for: it stays with any workers."""
        return self.pinning_with(1.0)

    def pinning_with(self, share: float) -> float:
        """The same with batches of this share of the bytes."""
        return max(0.0, share * (self.loader.passing_ns or 0.0) * (self.loader.fetches_per_step or 1.0) - self.rest_ns)

    @property
    def prefetch(self) -> int:
        """Batches on order for each worker; PyTorch's default where there are none yet."""
        settings = self.loader.settings
        return (settings.prefetch_factor if settings is not None else None) or DEFAULT_PREFETCH


def input_need(facts: Facts, wait: float, loader: LoaderFacts, where: str) -> InputNeed:
    """What is known of the loader of the critical rank; `wait` is its exposed wait in ns per step."""
    settings = loader.settings
    workers = settings.num_workers if settings is not None else None
    if workers is None and loader.in_process:
        workers = 0
    fetches = loader.fetches_per_step or 1.0
    need: float | None = None
    if loader.batch_ns is not None:
        need = loader.batch_ns * fetches
    elif workers == 0:
        need = max(wait, loader.wait_ns or 0.0)
    elif workers is not None:
        # Every worker is busy all the time while its consumer waits, so `workers` batches take one step each.
        need = workers * facts.step.mean_ns
    cores = loader.cores or facts.critical.environment.cpu_count
    return InputNeed(
        wait_ns=wait,
        rest_ns=max(facts.step.mean_ns - wait, 1.0),
        loader=loader,
        workers=workers,
        need_ns=need,
        cores=_own_cores(facts, loader, cores),
        hand_over_ns=_hand_over_ns(facts, loader, workers, fetches),
        where=where,
    )


def _hand_over_ns(facts: Facts, loader: LoaderFacts, workers: int | None, fetches: float) -> float:
    """Of one batch; what is copied to the device in a step stands for the bytes of its batches."""
    if loader.hand_over_ns is not None or workers != 0:
        return loader.hand_over_ns or 0.0
    copies = facts.critical.copies
    copied = copies.pageable_to_device.bytes + copies.pinned_to_device.bytes if copies is not None else None
    pinned = loader.settings is not None and loader.settings.pin_memory is True
    return expected_hand_over_ns(None if copied is None else copied / fetches, pinned=pinned)


def _own_cores(facts: Facts, loader: LoaderFacts, cores: int | None) -> int | None:
    """Cores that the rank has to itself, by the affinity of all ranks of its node, else an equal share."""
    if loader.own_cores is not None:
        return max(1, int(loader.own_cores))
    return None if cores is None else max(1, cores // _ranks_on_node(facts, loader))


def _ranks_on_node(facts: Facts, loader: LoaderFacts) -> int:
    environment = facts.critical.environment
    world = facts.world_size or environment.world_size or 1
    return max(1, loader.ranks_on_node or min(world, environment.gpus_per_node or world))


def fast_enough(found: InputNeed) -> bool:
    """Workers whose mean rate suffices, as they measured it themselves: waits then come from slow single batches."""
    measured = found.loader.batch_ns is not None and found.need_ns is not None
    return bool(measured and found.workers and (found.need_ns or 0.0) / found.workers < found.rest_ns)


def wanted_workers(found: InputNeed) -> int | None:
    """The number of workers that hides the making of batches, as far as there are cores; None when unknown."""
    if found.need_ns is None:
        return None
    slower = _on_shared_cores(found)
    wanted = math.ceil(slower * found.need_ns / (found.rest_ns + found.pinning_ns))
    if found.loader.times is not None:
        most = MOST_WORKERS if found.cores is None else found.cores
        enough = max(found.receiving_ns, found.pinning_ns)
        enough += thresholds.NOISE_SHARE.value * (found.rest_ns + found.wait_ns)
        while wanted < most and left_ns(found, wanted, slower=slower) > enough:
            wanted += 1
    wanted += int(thresholds.SPARE_WORKERS.value)
    return wanted if found.cores is None else min(wanted, found.cores)


def _on_shared_cores(found: InputNeed) -> float:
    """How many times longer batches take where every worker shares its core with another thread: enough even then."""
    times = found.loader.times
    if times is None or not times.cpu_ns or found.cores is None:
        return 1.0
    return 1.0 + min(1.0, times.cpu_ns / times.mean_ns) * (SIBLING - 1.0)


def left_ns(found: InputNeed, workers: int, prefetch: int | None = None, slower: float = 1.0) -> float:
    """The wait per step that stays with this many workers; by a replay where single batches were measured."""
    times = found.loader.times
    if times is None:
        return max(found.receiving_ns, (found.need_ns or 0.0) / max(workers, 1) - found.rest_ns)
    loads, cpu_ns = [slower * load for load in _alone(found, times)], slower * (times.cpu_ns or 0.0)
    return _replayed_ns(found, loads, cpu_ns, workers, prefetch or found.prefetch)


def less_work_ns(found: InputNeed, share: float, part: Literal["cpu", "other"]) -> float:
    """What is saved if this share of the workers' CPU time, or of their waiting for storage, is gone.

    Where nobody measured single batches, or the training process makes them, it is of the wait itself; where nobody
    knows how much of that is which part, each is taken for half of it.
    """
    found = _usual(found)
    times = found.loader.times
    if times is None or not found.workers:
        busy = 0.5 if times is None or times.cpu_ns is None else min(1.0, times.cpu_ns / max(times.mean_ns, 1.0))
        return share * found.wait_ns * (busy if part == "cpu" else 1.0 - busy)
    loads = _alone(found, times)
    mean = sum(loads) / len(loads)
    cpu = mean if times.cpu_ns is None else min(times.cpu_ns, mean)
    gone = share * (cpu if part == "cpu" or times.cpu_ns is None else mean - cpu) / mean if mean > 0 else 0.0
    kept = tuple((1.0 - gone) * load for load in loads)
    cpu_left = (times.cpu_ns or 0.0) * (1.0 - share if part == "cpu" else 1.0)
    now = left_ns(found, found.workers)
    left = _replayed_ns(found, kept, cpu_left, found.workers, found.prefetch)
    # The share of the replayed wait that goes, of the recorded one: they differ by what the sample of loads is off.
    return found.wait_ns * max(0.0, 1.0 - left / now) if now > 0 else 0.0


def _alone(found: InputNeed, times: BatchTimes) -> tuple[float, ...]:
    return alone_ns(times.even_ns or times.sequence_ns, times.cpu_ns, found.workers, found.cores)


def _replayed_ns(found: InputNeed, loads: Sequence[float], cpu_ns: float, workers: int, prefetch: int) -> float:
    fetches = found.loader.fetches_per_step or 1.0
    rest = found.rest_ns / fetches
    settings = found.loader.settings
    interval = batch_interval_ns(
        loads,
        rest,
        max(workers, 1),
        prefetch,
        hand_over_ns=found.hand_over_ns,
        cpu_ns=cpu_ns,
        cores=found.cores,
        in_order=settings is None or settings.in_order is not False,
        paces=found.loader.times.paces if found.loader.times is not None else (),
        passing_ns=found.loader.passing_ns or 0.0,
        arriving_ns=found.loader.arriving_ns or 0.0,
    )
    return max(0.0, interval - rest) * fetches


def chance_ns(found: InputNeed) -> float:
    """How far the recorded wait may be off the run's mean: two standard errors, 0 where they are not known."""
    return thresholds.NOISE_ERRORS.value * (found.loader.wait_error_ns or 0.0)


def deeper_queue_ns(found: InputNeed) -> float:
    """What DEEPER times as many batches on order save; an assumed share of the wait where batches were not measured."""
    if found.loader.times is None or not found.workers:
        return thresholds.PREFETCH_SHARE.value * found.wait_ns
    return saved_ns(found, found.workers, DEEPER * found.prefetch)


def saved_ns(found: InputNeed, workers: int, prefetch: int | None = None) -> float:
    """What of the wait per step goes with so many workers."""
    usual = _usual(found)
    return max(0.0, usual.wait_ns - left_ns(usual, workers, prefetch))


def _usual(found: InputNeed) -> InputNeed:
    """The same where the wait may be that of a few slow batches that came by chance, with the loads of the whole run.

    In them such batches are as rare as they are, and the wait is what they come to.
    """
    loader, times = found.loader, found.loader.times
    if times is None or not times.run_ns or not found.workers or not loader.waits_by_chance:
        return found
    usual = replace(found, loader=replace(loader, times=replace(times, sequence_ns=times.run_ns, even_ns=(), paces=())))
    return replace(usual, wait_ns=left_ns(usual, found.workers))
