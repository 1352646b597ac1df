"""What torch's loader does with its workers, written down once more: what the queue is held against."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import cycle


class Protocol:
    """What torch.utils.data's _MultiProcessingDataLoaderIter does, method by method, with a clock for processes.

    Workers take one index after the other from a queue of their own; what they make goes through one pipe, in the order
    in which it is made. The training process looks for the next batch among those it has read already, else it reads.
    """

    def __init__(self, loads: list[float], workers: int, prefetch: int, way: float, *, in_order: bool) -> None:
        self.loads, self.workers, self.prefetch, self.way, self.in_order = loads, workers, prefetch, way, in_order
        self.now = 0.0
        self.free_at = [0.0] * workers
        self.pipe: list[tuple[float, int]] = []
        self.task_info: dict[int, tuple[int, bool]] = {}  # (worker, whether it has been read)
        self.num_tasks = [0] * workers
        self.cycle = cycle(range(workers))
        self.send_idx = self.rcvd_idx = 0
        for _ in range(prefetch * workers):
            self.try_put_index()

    def try_put_index(self) -> None:
        if self.send_idx == len(self.loads):
            return
        worker = next(one for one in self.cycle if self.in_order or self.num_tasks[one] < self.prefetch)
        self.free_at[worker] = max(self.free_at[worker], self.now) + self.loads[self.send_idx]
        heappush(self.pipe, (self.free_at[worker] + self.way, self.send_idx))
        self.task_info[self.send_idx] = (worker, False)
        self.num_tasks[worker] += 1
        self.send_idx += 1

    def next_data(self, hand_over: float) -> float:
        while self.rcvd_idx < self.send_idx and self.rcvd_idx not in self.task_info:
            self.rcvd_idx += 1
        number = self.rcvd_idx
        while not self.task_info[number][1]:
            arrives, read = heappop(self.pipe)
            self.now = max(self.now, arrives)
            self.task_info[read] = (self.task_info[read][0], True)
            if not self.in_order:
                number = read
        self.now += hand_over
        self.num_tasks[self.task_info.pop(number)[0]] -= 1
        self.try_put_index()
        return self.now

    def epoch(self, rest: float, hand_over: float) -> list[float]:
        """When each batch has been received."""
        found = []
        for _ in self.loads:
            found.append(self.next_data(hand_over))
            self.now += rest
        return found
