"""How are the tables of an Nsight Systems export read? One interface over SQLite and a folder of Parquet files.

Files are data from strangers: SQL is built from the names in this package only, views and virtual tables are not looked
at, nothing is ever written, and rows come in chunks, so memory does not grow with the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from llmprof.errors import UnreadableError
from llmprof.timeline.intervals import Int64
from llmprof.units import format_bytes

__all__ = ["CHUNK", "LONGEST_TEXT", "NULL", "Chunk", "SqliteTables", "Tables", "Text", "shortened", "text_of"]

CHUNK = 65_536
"""Rows that are held as Python objects at a time."""

NULL = int(np.iinfo(np.int64).min)
"""The value of a cell that is NULL, or whose column this export does not have."""

LONGEST_TEXT = 4_096
"""Characters of a name that are read; C++ names of kernels are the longest that anybody needs."""

Text = bytes | str | None
Chunk = tuple[Int64, ...]
_LOOKUP = 500


class Tables(Protocol):
    """The tables of one report, read only. Every method raises UnreadableError when the file is damaged."""

    path: Path

    def columns(self, table: str) -> frozenset[str]:
        """The columns of a table; empty when there is no such table."""

    def integers(self, table: str, names: Sequence[str]) -> Iterator[Chunk]:
        """All rows, chunk by chunk: one int64 array for each of `names`, NULL where a cell or the column is missing."""

    def texts(
        self, table: str, names: Sequence[str], text: str, without: frozenset[bytes]
    ) -> Iterator[tuple[Chunk, Sequence[Text]]]:
        """As `integers`, with one text column more; a text ends before `, KEY = ` for a key in `without`."""

    def rows(self, table: str, names: Sequence[str], *, filled: str | None = None) -> Iterator[tuple[Any, ...]]:
        """The rows of a small table as they are, None for a missing cell or column; only where `filled` is set."""

    def values(self, table: str, name: str, value: str = "*") -> list[str]:
        """The values in a (name, value) table whose name and value match these two globs."""

    def strings(self, ids: Sequence[int]) -> dict[int, str]:
        """The texts in StringIds with these ids; ids that are not there are left out."""

    def close(self) -> None:
        """Let go of the file."""


def text_of(value: object) -> str:
    """A text cell as str, whatever its bytes are."""
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


class SqliteTables:
    """The tables of an SQLite export."""

    def __init__(self, path: Path) -> None:
        self.path = path
        journal = path.with_name(path.name + "-journal")
        if journal.exists():
            raise UnreadableError(
                f"{path} is still being written or its export was interrupted ({journal.name} is there); wait for "
                "nsys, or export it again."
            )
        _require_whole(path)
        self._columns: dict[str, frozenset[str]] = {}
        with self._reading():
            # Immutable: no lock is taken, so a file that somebody else has open, or on a read-only disk, can be read.
            address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
            self._connection = sqlite3.connect(address, uri=True, check_same_thread=False)
            self._connection.text_factory = bytes
            self._connection.execute("PRAGMA trusted_schema=OFF")
            self._connection.execute("PRAGMA cell_size_check=ON")
            self._names = {
                text_of(name)
                for name, sql in self._connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
                if sql is not None and not text_of(sql).upper().startswith("CREATE VIRTUAL")
            }

    def columns(self, table: str) -> frozenset[str]:  # noqa: D102
        if table not in self._names:
            return frozenset()
        if table not in self._columns:
            with self._reading():
                found = self._connection.execute(f'PRAGMA table_info("{table}")').fetchall()
            self._columns[table] = frozenset(text_of(row[1]) for row in found)
        return self._columns[table]

    def integers(self, table: str, names: Sequence[str]) -> Iterator[Chunk]:  # noqa: D102
        present = [name for name in names if name in self.columns(table)]
        if not present:
            return
        chosen = ", ".join(f'COALESCE("{name}", {NULL})' for name in present)
        with self._reading():
            cursor = self._connection.execute(f'SELECT {chosen} FROM "{table}"')
            while True:
                flat = np.fromiter(chain.from_iterable(islice(cursor, CHUNK)), np.int64)
                if flat.size == 0:
                    return
                yield _placed(flat.reshape(-1, len(present)), present, names)

    def texts(  # noqa: D102
        self, table: str, names: Sequence[str], text: str, without: frozenset[bytes]
    ) -> Iterator[tuple[Chunk, Sequence[Text]]]:
        if not self.columns(table):
            return
        present = [name for name in names if name in self.columns(table)]
        chosen = [f'COALESCE("{name}", {NULL})' for name in present]
        chosen.append(f'substr("{text}", 1, {LONGEST_TEXT})' if text in self.columns(table) else "NULL")
        with self._reading():
            cursor = self._connection.execute(f'SELECT {", ".join(chosen)} FROM "{table}"')
            while rows := cursor.fetchmany(CHUNK):
                *numbers, words = zip(*rows, strict=True)
                flat = np.empty((len(rows), len(present)), dtype=np.int64)
                for place, column in enumerate(numbers):
                    flat[:, place] = np.fromiter(column, np.int64, len(rows))
                yield _placed(flat, present, names), shortened(words, without)

    def rows(self, table: str, names: Sequence[str], *, filled: str | None = None) -> Iterator[tuple[Any, ...]]:  # noqa: D102
        known = self.columns(table)
        if not known or (filled is not None and filled not in known):
            return
        # binaryData is declared TEXT but holds bytes.
        chosen = ", ".join(
            "NULL" if name not in known else f'CAST("{name}" AS BLOB)' if name == "binaryData" else f'"{name}"'
            for name in names
        )
        where = f' WHERE "{filled}" IS NOT NULL' if filled else ""
        with self._reading():
            yield from self._connection.execute(f'SELECT {chosen} FROM "{table}"{where}')

    def values(self, table: str, name: str, value: str = "*") -> list[str]:  # noqa: D102
        if not {"name", "value"} <= self.columns(table):
            return []
        query = f'SELECT value FROM "{table}" WHERE name GLOB ? AND value GLOB ?'
        with self._reading():
            return [text_of(row[0]) for row in self._connection.execute(query, (name, value))]

    def strings(self, ids: Sequence[int]) -> dict[int, str]:  # noqa: D102
        if not {"id", "value"} <= self.columns("StringIds"):
            return {}
        found: dict[int, str] = {}
        with self._reading():
            for start in range(0, len(ids), _LOOKUP):
                some = list(ids[start : start + _LOOKUP])
                marks = ", ".join("?" * len(some))
                query = f"SELECT id, substr(value, 1, {LONGEST_TEXT}) FROM StringIds WHERE id IN ({marks})"
                found.update((key, text_of(value)) for key, value in self._connection.execute(query, some))
        return found

    def close(self) -> None:  # noqa: D102
        self._connection.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what SQLite and numpy say about damaged content into one sentence."""
        try:
            yield
        except (sqlite3.Error, TypeError, ValueError, OverflowError) as error:
            reason = str(error).split("\n", 1)[0]
            raise UnreadableError(
                f"{self.path} is damaged or cut short ({reason}); copy it again, or export it again with "
                "`nsys export --type sqlite REPORT.nsys-rep`."
            ) from error


def _require_whole(path: Path) -> None:
    """Raise UnreadableError for a cut file: SQLite itself would read the missing part of the last page as zeros."""
    with open(path, "rb") as file:
        head = file.read(100)
    size = path.stat().st_size
    page = int.from_bytes(head[16:18], "big")
    page = 65_536 if page == 1 else page
    counted = head[24:28] == head[92:96]  # else the number of pages was written by a version that did not keep it
    wanted = page * int.from_bytes(head[28:32], "big") if counted else -(-size // max(page, 1)) * page
    if len(head) < 100 or size < wanted:
        raise UnreadableError(
            f"{path} is cut short ({format_bytes(size)} of {format_bytes(max(wanted, 100))} are there); copy it again, "
            "or export it again with `nsys export --type sqlite REPORT.nsys-rep`."
        )


def _placed(flat: Int64, present: Sequence[str], names: Sequence[str]) -> Chunk:
    """The columns in the order of `names`, NULL for those that are not present; contiguous, so that rows can go."""
    missing = np.full(flat.shape[0], NULL, dtype=np.int64)
    return tuple(np.ascontiguousarray(flat[:, present.index(name)]) if name in present else missing for name in names)


def shortened(texts: Sequence[Text], without: frozenset[bytes]) -> list[Text]:
    """Each text without what follows `, KEY = ` for a key in `without`: where every full text is unique, few remain."""
    result = list(texts)
    for place, text in enumerate(texts):
        if isinstance(text, bytes):
            head, comma, key = text.partition(b" = ")[0].rpartition(b", ")
            if comma and key in without:
                result[place] = head
    return result
