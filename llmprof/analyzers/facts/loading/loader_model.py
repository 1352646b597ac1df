"""How long would a step be with another number of loader workers? The mean distance of batches in the loader's queue.

The mean distance of the times in `loader_queue` is the step, what the consumer does with a batch apart from the wait:
DS-Analyzer's split of prep stalls from compute (Mohan et al., Analyzing and Mitigating Data Stalls in DNN Training,
VLDB 2021), without the mean-rate assumption max(G, L/W), which knows no slow single batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, gcd

from llmprof.analyzers.facts.loading.loader_queue import DEFAULT_PREFETCH, received_ns

__all__ = [
    "SIBLING",
    "alone_ns",
    "batch_interval_ns",
    "expected_hand_over_ns",
    "paired_share",
    "pinning_ns",
]

BATCHES = 600
"""Received batches that the mean is taken over, at least; recorded load times are repeated in their order."""
FULL = 0.9
"""Workers whose CPU time fills this share of the cores (but the training thread's) have waited for cores."""
HAND_OVER_NS, HAND_OVER_NS_PER_BYTE = 1_500_000.0, 0.2
"""What a batch from a worker costs the training process although it is ready: so much each (its handle through the
queue, mapping its shared memory), so much a byte (page after page of the mapping, when it is first read). The former
is the median of what steps of seven of the recordings in sample_traces/ waited that found a batch of token ids ready
(1.4 to 1.6 ms); the latter from benchmarks/hand_over.py (0.2 ms a MB, on a virtual machine of two cores)."""
RELEASE_NS_PER_BYTE = 0.2
"""What giving the memory of a batch back takes that a worker had made, page after page (benchmarks/hand_over.py: 0.17
to 0.23 ms a MB). It is the thread that has read the batch which does it, when it takes the next one."""
PINNED_HAND_OVER_NS = 200_000.0
"""With pin_memory a thread of the training process receives and copies the batch, and the training thread takes it from
a queue: 0.13 to 0.21 ms for batches of 3 and 13 MB beside an H200 (benchmarks/loader_model.py)."""
SIBLING = 4 / 3
"""How many times longer the same work takes beside another thread on the same core. benchmarks/loader_model.py, on a
virtual machine of 16 cores that are hyperthreads: the same batches took 57 or 76 ms of CPU, the same launches 22 or 29
ms, by where Linux had put them. On another one the mean batch took 53 ms with 2 workers and 60 with 8 to 24, which is
as much where cores are in use as likely as `paired_share` says; no worker stayed slower than the others there. Two
threads then do 1.5 times the work of one; Intel speaks of up to 1.3 (Marr et al., Hyper-Threading Technology
Architecture and Microarchitecture, 2002)."""


def expected_hand_over_ns(batch_bytes: float | None, *, pinned: bool = False) -> float:
    """What receiving a batch of this size from a worker will take, where there are none yet to measure it with.

    Without a size the part that every batch takes.
    """
    if pinned:
        return PINNED_HAND_OVER_NS
    return HAND_OVER_NS + pinning_ns(batch_bytes or 0.0)


def pinning_ns(batch_bytes: float) -> float:
    """What reading a batch of a worker and giving its memory back will take.

    With pin_memory one thread does it for all batches, one after the other: no step is shorter than this.
    """
    return (HAND_OVER_NS_PER_BYTE + RELEASE_NS_PER_BYTE) * batch_bytes


def paired_share(running: float, cores: float | None) -> float:
    """How likely a thread shares its core while `running` threads have something to do, itself among them.

    What a virtual machine calls a core is mostly one of two hyperthreads, and which two belong together it does not
    say: the other one has something to do with the share of the other cores that are in use.
    """
    return 0.0 if cores is None or cores <= 1 else min(1.0, max(0.0, running - 1.0) / (cores - 1.0))


def alone_ns(
    loads_ns: Sequence[float], cpu_ns: float | None, workers: int | None, cores: float | None
) -> tuple[float, ...]:
    """Load times as a worker would have them that never waits for a core.

    workers    how many there were when they were recorded; cpu_ns is the mean CPU time of a load

    What of a load is not CPU time is waiting: for cores where the workers have filled them, else for a disk or network.
    """
    mean = sum(loads_ns) / len(loads_ns) if loads_ns else 0.0
    if not cpu_ns or not workers or cores is None or mean <= cpu_ns or workers * cpu_ns / mean < FULL * (cores - 1):
        return tuple(loads_ns)
    return tuple(value * cpu_ns / mean for value in loads_ns)


def batch_interval_ns(
    loads_ns: Sequence[float],
    rest_ns: float,
    workers: int,
    prefetch: int = DEFAULT_PREFETCH,
    *,
    hand_over_ns: float = 0.0,
    cpu_ns: float = 0.0,
    cores: float | None = None,
    in_order: bool = True,
    paces: Sequence[float] = (),
    passing_ns: float = 0.0,
    arriving_ns: float = 0.0,
) -> float:
    """Mean time from batch to batch in the steady state; at least `rest_ns`, what the consumer does with one.

    loads_ns    load times in the order in which batches were made, without waiting for cores; at least one
    cpu_ns      mean CPU time of a load, for when the workers and the training thread are more than `cores`
    in_order    False: whichever batch is ready is received (DataLoader's in_order)
    paces       how many times its load each worker takes, for workers that are not equally fast; of another number of
                workers it says nothing
    passing_ns  what the thread that pins batches takes with each: however many workers there are, no less
    arriving_ns what a batch that is waited for takes from the worker that has made it: its way into shared memory,
                through a pipe, and through the thread that pins

    With 0 workers the consumer makes each batch itself.
    """
    mean = sum(loads_ns) / len(loads_ns)
    if workers <= 0:
        return rest_ns + mean
    first = 2 * prefetch * workers
    # Whole rounds: the one long batch of a hundred has to count as often as it comes.
    count = first + max(2, ceil(BATCHES / len(loads_ns))) * len(loads_ns)
    received = received_ns(
        _repeated(loads_ns, workers, first, count + prefetch * workers),
        rest_ns,
        workers,
        prefetch,
        hand_over_ns=hand_over_ns,
        cpu_share=min(1.0, cpu_ns / mean) if mean > 0 else 0.0,
        cores=cores,
        in_order=in_order,
        paces=paces,
        arriving_ns=arriving_ns,
    )[:count]
    return max(passing_ns, (received[-1] - received[first - 1]) / (count - first))


def _repeated(loads_ns: Sequence[float], workers: int, first: int, count: int) -> list[float]:
    """So many loads, in their order: a round begins with the `first`, and no worker gets the same ones each time.

    For that each round begins a few loads later than the one before, by as few as make the rest of a round share no
    divisor with the workers.
    """
    loads = len(loads_ns)
    later = next(skipped for skipped in range(loads) if gcd(loads - skipped, workers) == 1)
    return [loads_ns[(n + later * (n // loads)) % loads] for n in range(-first, count - first)]
