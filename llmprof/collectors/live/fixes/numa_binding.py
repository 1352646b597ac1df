"""The fix numa-binding: each rank runs on the cores near its GPU."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.moments import at_first_step
from llmprof.timeline.cpus import cpu_set

__all__ = ["NEEDS_GPU", "NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = ""
NEEDS_GPU = True
PCI = Path("/sys/bus/pci/devices")


def apply(attempt: Attempt) -> None:
    """Bind all threads of the process, and its loader workers, before the first update."""

    def bind(optimizer: Any) -> None:
        device = next(iter(optimizer.param_groups[0]["params"])).device
        near = _near(device) if device.type == "cuda" else None
        allowed = os.sched_getaffinity(0)
        if device.type == "cpu":
            attempt.refuse("the model is trained on the CPU, and there is no GPU to be near to")
        elif near is None:
            attempt.refuse(f"the kernel does not say which cores are near the device {device}")
        elif not near & allowed or allowed <= near:
            attempt.refuse("the process runs near its GPU already, or may not run there")
        else:
            for thread in _threads():
                with suppress(OSError):  # it has ended meanwhile
                    os.sched_setaffinity(thread, near & allowed)
            attempt.applied(f"bound to {len(near & allowed)} of {len(allowed)} cores, those near {device}")

    at_first_step(attempt, bind)


def _near(device: Any) -> set[int] | None:
    """The cores near this GPU as the kernel lists them; None when it does not, or knows one node only."""
    import torch

    found: Any = torch.cuda.get_device_properties(device)
    domain, bus, slot = (getattr(found, f"pci_{name}_id", None) for name in ("domain", "bus", "device"))
    if bus is None:
        return None
    folder = PCI / f"{domain or 0:04x}:{bus:02x}:{slot or 0:02x}.0"
    with suppress(OSError, ValueError):
        if int((folder / "numa_node").read_text()) >= 0:
            return set(cpu_set((folder / "local_cpulist").read_text().strip()))
    return None


def _threads() -> list[int]:
    """All threads of this process and of the processes that it has started."""
    waiting, found = [os.getpid()], []
    while waiting:
        process = waiting.pop()
        with suppress(OSError, ValueError):
            for task in Path(f"/proc/{process}/task").iterdir():
                found.append(int(task.name))
                waiting += [int(child) for child in (task / "children").read_text().split()]
    return found
