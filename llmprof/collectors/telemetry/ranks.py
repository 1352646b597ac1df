"""Which processes train on this node for a run? Those whose rank.json names this host, while they live."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmprof.collectors.telemetry.endings import watch_ending
from llmprof.collectors.telemetry.host import started
from llmprof.errors import LlmprofError
from llmprof.timeline import rundir

__all__ = ["NodeRanks"]


@dataclass(slots=True, kw_only=True)
class _Process:
    """One process that recorded here."""

    rank: int
    pid: int
    started: int | None
    file: Path
    changed_ns: int
    ended: bool


class NodeRanks:
    """The ranks of a run on one host; nothing is looked at but the folder names and the files of these ranks."""

    def __init__(self, run_dir: Path, host: str) -> None:
        self._run_dir = run_dir
        self._host = host
        self._seen: set[Path] = set()
        self._processes: list[_Process] = []

    def alive(self) -> list[tuple[int, int]]:
        """(rank, process id) of those that train now."""
        return [(one.rank, one.pid) for one in self._processes if not one.ended]

    def has_ended(self, pid: int) -> bool:
        """Whether the recording of this process is over."""
        states = [one.ended for one in self._processes if one.pid == pid]
        return bool(states) and all(states)

    def look(self, *, search: bool) -> None:
        """See who has ended; with `search`, or when nobody was found yet, also who has joined: that lists all ranks."""
        for process in self._processes:
            if not process.ended:
                _update(process)
        if self._seen and not search:
            return
        for rank, _, folder in rundir.rank_dirs(self._run_dir):
            if folder not in self._seen:
                self._join(rank, folder)

    def _join(self, rank: int, folder: Path) -> None:
        try:
            header = rundir.read_json(folder / rundir.RANK)
        except (LlmprofError, OSError):  # not written yet
            return
        self._seen.add(folder)
        pid = header.get("pid")
        if header.get("host") == self._host and isinstance(pid, int):
            process = _Process(
                rank=rank, pid=pid, started=started(pid), file=folder / rundir.RANK, changed_ns=0, ended=False
            )
            _update(process)
            self._processes.append(process)
            watch_ending(pid, folder)


def _update(process: _Process) -> None:
    """Note when it has said that it ended, or is gone without a word."""
    if process.started is None or started(process.pid) != process.started:
        process.ended = True
        return
    try:
        changed_ns = process.file.stat().st_mtime_ns
        if changed_ns != process.changed_ns:
            process.ended = rundir.read_json(process.file).get("ended") != "running"
            process.changed_ns = changed_ns
    except (LlmprofError, OSError):
        process.ended = True  # the run directory has been removed
