"""Which bytes does an input hold, unpacked? Plain, gzip or zstd; from a file, standard input or an fsspec URL.

Recognised by content. Bytes come in order and in bounded memory. Compressed data that ends early or turns to garbage
gives what could be unpacked, and says how far that was.
"""

from __future__ import annotations

import importlib
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from llmprof.collectors.files import limits
from llmprof.errors import InputError, NotFoundError, UnknownFormatError, UnreadableError
from llmprof.units import format_bytes, format_percent

__all__ = ["STANDARD_INPUT", "ByteStream", "is_remote", "open_stream"]

STANDARD_INPUT = "-"
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
BLOCK_BYTES = 1 << 12
"""Compressed bytes unpacked at a time; also the most that is lost before a damaged place. A trace shrinks 20 times, and
pieces of 128 kB and more would each be new memory of the system's: 280,000 page faults instead of 80,000, and half a
second, for 1.5 GB of text."""

_KNOWN_STARTS = {
    b"SQLite format 3\x00": "an SQLite database (an Nsight Systems export?)",
    b"PK\x03\x04": "a zip archive",
    b"\x80": "a Python pickle",
    ZSTD_MAGIC: "zstd data",
    b"BZh": "bzip2 data",
    b"\xfd7zXZ\x00": "xz data",
    b"PAR1": "a Parquet file",
    b"\xff\xfe": "UTF-16 text",
}


class ByteStream:
    """The unpacked bytes of one input. Use as a context manager; read with `readinto` until it gives 0.

    truncated   the compressed data ended early or is damaged; known when all was read
    notes       what was met on the way, for the user
    """

    def __init__(self, name: str, file: BinaryIO, size: int | None) -> None:
        self.name = name
        self.size = size
        """Bytes as stored, None where that is not known."""
        self.truncated = False
        self.notes: list[str] = []
        self._file = file
        self._stored = 0
        first = self._stored_block()
        self.packed = first.startswith((GZIP_MAGIC, ZSTD_MAGIC))
        self._pieces: Iterator[bytes] | None = self._unpacked(first) if self.packed else None
        self._rest = memoryview(b"" if self.packed else first)
        if not self.packed:
            self._require_json(first)

    def __enter__(self) -> ByteStream:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file is not sys.stdin.buffer:
            self._file.close()

    def readinto(self, target: memoryview) -> int:
        """Fill `target` as far as one read goes; the bytes written, 0 at the end."""
        while not self._rest:
            if self._pieces is None:
                return self._read_plain(target)
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(self._rest), len(target))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def head(self, limit: int | None) -> bytes | None:
        """All bytes, when they are fewer than `limit`; else None, and they can be read as if nothing had been."""
        if limit is not None and (self.size or 0) >= limit:
            return None
        most = limits.most_plain_bytes() if limit is None else limit
        parts = [bytes(self._rest)]
        self._rest = memoryview(b"")
        size = len(parts[0])
        while limit is None or size < limit:
            piece = next(self._pieces, b"") if self._pieces is not None else self._stored_block(1 << 20)
            if not piece:
                return b"".join(parts)
            parts.append(piece)
            size += len(piece)
            if limit is None and size > most:
                raise UnreadableError(
                    f"{self.name} is too long for the memory of this machine (more than {format_bytes(size)} of text); "
                    "install llmprof[fast], which reads it piece by piece."
                )
        self._rest = memoryview(b"".join(parts))
        return None

    def _read_plain(self, target: memoryview) -> int:
        try:
            return self._file.readinto(target) or 0  # type: ignore[attr-defined]
        except OSError as error:
            raise _unreadable(self.name, error) from error

    def _stored_block(self, size: int | None = None) -> bytes:
        try:
            block = self._file.read(BLOCK_BYTES if size is None else size)
        except OSError as error:
            raise _unreadable(self.name, error) from error
        self._stored += len(block)
        return block

    def _unpacked(self, pending: bytes) -> Iterator[bytes]:
        """The pieces of all members or frames; what lies before the first damaged place is given."""
        gzip = pending.startswith(GZIP_MAGIC)
        what, magic = ("gzip", GZIP_MAGIC) if gzip else ("zstd", ZSTD_MAGIC)
        make, errors = _gzip_engine() if gzip else _zstd_engine(self.name)
        whole = None if gzip else _zstd_content_size(pending)
        engine, unpacked = make(), 0
        while pending:
            if engine.eof:
                if not magic.startswith(pending[: len(magic)]) and not pending.startswith(magic):
                    if pending.strip(b"\x00"):
                        self.notes.append(f"bytes after the end of the {what} data are ignored")
                    break
                engine = make()
            try:
                piece = engine.decompress(pending)
            except errors:
                self._cut(f"its {what} data is damaged", unpacked)
                return
            if piece:
                if not unpacked:
                    self._require_json(piece, where=f" inside its {what} wrapping")
                unpacked += len(piece)
                self._refuse_bomb(unpacked)
                yield piece
            pending = engine.unused_data if engine.eof else b""
            if not pending:
                pending = self._stored_block()
        if not engine.eof:
            told = f", after {format_percent(unpacked / whole)} of its text" if whole and unpacked <= whole else ""
            self._cut(f"its {what} data ends early{told}", unpacked)
        elif not unpacked:
            raise UnreadableError(
                f"{self.name} is empty inside its {what} wrapping: the recording wrote nothing; record it again."
            )

    def _cut(self, reason: str, unpacked: int) -> None:
        """Note that the rest is missing; an error when that is all."""
        if not unpacked:
            raise UnreadableError(f"{self.name} cannot be unpacked: {reason}; copy the file again or record again.")
        self.truncated = True
        if self.size is not None and self._stored < self.size:
            reason += f" about {format_bytes(self._stored)} into the {format_bytes(self.size)} of the file"
        self.notes.append(reason)

    def _refuse_bomb(self, unpacked: int) -> None:
        if unpacked > limits.MAX_INFLATED_BYTES and unpacked > limits.MAX_RATIO * self._stored:
            raise UnreadableError(
                f"{self.name} inflates to more than {format_bytes(unpacked)} from {format_bytes(self._stored)}, which "
                "no trace does; unpack it yourself if you trust it."
            )

    def _require_json(self, first: bytes, *, where: str = "") -> None:
        """Raise unless `first`, the beginning of the content, may be JSON."""
        start = first.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n\x00")
        if not start:
            if where or len(first) >= BLOCK_BYTES:
                return  # blanks so far
            raise UnreadableError(f"{self.name} is empty{where}: the recording wrote nothing; record it again.")
        if start[:1] in (b"{", b"["):
            return
        found = next((what for magic, what in _KNOWN_STARTS.items() if first.startswith(magic)), "no JSON")
        raise UnknownFormatError(
            f"{self.name} is {found}{where}, not a trace that llmprof reads; give a PyTorch profiler trace (.json, "
            ".json.gz or .json.zst) or a folder of an `llmprof run`."
        )


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether this is a URL for fsspec (`s3://…`, `gs://…`) and no path."""
    return "://" in str(path)


def open_stream(path: str | os.PathLike[str]) -> ByteStream:
    """Open a file, an fsspec URL, or standard input (`-`).

    Raises NotFoundError, InputError (no regular file, or a missing extra), UnknownFormatError when the content does not
    start like JSON, and UnreadableError when nothing of it can be read.
    """
    name = str(path)
    if name == STANDARD_INPUT:
        return ByteStream("standard input", sys.stdin.buffer, None)
    if is_remote(name):
        return _open_remote(name)
    if not os.path.exists(path):  # unlike Path.exists, False for a path that may not be looked at
        raise NotFoundError(f"{path} does not exist; check the path.")
    if not Path(path).is_file():
        raise InputError(f"{path} is not a regular file; give a trace file (.json or .json.gz) or a folder of them.")
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115 - the stream closes it
        size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise _unreadable(name, error) from error
    return _stream_of(name, file, size)


def _stream_of(name: str, file: Any, size: int | None) -> ByteStream:
    try:
        return ByteStream(name, file, size)
    except BaseException:
        file.close()
        raise


def _open_remote(url: str) -> ByteStream:
    try:
        fsspec = importlib.import_module("fsspec")
        file = fsspec.open(url, "rb").open()
    except ImportError as error:
        raise InputError(
            f"{url} cannot be opened ({error}); install llmprof[remote] and what fsspec asks for."
        ) from None
    except FileNotFoundError:
        raise NotFoundError(f"{url} does not exist; check the address.") from None
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{url} cannot be opened ({error}); check the address and your access to it.") from error
    size = None
    with suppress(Exception):  # a size is only for messages, and each file system has errors of its own
        size = int(file.size)
    return _stream_of(url, file, size)


def _gzip_engine() -> tuple[Any, tuple[type[Exception], ...]]:
    """The inflate of isal where it is installed (two to three times as fast), else that of zlib."""
    with suppress(ImportError):
        isal = importlib.import_module("isal.isal_zlib")
        return (lambda: isal.decompressobj(wbits=31)), (isal.error, zlib.error)
    return (lambda: zlib.decompressobj(wbits=31)), (zlib.error,)


def _zstd_engine(name: str) -> tuple[Any, tuple[type[Exception], ...]]:
    try:
        zstandard = importlib.import_module("zstandard")
    except ImportError:
        raise InputError(f"{name} is zstd data; install llmprof[fast], or unpack it (zstd -d), to read it.") from None
    return zstandard.ZstdDecompressor().decompressobj, (zstandard.ZstdError,)


def _zstd_content_size(start: bytes) -> int | None:
    """Bytes of text that the first frame says it holds; None when it does not say, which a stream cannot."""
    with suppress(Exception):
        size: int = importlib.import_module("zstandard").frame_content_size(start)
        return size if size > 0 else None
    return None


def _unreadable(name: str, error: OSError) -> UnreadableError:
    reason = error.strerror or str(error)
    return UnreadableError(f"{name} cannot be read ({reason}); check its permissions and the disk.")
