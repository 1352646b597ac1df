"""How full is the host's memory? What the rank's processes hold, what the node has left, and whether it swaps.

Sampled once a second, also outside the counted steps: a host that is full stays full.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from llmprof.timeline.telemetry import Series
from llmprof.timeline.timeline import RankTimeline

__all__ = ["HostMemory", "host_memory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostMemory:
    """Host memory as one rank sees it; None where it was not sampled."""

    total_bytes: int | None = None
    """Of the node."""
    available_bytes: int | None = None
    """The least that was left on the node."""
    held_bytes: int | None = None
    """The most that the rank and its children held; pages that workers share count once for each of them."""
    processes: int | None = None
    """Most processes of the rank at a time: itself and its workers."""
    limit_bytes: int | None = None
    """What the control group allows."""
    swapped_in_bytes: int | None = None
    """Read back from swap on this node while the run was sampled."""
    shm_bytes: int | None = None
    """Size of /dev/shm, through which workers hand over batches."""

    @property
    def used_share(self) -> float | None:
        """Of the node's memory, when least of it was left."""
        if self.available_bytes is None or not self.total_bytes:
            return None
        return 1 - min(self.available_bytes, self.total_bytes) / self.total_bytes


def host_memory(rank: RankTimeline) -> HostMemory | None:
    """What is known of the host's memory; None when nothing was sampled."""
    series = {one.name: one for one in rank.telemetry if one.device is None}
    if not series:
        return None
    node = rank.environment.node
    return HostMemory(
        total_bytes=None if node is None else node.memory_bytes,
        available_bytes=_extreme(series, "available_bytes", least=True),
        held_bytes=_extreme(series, "rss_bytes"),
        processes=_extreme(series, "processes"),
        limit_bytes=rank.environment.memory_limit_bytes,
        swapped_in_bytes=_growth(series.get("swap_in_bytes")),
        shm_bytes=None if node is None else node.shm_bytes,
    )


def _extreme(series: Mapping[str, Series], name: str, *, least: bool = False) -> int | None:
    found = series.get(name)
    known = np.empty(0) if found is None else found.value[~np.isnan(found.value)]
    if known.size == 0:
        return None
    return int(known.min() if least else known.max())


def _growth(series: Series | None) -> int | None:
    known = np.empty(0) if series is None else series.value[~np.isnan(series.value)]
    return max(0, int(known[-1] - known[0])) if known.size > 1 else None
