"""How long did the loader's workers, or the training process that has none, take for each batch?"""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.timeline.intervals import Int64

__all__ = ["BatchLoads"]


@dataclass(frozen=True, slots=True, eq=False)
class BatchLoads:
    """Batches that workers of the training loaders made, in the order in which they were begun; shape (batches,)."""

    loader: Int64
    """Number of the loader, in the order in which they fed their first step."""
    worker: Int64
    start_ns: Int64
    """Unix nanoseconds."""
    duration_ns: Int64
    cpu_ns: Int64
    """CPU time of the worker meanwhile; the rest it waited, for a disk or a core. NONE where it is not known."""

    def __len__(self) -> int:
        return int(self.worker.size)
