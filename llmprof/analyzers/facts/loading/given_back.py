"""For how long does a thread that pins batches keep the thread that launches kernels from running Python?

The memory of a batch that a worker made goes back page after page, when the last reference to it is dropped: in the
destructor of a Python object, which holds Python's lock. Where a thread pins the batches, the training thread's Python
stands still meanwhile, in a pause without any call. (Measured: while one thread drops a shared tensor of 100 MB, a loop
in another stands for as long as that takes.) The backward pass does without Python.
"""

from __future__ import annotations

from llmprof.analyzers.facts.loading.copies import CopyFacts
from llmprof.analyzers.facts.loading.loader_model import RELEASE_NS_PER_BYTE
from llmprof.analyzers.facts.measured import RankFacts

__all__ = ["exposed_ns", "locked_ns"]


def locked_ns(rank: RankFacts) -> float:
    """Ns per step that the thread which pins holds Python's lock for; 0 without such a thread."""
    copies = rank.copies or CopyFacts()
    loader = rank.environment.loaders[0] if rank.environment.loaders else None
    if loader is None or not loader.num_workers or not loader.pin_memory:
        return 0.0
    return RELEASE_NS_PER_BYTE * copies.pinned_to_device.bytes


def exposed_ns(locked: float, python_ns: float, backward_ns: float) -> float:
    """What of that a host which sets the pace loses in the mean.

    python_ns, backward_ns    of a step, the time in which the host needs the lock, and that in which it does not

    When a batch arrives has nothing to do with where the host is. A lock that is taken in the backward pass holds up
    what comes after it.
    """
    whole = python_ns + backward_ns
    if whole <= 0:
        return locked
    meanwhile = min(locked, backward_ns)
    return (python_ns * locked + meanwhile * (locked - meanwhile / 2)) / whole
