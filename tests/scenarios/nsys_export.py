"""Small exports of Nsight Systems, written as SQLite in the shape of the real ones: only what a test is about."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

EPOCH = 1_790_000_000_000_000_000
PID = 100
KERNEL, COPY, FILL = "CUPTI_ACTIVITY_KIND_KERNEL", "CUPTI_ACTIVITY_KIND_MEMCPY", "CUPTI_ACTIVITY_KIND_MEMSET"
CALL, SYNC, GRAPH = (
    "CUPTI_ACTIVITY_KIND_RUNTIME",
    "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION",
    "CUPTI_ACTIVITY_KIND_GRAPH_TRACE",
)
NVTX = "NVTX_EVENTS"
TEXT = {"value", "text", "name"}


def process(pid: int = PID) -> int:
    return 1 << 48 | pid << 24


def thread(tid: int | None = None, pid: int = PID) -> int:
    return process(pid) | (pid if tid is None else tid)


class Export:
    """Collects rows and writes them; texts are given as text and become StringIds where the format wants ids."""

    def __init__(self, version: str = "3.25.0") -> None:
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.strings: dict[str | bytes, int] = {}
        self.add("META_DATA_EXPORT", name="EXPORT_SCHEMA_VERSION", value=version)
        self.add("TARGET_INFO_SESSION_START_TIME", utcEpochNs=EPOCH)
        self._correlation = 0

    def add(self, table: str, **cells: Any) -> Export:
        self.tables.setdefault(table, []).append(cells)
        return self

    def text(self, value: str | bytes) -> int:
        return self.strings.setdefault(value, 1000 + len(self.strings))

    def call(
        self,
        name: str,
        start: int,
        end: int,
        correlation: int = 0,
        *,
        tid: int | None = None,
        pid: int = PID,
        group: int = 0,
    ) -> Export:
        return self.add(
            CALL, start=start, end=end, eventClass=group, globalTid=thread(tid, pid), correlationId=correlation,
            nameId=self.text(name),
        )  # fmt: skip

    def kernel(
        self, name: str | bytes, start: int, end: int, correlation: int = 0, *, pid: int = PID, device: int = 0,
        stream: int = 7, context: int = 1,
    ) -> Export:  # fmt: skip
        return self.add(
            KERNEL, start=start, end=end, deviceId=device, contextId=context, streamId=stream,
            correlationId=correlation, globalPid=process(pid), demangledName=self.text(name),
            shortName=self.text("short"), mangledName=None,
        )  # fmt: skip

    def launched(self, name: str, call: int, start: int, end: int, *, pid: int = PID, tid: int | None = None) -> Export:
        """A kernel and the call that launched it, which took 100 ns."""
        self._correlation += 1
        self.call("cudaLaunchKernel_v7000", call, call + 100, self._correlation, pid=pid, tid=tid)
        return self.kernel(name, start, end, self._correlation, pid=pid)

    def range(
        self, text: str | None, start: int, end: int | None, *, kind: int = 59, domain: int = 0, tid: int | None = None,
        end_tid: int | None = None, pid: int = PID, registered: str | None = None,
    ) -> Export:  # fmt: skip
        return self.add(
            NVTX, start=start, end=end, eventType=kind, text=text, globalTid=thread(tid, pid),
            endGlobalTid=None if end_tid is None else thread(end_tid, pid),
            textId=None if registered is None else self.text(registered), domainId=domain,
        )  # fmt: skip

    def write(self, path: Path, *, drop: Sequence[str] = (), reverse: bool = False) -> Path:
        """Write the file; columns in `drop` are left out of every table."""
        connection = sqlite3.connect(path)
        rows = [{"id": number, "value": value} for value, number in self.strings.items()]
        for table, content in {**self.tables, "StringIds": rows or [{"id": 1, "value": "x"}]}.items():
            columns = [name for name in dict.fromkeys(key for row in content for key in row) if name not in drop]
            if not columns:
                continue
            types = ", ".join(
                f'"{name}" INTEGER PRIMARY KEY' if (table, name) == ("StringIds", "id")
                else f'"{name}" {"TEXT" if name in TEXT else "INTEGER"}'
                for name in columns
            )  # fmt: skip
            connection.execute(f'CREATE TABLE "{table}" ({types})')
            places = ", ".join("CAST(? AS TEXT)" if name in TEXT else "?" for name in columns)
            ordered = content[::-1] if reverse else content
            connection.executemany(
                f'INSERT INTO "{table}" VALUES ({places})', [[row.get(name) for name in columns] for row in ordered]
            )
        connection.commit()
        connection.close()
        return path
