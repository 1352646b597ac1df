"""When is the telemetry of a node sampled? While processes of the run train there, five times a second."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from llmprof.collectors.telemetry.device import DeviceTelemetry
from llmprof.collectors.telemetry.host import HostTelemetry, started
from llmprof.collectors.telemetry.ranks import NodeRanks
from llmprof.collectors.telemetry.topology import write_topology
from llmprof.errors import LlmprofError
from llmprof.timeline import rundir

__all__ = ["sample_node"]

TICK_S = 0.2
HOST_EVERY, LOOK_EVERY, SEARCH_EVERY = 5, 4, 8
"""Ticks from one host sample, one look at the known ranks, and one search for new ones to the next."""


class _Part(Protocol):
    """One file of telemetry."""

    def sample(self, ranks: Iterable[tuple[int, int]]) -> None:
        """Append what there is to say now; `ranks` are (rank, process id) on this node."""

    def close(self) -> None:
        """Nothing more is said."""


PARTS: Mapping[str, Callable[[Path], _Part]] = {"device": DeviceTelemetry, "host": HostTelemetry}


def sample_node(run_dir: Path, stopping: threading.Event, *, owner: int | None = None) -> None:
    """Append telemetry of this node to `run_dir` until `stopping` is set, or process `owner` or its recording ends.

    Nothing is written before a rank of this node has appeared, and nothing while none lives.
    """
    ranks = NodeRanks(run_dir, socket.gethostname())
    folder = rundir.node_dir(run_dir, socket.gethostname())
    began = started(owner) if owner is not None else None
    node: _Node | None = None
    turn, due = 0, monotonic()
    try:
        while owner is None or (started(owner) == began is not None and not ranks.has_ended(owner)):
            if turn % LOOK_EVERY == 0:
                ranks.look(search=turn % SEARCH_EVERY == 0)
            if ranks.alive():
                if node is None:
                    node, turn = _Node(folder), 0
                node.sample("device", ranks)
                if turn % HOST_EVERY == 0:
                    node.sample("host", ranks)
            turn, due = turn + 1, max(due + TICK_S, monotonic())
            if stopping.wait(due - monotonic()):
                return
    finally:
        if node is not None:
            node.sample("host", ranks)  # a short run has one line at least
            node.close()


class _Node:
    """The telemetry of one node; a kind that fails ends alone, with its reason in telemetry.json."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "telemetry.json"
        self._states: dict[str, dict[str, str | None]] = {}
        self._parts: dict[str, _Part] = {}
        for name in PARTS:
            self._open(name, folder)
        self._states["topology"] = _topology(folder)
        rundir.write_json_atomic(self._file, self._states)

    def _open(self, name: str, folder: Path) -> None:
        try:
            self._parts[name] = PARTS[name](folder)
            self._states[name] = {"status": "armed", "reason": None}
        except Exception as error:
            self._states[name] = {"status": "absent", "reason": f"no {name} telemetry: {_words(error)}"}

    def sample(self, name: str, ranks: NodeRanks) -> None:
        """Let one kind append its lines."""
        part = self._parts.get(name)
        if part is None:
            return
        try:
            part.sample(ranks.alive())
        except Exception as error:
            self._parts.pop(name).close()
            self._states[name] = {"status": "disarmed", "reason": _words(error)}
            rundir.write_json_atomic(self._file, self._states)

    def close(self) -> None:
        """Close the files."""
        for part in self._parts.values():
            part.close()


def _topology(folder: Path) -> dict[str, str | None]:
    try:
        write_topology(folder)
    except Exception as error:
        return {"status": "absent", "reason": f"no topology: {_words(error)}"}
    return {"status": "written", "reason": None}


def _words(error: Any) -> str:
    return str(error) if isinstance(error, LlmprofError) else f"{type(error).__name__}: {error}"
