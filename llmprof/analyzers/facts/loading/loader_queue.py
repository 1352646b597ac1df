"""When has each batch been received from the workers of a loader? PyTorch's DataLoader, batch by batch.

The loader keeps `prefetch` batches a worker on order: one more index is handed out whenever a batch is received, to the
workers in turn; a worker makes one whole batch at a time, and batches are received in order (PyTorch documentation,
torch.utils.data, "Multi-process data loading"). For batch n with load time L_n, W workers, prefetch p, and a consumer
that takes G a batch and h to receive it, and a way d that each batch takes from its worker to where it can be received:

    ordered_n  = 0 for n < p*W, else received_(n - p*W)
    made_n     = max(made_(n - W), ordered_n) + L_n
    received_n = max(made_n + d, received_(n-1) + G) + h

Where workers and training thread are more than the cores, those that want to run share them evenly: the same queue is
then gone through event by event, with the CPU part of a load, and what the training thread does, stretched as long as
that lasts. A worker that waits for a disk, or has nothing on order, takes no core from anybody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush

__all__ = ["DEFAULT_PREFETCH", "received_ns"]

DEFAULT_PREFETCH = 2
"""PyTorch's, where workers are used and nothing is said."""


def received_ns(
    loads_ns: Sequence[float],
    rest_ns: float,
    workers: int,
    prefetch: int = DEFAULT_PREFETCH,
    *,
    hand_over_ns: float = 0.0,
    cpu_share: float = 0.0,
    cores: float | None = None,
    in_order: bool = True,
    paces: Sequence[float] = (),
    arriving_ns: float = 0.0,
) -> list[float]:
    """When each of these batches, and no more, has been received; in ns since the first ones were ordered.

    loads_ns    load times in the order of the batches, `cpu_share` of each being CPU time
    rest_ns     what the consumer does with a batch, after the `hand_over_ns` that receiving it takes
    cores       for workers and consumer together; None is enough for all
    in_order    False: the times of the first, second, ... that is received, whichever it is
    paces       how many times its load each worker takes; of another number of workers it says nothing
    arriving_ns the way of a batch from its worker to where it can be received
    """
    each = list(paces) if len(paces) == workers else [1.0] * workers
    if in_order and (cores is None or cpu_share <= 0 or workers + 1 <= cores):
        return _received(loads_ns, rest_ns, each, prefetch, hand_over_ns, arriving_ns)
    queue = _Shared(loads_ns, cpu_share, each, prefetch, cores or workers + 1.0, in_order, arriving_ns)
    return queue.received(rest_ns, hand_over_ns)


def _received(
    loads_ns: Sequence[float],
    rest_ns: float,
    paces: Sequence[float],
    prefetch: int,
    hand_over_ns: float,
    arriving_ns: float,
) -> list[float]:
    """When each batch has been received, if everybody has a core.

    `loads_ns` has one for each batch, `paces` one for each worker.
    """
    workers = len(paces)
    ahead = prefetch * workers
    made: list[float] = []
    received: list[float] = []
    for n, load in enumerate(loads_ns):
        begin = received[n - ahead] if n >= ahead else 0.0
        if n >= workers:
            begin = max(begin, made[n - workers])
        made.append(begin + load * paces[n % workers])
        asked = received[n - 1] + rest_ns if n else 0.0
        received.append(max(made[n] + arriving_ns, asked) + hand_over_ns)
    return received


_CONSUMER = -1


class _Shared:
    """The queue on cores that are shared: `share` of each load is CPU time, the rest of it passes before that.

    The cores are divided evenly among those that run, so all advance at the same pace: of whoever has least left to
    do, the end is next. What one has got of a core so far is the pace summed up, `_run`.
    """

    def __init__(
        self,
        loads_ns: Sequence[float],
        share: float,
        paces: Sequence[float],
        prefetch: int,
        cores: float,
        in_order: bool,
        arriving_ns: float,
    ) -> None:
        self._loads, self._share, self._cores, self._in_order = loads_ns, share, max(cores, 1.0), in_order
        self._paces, self._arriving_ns = paces, arriving_ns
        self._now = self._run = 0.0
        self._running: list[tuple[float, int]] = []
        self._waiting: list[tuple[float, int]] = []
        self._orders: list[deque[int]] = [deque() for _ in paces]
        self._idle = [True] * len(paces)
        self._arriving: deque[tuple[float, int]] = deque()
        self._ready: deque[int] = deque()
        self._made_by: dict[int, int] = {}
        self._ordered = 0
        for _ in range(prefetch):
            for worker in range(len(paces)):
                self._order(worker)

    def received(self, rest_ns: float, hand_over_ns: float) -> list[float]:
        """When each batch has been received."""
        found: list[float] = []
        receives, free = -1, True
        while len(found) < len(self._loads):
            if free and (number := self._next(len(found))) is not None:
                receives, free = number, False
                heappush(self._running, (self._run + hand_over_ns, _CONSUMER))
            who = self._advance()
            if who != _CONSUMER:
                continue
            if receives < 0:
                free = True
                continue
            found.append(self._now)
            maker = self._made_by.pop(receives)
            self._order(self._ordered % len(self._orders) if self._in_order else maker)
            receives = -1
            heappush(self._running, (self._run + rest_ns, _CONSUMER))
        return found

    def _next(self, number: int) -> int | None:
        """The batch that can be received now."""
        if not self._ready or (self._in_order and number not in self._ready):
            return None
        if not self._in_order:
            return self._ready.popleft()
        self._ready.remove(number)
        return number

    def _order(self, worker: int) -> None:
        if self._ordered == len(self._loads):
            return
        self._orders[worker].append(self._ordered)
        self._ordered += 1
        if self._idle[worker]:
            self._begin(worker)

    def _begin(self, worker: int) -> None:
        self._idle[worker] = not self._orders[worker]
        if not self._idle[worker]:
            heappush(self._waiting, (self._now + self._load(worker) * (1.0 - self._share), worker))

    def _load(self, worker: int) -> float:
        return self._loads[self._orders[worker][0]] * self._paces[worker]

    def _advance(self) -> int:
        """Go to the next end of something; who it was that got on: the consumer, a worker, or a batch on its way."""
        pace = min(1.0, self._cores / len(self._running)) if self._running else 1.0
        end = self._now + (self._running[0][0] - self._run) / pace if self._running else float("inf")
        until = min(
            self._waiting[0][0] if self._waiting else float("inf"),
            self._arriving[0][0] if self._arriving else float("inf"),
        )
        if until <= end:
            self._run += (until - self._now) * pace
            self._now = until
            if self._arriving and self._arriving[0][0] <= until:
                number = self._arriving.popleft()[1]
                self._ready.append(number)
                return self._made_by[number]
            worker = heappop(self._waiting)[1]
            heappush(self._running, (self._run + self._load(worker) * self._share, worker))
            return worker
        self._run, who = heappop(self._running)
        self._now = end
        if who != _CONSUMER:
            number = self._orders[who].popleft()
            self._made_by[number] = who
            self._arriving.append((end + self._arriving_ns, number))
            self._begin(who)
        return who
