"""Which ways to load batches are measured by loader_model.py, for a machine of so many cores?"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["Setting", "plans"]

FEW = 8
"""Cores on which several decoding workers and a training thread do not fit."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One way to train; `work` is decoded views a sample (mean), `wait_ms` what a sample takes to arrive."""

    kind: str
    workers: int
    prefetch: int = 2
    consumer_ms: float = 10.0
    in_order: bool = True
    batch: int = 16
    work: float = 8.0
    wait_ms: float = 0.0

    @property
    def name(self) -> str:
        """Short, for tables."""
        order = "" if self.in_order else " any order"
        return f"{self.workers} workers, prefetch {self.prefetch}, consumer {self.consumer_ms:g} ms{order}"


def plans(cores: int, tiny: bool) -> dict[str, list[Setting]]:
    """Settings of each kind; the first is the one that is recorded."""
    if tiny:
        cpu = Setting(kind="cpu", workers=1, consumer_ms=6.0, work=1.0)
        wait = Setting(kind="io", workers=2, consumer_ms=8.0, work=1.0, wait_ms=2.0)
        return {
            "cpu": [cpu, replace(cpu, consumer_ms=25.0), replace(cpu, workers=2)],
            "io": [wait, replace(wait, workers=3), replace(wait, workers=6)],
        }
    if cores < FEW:
        return {**_of_waiting(4, (2, 6, 8)), **_of_one_worker("cpu"), **_of_one_worker("tail")}
    first = 4
    cpu = Setting(kind="cpu", workers=first, consumer_ms=8.0)
    wait = Setting(kind="io", workers=first, consumer_ms=8.0, work=1.0, wait_ms=6.0)
    tail = replace(cpu, kind="tail")
    launch = replace(wait, kind="launch", consumer_ms=16.0, batch=64, wait_ms=2.0)
    beyond = 3 * cores // 2
    found = {
        "cpu": [cpu, *_with(cpu, 2, 3, 6, 8, 12, cores, beyond, most=beyond), replace(cpu, workers=first, prefetch=1)],
        **_of_waiting(first, (2, 6, 8, 12, 16, 24)),
        "tail": [tail, *_with(tail, 2, 6, 8, 12, most=cores), replace(tail, in_order=False)],
        "launch": [launch, *_with(launch, 2, 6, 8, 12, 16)],
    }
    found["cpu"] += [replace(cpu, prefetch=8), replace(cpu, consumer_ms=30.0)]
    found["tail"] += [replace(tail, prefetch=depth) for depth in (1, 4, 8)] + [replace(tail, consumer_ms=24.0)]
    found["launch"] += [replace(launch, prefetch=8)]
    return {kind: list(dict.fromkeys(settings)) for kind, settings in found.items()}


def _of_waiting(first: int, others: tuple[int, ...]) -> dict[str, list[Setting]]:
    """Settings whose workers sleep nearly all the time; for `io` with these numbers of workers."""
    even = Setting(kind="io", workers=first, consumer_ms=8.0, work=1.0, wait_ms=6.0)
    store = Setting(kind="store", workers=first, consumer_ms=8.0, work=0.0, wait_ms=3.0)
    slow = [replace(one, consumer_ms=24.0) for one in (store, replace(store, prefetch=4))]
    deep = [replace(store, prefetch=depth) for depth in (1, 4, 8)]
    return {
        "io": [even, *_with(even, *others), replace(even, consumer_ms=30.0)],
        "store": [store, *_with(store, 2, 3, 6, 8, 12), *deep, *slow, replace(store, in_order=False)],
    }


def _of_one_worker(kind: str) -> dict[str, list[Setting]]:
    """Settings of decoding work for two cores; the worker takes about as long as the slower consumers."""
    first = Setting(kind=kind, workers=1, consumer_ms=16.0, work=4.0)
    equal = replace(first, consumer_ms=28.0)
    deep = [replace(equal, prefetch=depth) for depth in (1, 4, 8)]
    return {kind: [first, equal, *deep, replace(first, consumer_ms=40.0)]}


def _with(setting: Setting, *counts: int, most: int = 64) -> list[Setting]:
    return [replace(setting, workers=count) for count in counts if count <= most]
