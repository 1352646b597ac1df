"""What does a batch cost the training process that comes from a worker, although it was ready?

    python benchmarks/hand_over.py

The same batches once made in the process and once by a worker, which is given the time to have one ready. Receiving
one (unpickling, mapping its shared memory), and reading its bytes for the first time against reading it the second
time: what a mapping costs that is not in the processor's page tables yet. At last its memory is given back. Printed
are the least times, which are what an undisturbed machine takes, and a line: the smallest batch, and the median slope
of all pairs (Theil and Sen).
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import combinations, pairwise
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

SIZES_MB = (0.01, 0.1, 1, 4, 16, 48)
ROWS = 8


class Rows(Dataset[torch.Tensor]):
    """Rows of one size, which cost nothing to load."""

    def __init__(self, megabytes: float) -> None:
        self._row = torch.zeros(int(megabytes * 1e6 / ROWS / 4))

    def __len__(self) -> int:
        return 10**6

    def __getitem__(self, index: int) -> torch.Tensor:
        return self._row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=40)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("      MB   in process us   received us   first read us   read again us   given back us   hand-over us")
    points, backs = [], []
    for size in SIZES_MB:
        make = measure(size, 0, args.batches)[0]
        receive, first, again, back = measure(size, 1, args.batches)
        backs.append((size * 1e6, back))
        points.append((size * 1e6, receive + max(0.0, first - again)))
        shown = f"{make:13.0f} {receive:13.0f} {first:15.0f} {again:15.0f} {back:15.0f} {points[-1][1]:14.0f}"
        print(f"{size:8.2f}   {shown}", flush=True)
    slope, back = _slope(points), _slope(backs)
    print(f"{points[0][1]:.0f} us a batch and {slope * 1e6:.0f} us a MB ({1 / slope / 1e3:.1f} GB/s),")
    print(f"and {back * 1e6:.0f} us a MB for giving its memory back")


def _slope(points: list[tuple[float, float]]) -> float:
    return statistics.median((y - v) / (x - u) for (u, v), (x, y) in combinations(points, 2))


def measure(megabytes: float, workers: int, batches: int) -> tuple[float, ...]:
    """Least times in us: of next(), of reading the batch into a buffer, of doing that again, of giving it back."""
    iterator: Any = iter(DataLoader(Rows(megabytes), batch_size=ROWS, num_workers=workers))
    buffer = next(iterator).clone()
    rows = []
    for _ in range(batches):
        while workers and iterator._data_queue.empty():
            time.sleep(0.001)
        time.sleep(0.002)  # what was put last has gone through its pipe
        stamps = [time.perf_counter_ns()]
        batch = next(iterator)
        stamps.append(time.perf_counter_ns())
        for _ in range(2):
            buffer.copy_(batch)
            stamps.append(time.perf_counter_ns())
        del batch
        stamps.append(time.perf_counter_ns())
        rows.append([(after - before) / 1e3 for before, after in pairwise(stamps)])
    return tuple(min(column) for column in zip(*rows, strict=True))


if __name__ == "__main__":
    main()
