"""What does a batch cost the training process that comes from a worker, although it was ready?

    python benchmarks/hand_over.py

The same batches once made in the process and once by a worker, which is given the time to have one ready. Receiving
one (unpickling, mapping its shared memory), and reading its bytes for the first time against reading it the second
time: what a mapping costs that is not in the processor's page tables yet. Printed are the least times, which are what
an undisturbed machine takes, and a line: the smallest batch, and the median slope of all pairs (Theil and Sen).
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
    print("      MB   in process us   received us   first read us   read again us   hand-over us")
    points = []
    for size in SIZES_MB:
        make, _, _ = measure(size, 0, args.batches)
        receive, first, again = measure(size, 1, args.batches)
        points.append((size * 1e6, receive + max(0.0, first - again)))
        shown = f"{make:13.0f} {receive:13.0f} {first:15.0f} {again:15.0f} {points[-1][1]:14.0f}"
        print(f"{size:8.2f}   {shown}", flush=True)
    slope = statistics.median((y - v) / (x - u) for (u, v), (x, y) in combinations(points, 2))
    print(f"{points[0][1]:.0f} us a batch and {slope * 1e6:.0f} us a MB ({1 / slope / 1e3:.1f} GB/s)")


def measure(megabytes: float, workers: int, batches: int) -> tuple[float, float, float]:
    """Least times in us: of next(), of reading the batch into a buffer, and of doing that again."""
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
        rows.append([(after - before) / 1e3 for before, after in pairwise(stamps)])
    received, first, again = (min(column) for column in zip(*rows, strict=True))
    return received, first, again


if __name__ == "__main__":
    main()
