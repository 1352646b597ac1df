"""Does the input pipeline keep up? Loader kind and settings, batch time, wait per step."""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.timeline.environment import LoaderSettings

__all__ = ["LoaderFacts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderFacts:
    """The training loader of one rank; ns per step, None where nothing tells."""

    in_process: bool | None = None
    """True when batches are made in the training process (num_workers=0), from the settings or the iterator's name."""
    settings: LoaderSettings | None = None
    wait_ns: float | None = None
    """Host time inside the loader's next() per step: the unprofiled measurement when there is one."""
    traced_wait_ns: float | None = None
    exposed_wait_ns: float | None = None
    """Of it, the time during which the device was idle, as measured without the profiler."""
    fetches_per_step: float | None = None
    batch_ns: float | None = None
    """Time to make one batch: the wait itself in process, else what the workers measured."""
    queue_depth: float | None = None
    """Mean number of batches ready when a fetch began."""
    cores: int | None = None
    ranks_on_node: int | None = None
