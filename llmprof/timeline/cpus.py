"""How is a set of CPUs written? The kernel's list format, such as `0-15,32-47`. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["cpu_list", "cpu_set"]

MANY = 1 << 16
"""No machine has as many CPUs; a number beyond it is damage."""


def cpu_list(cpus: Iterable[int]) -> str:
    """These CPUs in the kernel's list format; empty for none."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs)


def cpu_set(text: str) -> frozenset[int]:
    """The CPUs of such a list. Raises ValueError for anything else."""
    cpus: set[int] = set()
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            low, high = int(first), int(last or first)
            if not 0 <= low <= high < MANY:
                raise ValueError(f"{part} is no range of CPUs")
            cpus.update(range(low, high + 1))
    return frozenset(cpus)
