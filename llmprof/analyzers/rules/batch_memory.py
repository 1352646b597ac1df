"""How much of the silence between a fetch and its copy may be the memory of batches that workers made?

A batch from a worker lies in shared memory. When the loop takes the next one, the last one's pages are taken out of the
process, on the thread that trains and without any operator: the trace shows nothing there, as if the script worked on
the batch with something that is not PyTorch. The two look the same. Taking pages away is not slower than reading them
for the first time, which the copy out of the same memory does, so at most that much is ascribed to it.
"""

from __future__ import annotations

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.gains import part_ns
from llmprof.analyzers.rules.host_waits import unprofiled_ns

__all__ = ["released_ns"]


def released_ns(facts: Facts) -> float:
    """Idle ns per step in that silence, at most what the copies' calls take; 0 where the loader pins its batches.

    A loader that pins has a thread of its own which gives the memory back.
    """
    critical = facts.critical
    copies, work = critical.copies, critical.causes.work if critical.causes is not None else None
    settings = critical.environment.loaders[0] if critical.environment.loaders else None
    if settings is None and critical.loader is not None:
        settings = critical.loader.settings
    if settings is None or not settings.num_workers or settings.pin_memory is not False:
        return 0.0
    if copies is None or work is None:
        return 0.0
    silent = unprofiled_ns(facts, work.preparing_silent_ns or 0.0)
    return min(silent, copies.pageable_stall_ns or 0.0, part_ns(facts, "host"))
