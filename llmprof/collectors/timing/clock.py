"""How long does a function take on the device? The median of batches, without the host's part, from cold caches."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["BATCHES", "time_ns", "warm_up"]

BATCHES = 5
BATCH_S = 0.004
"""A batch is so long, or one call."""
MOST_CALLS = 100
LONG_S = 0.1
"""Calls that take longer are timed three times only."""
_CYCLES = 2e9
"""Clock rate that no GPU of today exceeds by much, to turn seconds into cycles of sleep."""
_LONGEST_SLEEP_S = 0.02
WARM_UP_S = 0.25
"""The clocks of an idle GPU rise within some milliseconds; its power needs longer to settle."""

Work = Callable[[], Any]


def warm_up(device: str) -> None:
    """Keep the device busy until its clocks have risen."""
    import torch

    if not device.startswith("cuda"):
        return
    some = torch.randn(2048, 2048, device=device)
    end = time.monotonic() + WARM_UP_S
    while time.monotonic() < end:
        for _ in range(8):
            torch.mm(some, some)
        torch.cuda.synchronize()


def time_ns(works: Sequence[Work], device: str) -> float:
    """Ns of one call; the same call on several sets of operands in turn, so that none is in the cache for sure.

    Raises what the call raises.
    """
    batch = _on_gpu if device.startswith("cuda") else _on_host
    for work in works:  # the first call chooses an algorithm
        work()
    first = batch(works, 2 * len(works), 0.0)
    count = max(1, min(MOST_CALLS, int(BATCH_S / max(first[0], 1e-9))))
    batches = 3 if first[0] > LONG_S else BATCHES
    # Launches are queued behind a sleep as long as the host needs for them: then the device never waits for the host.
    ahead = min(_LONGEST_SLEEP_S, 1.5 * count * first[1])
    return statistics.median(batch(works, count, ahead)[0] for _ in range(batches)) * 1e9


def _on_gpu(works: Sequence[Work], count: int, ahead_s: float) -> tuple[float, float]:
    """Seconds of a call on the device, and of the host to launch it."""
    import torch

    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    if ahead_s > 0 and hasattr(torch.cuda, "_sleep"):
        torch.cuda._sleep(int(ahead_s * _CYCLES))
    start = time.perf_counter()
    begin.record()
    for number in range(count):
        works[number % len(works)]()
    end.record()
    host = time.perf_counter() - start
    end.synchronize()
    return begin.elapsed_time(end) / 1e3 / count, host / count


def _on_host(works: Sequence[Work], count: int, ahead_s: float) -> tuple[float, float]:
    start = time.perf_counter()
    for number in range(count):
        works[number % len(works)]()
    took = (time.perf_counter() - start) / count
    return took, took
