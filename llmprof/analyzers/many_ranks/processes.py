"""How are rank files reduced on this machine? In as many processes as cores and memory allow.

When a process dies (killed for memory, most likely), nobody knows which of the files in work did it. They are done
once more, one at a time: the file that kills its process again is named and left out, the others lose nothing.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from llmprof.analyzers.many_ranks.task import Outcome, reduce_file
from llmprof.collectors.files.rank_files import RankFile

__all__ = ["Processes", "usable_cores", "usable_memory", "worker_count"]

WORKER_BYTES = 150 << 20
"""An interpreter with numpy and this package."""
PACKED_FACTOR, PLAIN_FACTOR = 100, 5
"""Memory of a reader over the bytes of its file, packed (gzip, zstd) and plain: the text is 5 to 25 times the packed
bytes, and a small file is read with a Python object an event: 30 to 92 times were seen. Large ones are scanned."""
MOST_WORKER_BYTES = 1 << 30
"""Reading a large trace is bounded: the columns of 1.5 GB of text take 0.6 GB."""
MEMORY_SHARE = 0.7
"""Of what is free; the rest stays for the page cache and for others."""


class Processes:
    """Reduces files in `workers` processes; with one, in this one."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def outcomes(self, files: Sequence[RankFile], step_ms: float | None) -> Iterator[Outcome]:
        """One outcome a file, in the order in which they are ready."""
        if self.workers <= 1:
            for place, file in enumerate(files):
                yield reduce_file(place, file, step_ms)
            return
        waiting = list(range(len(files)))[::-1]
        suspects: list[int] = []
        while waiting:
            yield from self._until_broken(files, step_ms, waiting, suspects)
            while suspects:
                yield self._alone(files, step_ms, suspects.pop())

    def closely(self, file: RankFile, step_ms: float | None) -> Outcome:
        """One file with all detail."""
        return reduce_file(0, file, step_ms, compact=False)

    def _until_broken(
        self, files: Sequence[RankFile], step_ms: float | None, waiting: list[int], suspects: list[int]
    ) -> Iterator[Outcome]:
        """Take from `waiting` until it is empty or a process dies; then `suspects` are those that were in work."""
        with _pool(min(self.workers, len(waiting))) as pool:
            busy: dict[Future[Outcome], int] = {}
            while waiting or busy:
                while waiting and len(busy) < 2 * self.workers:  # one in work, one ready: no task waits in vain
                    place = waiting.pop()
                    try:
                        busy[pool.submit(reduce_file, place, files[place], step_ms)] = place
                    except BrokenProcessPool:
                        waiting.append(place)
                        break
                ready, _ = wait(busy, return_when=FIRST_COMPLETED)
                broken = False
                for future in ready:
                    place = busy.pop(future)
                    try:
                        yield future.result()
                    except BrokenProcessPool:
                        broken = True
                        suspects.append(place)
                if broken or not ready:
                    suspects += busy.values()
                    return

    def _alone(self, files: Sequence[RankFile], step_ms: float | None, place: int) -> Outcome:
        with _pool(1) as pool:
            try:
                return pool.submit(reduce_file, place, files[place], step_ms).result()
            except BrokenProcessPool:
                return Outcome(
                    place=place,
                    error=f"{files[place].address} ends the process that reads it, as a lack of memory would; read it "
                    "on a larger machine.",
                )


def worker_count(files: Sequence[RankFile]) -> int:
    """How many processes read these files best: no more than there are cores, files, or room for the largest ones."""
    need = max((_bytes_to_read(file) for file in files), default=WORKER_BYTES)
    room = int(usable_memory() * MEMORY_SHARE / need)
    return max(1, min(usable_cores(), len(files), room))


def usable_cores() -> int:
    """Cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _words("/sys/fs/cgroup/cpu.max")
    if len(quota) == 2 and quota[0].isdecimal() and quota[1].isdecimal() and int(quota[1]):
        cores = min(cores, max(1, int(quota[0]) // int(quota[1])))
    return cores


def usable_memory() -> int:
    """Bytes that this process may still take: what the machine has free, within the limit of its control group."""
    free = 4 << 30  # a machine that does not tell
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    limit, used = _words("/sys/fs/cgroup/memory.max"), _words("/sys/fs/cgroup/memory.current")
    if limit and used and limit[0].isdecimal() and used[0].isdecimal():
        free = min(free, max(0, int(limit[0]) - int(used[0])))
    return free


def _bytes_to_read(file: RankFile) -> int:
    plain = file.address.endswith(".json")
    stored = file.size if file.size is not None else 64 << 20
    return WORKER_BYTES + min(MOST_WORKER_BYTES, stored * (PLAIN_FACTOR if plain else PACKED_FACTOR))


def _pool(workers: int) -> ProcessPoolExecutor:
    # A fork would copy the threads of progress bars and compilers in whatever state they are.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []


def _words(path: str) -> list[str]:
    return [word for line in _lines(path) for word in line.split()]
