"""What does PyTorch's caching allocator hold? Its counters every so many steps; nothing that the script sees is reset.

One reading is one call into torch; what a line needs is picked out of it later, by the thread that writes. Counters
and peaks are of the whole run, so seldom readings lose nothing but the moment.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from llmprof.collectors.live.collector import NEVER
from llmprof.timeline import rundir

if TYPE_CHECKING:
    from llmprof.collectors.live.collector import StepRecord
    from llmprof.collectors.live.session import Session

__all__ = ["Allocator", "Stats", "counters", "reader"]

EVERY = 100
"""Steps from one reading to the next (option `allocator_every`); a change of the phase is read too."""

Stats = Mapping[str, Any]
"""As torch.cuda.memory_stats_as_nested_dict() gives it."""


class Allocator:
    """Lines of allocator.jsonl and the device's capacity; nothing at all where CUDA was never initialised."""

    name = "allocator"

    def __init__(self) -> None:
        self._session: Session | None = None
        self._every = EVERY
        self.next_step = 0
        self._read: Callable[[], Stats] = dict
        self._capacity: int | None = None

    def start(self, session: Session) -> None:
        """Begin where CUDA is in use; after the first step it is, if ever."""
        torch: Any = import_module("torch")
        if not torch.cuda.is_initialized():
            session.set_collector(self.name, "absent", "no allocator counters: this process does not use CUDA")
            self.next_step = NEVER
            return
        self._session = session
        self._every = max(int(session.options.get("allocator_every") or EVERY), 1)
        device = torch.cuda.current_device()
        self._read = reader(torch, device)
        self._capacity = int(torch.cuda.get_device_properties(device).total_memory)
        session.update_rank(memory={"capacity_bytes": self._capacity})

    def on_step(self, record: StepRecord) -> None:
        """Read the counters; not between traced steps."""
        session = self._session
        if session is not None and record["phase"] != "traced":
            self.next_step = record["n"] + self._every
            session.lines.append((rundir.ALLOCATOR, partial(_line, record["n"], self._read())))

    def stop(self) -> None:
        """One last reading, and the message when the process dies of a full device."""
        session = self._session
        if session is None or session.current_step == 0:
            return
        session.append(rundir.ALLOCATOR, _line(session.current_step - 1, self._read()))
        self._note_limit(session)
        error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
        if type(error).__name__ == "OutOfMemoryError":
            session.update_rank(memory={"capacity_bytes": self._capacity, "out_of_memory": str(error)})

    def _note_limit(self, session: Session) -> None:
        """A script may have forbidden itself a part of the device since the first step: then that is no capacity."""
        try:
            fraction = float(import_module("torch").cuda.get_per_process_memory_fraction())
        except Exception:  # not in every version
            return
        if self._capacity is not None and 0.0 < fraction < 1.0:
            self._capacity = int(fraction * self._capacity)
            session.update_rank(memory={"capacity_bytes": self._capacity})


def reader(torch: Any, device: int) -> Callable[[], Stats]:
    """What reads the counters of a device: the binding behind torch's function, which is private, or that function."""
    public: Callable[[], Stats] = partial(torch.cuda.memory_stats_as_nested_dict, device)
    binding = getattr(torch._C, "_cuda_memoryStats", None)
    if binding is None:
        return public
    direct: Callable[[], Stats] = partial(binding, device)
    try:
        return direct if "allocated_bytes" in direct() else public
    except Exception:  # it takes something else now
        return public


def counters(stats: Stats) -> dict[str, int]:
    """One line, in bytes and counts, from the allocator's nested statistics; what is unknown is absent."""

    def level(name: str, which: str) -> Any:
        return stats.get(name, {}).get("all", {}).get(which)

    found = {
        "allocated": level("allocated_bytes", "current"),
        "reserved": level("reserved_bytes", "current"),
        "peak_allocated": level("allocated_bytes", "peak"),
        "peak_reserved": level("reserved_bytes", "peak"),
        "retries": stats.get("num_alloc_retries"),
        "ooms": stats.get("num_ooms"),
        "inactive_split": level("inactive_split_bytes", "current"),
        "device_alloc": stats.get("num_device_alloc"),
        "device_free": stats.get("num_device_free"),
    }
    return {key: int(value) for key, value in found.items() if value is not None}


def _line(step: int, stats: Stats) -> dict[str, int]:
    return {"n": step, **counters(stats)}
