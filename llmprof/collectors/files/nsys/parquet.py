"""How are the tables of an export in Parquet read (`nsys export --type parquetdir`)? Needs pyarrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from llmprof.collectors.files.nsys.tables import CHUNK, LONGEST_TEXT, NULL, Chunk, Text, shortened, text_of
from llmprof.errors import InputError, UnreadableError

__all__ = ["ParquetTables"]


class ParquetTables:
    """The tables in a folder with one Parquet file each; see `tables.Tables` for the methods."""

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow.parquet as parquet
        except ImportError:
            raise InputError(
                f"{path} is a folder of Parquet files and needs pyarrow to be read; `pip install pyarrow`, or export "
                "with `nsys export --type sqlite`."
            ) from None
        self.path = path
        self._parquet: Any = parquet
        self._files = {file.name.removesuffix(".parquet"): file for file in sorted(path.glob("*.parquet"))}
        self._columns: dict[str, frozenset[str]] = {}

    def columns(self, table: str) -> frozenset[str]:  # noqa: D102
        if table not in self._files:
            return frozenset()
        if table not in self._columns:
            with self._reading(table):
                self._columns[table] = frozenset(self._parquet.read_schema(self._files[table]).names)
        return self._columns[table]

    def integers(self, table: str, names: Sequence[str]) -> Iterator[Chunk]:  # noqa: D102
        for numbers, _ in self._batches(table, names, None):
            yield numbers

    def texts(  # noqa: D102
        self, table: str, names: Sequence[str], text: str, without: frozenset[bytes]
    ) -> Iterator[tuple[Chunk, Sequence[Text]]]:
        for numbers, words in self._batches(table, names, text):
            own = [word.encode("utf-8", "replace") if isinstance(word, str) else word for word in words]
            yield numbers, shortened([word and word[:LONGEST_TEXT] for word in own], without)

    def rows(self, table: str, names: Sequence[str], *, filled: str | None = None) -> Iterator[tuple[Any, ...]]:  # noqa: D102
        known = self.columns(table)
        if not known or (filled is not None and filled not in known):
            return
        wanted = [name for name in dict.fromkeys((*names, filled or names[0])) if name in known]
        with self._reading(table):
            for batch in self._parquet.ParquetFile(self._files[table]).iter_batches(CHUNK, columns=wanted):
                for row in batch.to_pylist():
                    if filled is None or row[filled] is not None:
                        yield tuple(row.get(name) for name in names)

    def values(self, table: str, name: str, value: str = "*") -> list[str]:  # noqa: D102
        return [
            text_of(found)
            for key, found in self.rows(table, ("name", "value"), filled="name")
            if fnmatchcase(text_of(key), name) and fnmatchcase(text_of(found), value)
        ]

    def strings(self, ids: Sequence[int]) -> dict[int, str]:  # noqa: D102
        wanted = set(ids)
        return {
            key: text_of(value)[:LONGEST_TEXT]
            for key, value in self.rows("StringIds", ("id", "value"), filled="value")
            if key in wanted
        }

    def close(self) -> None:  # noqa: D102
        self._columns.clear()

    def _batches(self, table: str, names: Sequence[str], text: str | None) -> Iterator[tuple[Chunk, Sequence[Text]]]:
        known = self.columns(table)
        wanted = [name for name in (*names, text) if name is not None and name in known]
        if not wanted:
            return
        with self._reading(table):
            for batch in self._parquet.ParquetFile(self._files[table]).iter_batches(CHUNK, columns=wanted):
                missing = np.full(batch.num_rows, NULL, dtype=np.int64)
                numbers = tuple(self._numbers(batch, name) if name in known else missing for name in names)
                yield numbers, batch.column(text).to_pylist() if text in known else [None] * batch.num_rows

    def _numbers(self, batch: Any, name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """One column as int64; ids are unsigned in these files, and keep their bits."""
        import pyarrow as arrow

        cells = batch.column(name).cast(arrow.int64(), safe=False).fill_null(NULL)
        return np.ascontiguousarray(cells.to_numpy(zero_copy_only=False), dtype=np.int64)

    @contextmanager
    def _reading(self, table: str) -> Iterator[None]:
        import pyarrow as arrow

        try:
            yield
        except (arrow.ArrowException, OSError, TypeError, ValueError) as error:
            reason = str(error).split("\n", 1)[0]
            raise UnreadableError(
                f"{self._files[table]} is damaged or cut short ({reason}); copy the folder again, or export it again "
                "with `nsys export --type parquetdir REPORT.nsys-rep`."
            ) from error
