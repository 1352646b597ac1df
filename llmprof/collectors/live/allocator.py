"""What does PyTorch's caching allocator hold? Its counters every few steps; nothing that the script sees is reset."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from llmprof.collectors.live.collector import NEVER

if TYPE_CHECKING:
    from llmprof.collectors.live.collector import StepRecord
    from llmprof.collectors.live.session import Session

__all__ = ["Allocator", "counters"]

EVERY = 50
"""Steps from one reading to the next (option `allocator_every`); a change of the phase is read too."""


class Allocator:
    """Lines of allocator.jsonl and the device's capacity; nothing at all where CUDA was never initialised."""

    name = "allocator"

    def __init__(self) -> None:
        self._session: Session | None = None
        self._every = EVERY
        self.next_step = 0
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

    def on_step(self, record: StepRecord) -> None:
        """Read the counters; not between traced steps."""
        if self._session is not None and record["phase"] != "traced":
            self.next_step = int(record["n"]) + self._every
            self._read(self._session, int(record["n"]))

    def stop(self) -> None:
        """One last reading, and the message when the process dies of a full device."""
        session = self._session
        if session is None or session.current_step == 0:
            return
        self._read(session, session.current_step - 1)
        error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
        if type(error).__name__ == "OutOfMemoryError":
            session.update_rank(memory={"capacity_bytes": self._capacity, "out_of_memory": str(error)})

    def _read(self, session: Session, step: int) -> None:
        torch: Any = import_module("torch")
        if self._capacity is None:
            self._capacity = int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)
            session.update_rank(memory={"capacity_bytes": self._capacity})
        session.append("allocator.jsonl", {"n": step, **counters(torch.cuda.memory_stats_as_nested_dict())})


def counters(stats: dict[str, Any]) -> dict[str, int]:
    """One line, in bytes and counts, from torch.cuda.memory_stats_as_nested_dict(); what is unknown is absent."""

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
