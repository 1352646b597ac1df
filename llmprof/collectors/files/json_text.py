"""What text does a file hold? Opens, inflates and decodes a JSON file that may be damaged.

Recognised by content: the gzip magic bytes, then the first character of the text. A file that is cut, or gzip data
that ends early or turns to garbage, gives what could be read, marked as truncated.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from llmprof.errors import InputError, NotFoundError, UnknownFormatError, UnreadableError
from llmprof.units import format_bytes

__all__ = ["JsonText", "read_text"]

GZIP_MAGIC = b"\x1f\x8b"
BLOCK_BYTES = 1 << 16
"""Compressed bytes inflated at a time; also the most that is lost before a damaged place."""

MAX_RATIO = 200
MAX_INFLATED_BYTES = 2 << 30
"""Inflating stops when the text is longer than this and more than MAX_RATIO times the compressed bytes: real traces
shrink 10 to 30 times, a file made of zeros 1000 times."""

_KNOWN_STARTS = {
    b"SQLite format 3\x00": "an SQLite database (an Nsight Systems export?)",
    b"PK\x03\x04": "a zip archive",
    b"\x80": "a Python pickle",
    b"\x28\xb5\x2f\xfd": "zstd data",
    b"BZh": "bzip2 data",
    b"\xfd7zXZ\x00": "xz data",
    b"PAR1": "a Parquet file",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonText:
    """The text of a file; `truncated` when its end is missing, `notes` say what was repaired on the way."""

    text: str
    truncated: bool = False
    notes: tuple[str, ...] = ()


def read_text(path: Path) -> JsonText:
    """The text of a plain or gzipped JSON file.

    Raises NotFoundError when there is no such file, UnknownFormatError when it does not start like JSON, and
    UnreadableError when nothing of it can be read.
    """
    if not os.path.exists(path):  # unlike Path.exists, False for a path that may not be looked at
        raise NotFoundError(f"{path} does not exist; check the path.")
    if not path.is_file():
        raise InputError(f"{path} is not a regular file; give a trace file (.json or .json.gz) or a folder of them.")
    try:
        with path.open("rb") as file:
            first = file.read(BLOCK_BYTES)
            if first.startswith(GZIP_MAGIC):
                data, notes, truncated = _inflate(path, first, file)
            else:
                _require_json(path, first)
                data, notes, truncated = first + file.read(), [], False
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnreadableError(f"{path} cannot be read ({reason}); check its permissions and the disk.") from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", errors="replace")
        notes.append("some bytes are not valid UTF-8; they are shown as \ufffd")
    return JsonText(text=text.removeprefix("\ufeff"), truncated=truncated, notes=tuple(notes))


def _require_json(path: Path, first: bytes, *, where: str = "") -> None:
    """Raise unless `first`, the beginning of the content, may be JSON."""
    start = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        raise UnreadableError(f"{path} is empty{where}: the recording wrote nothing; record it again.")
    if start[:1] in (b"{", b"["):
        return
    found = next((what for magic, what in _KNOWN_STARTS.items() if first.startswith(magic)), "no JSON")
    raise UnknownFormatError(
        f"{path} is {found}{where}, not a trace that llmprof reads; give a PyTorch profiler trace (.json or .json.gz) "
        "or a folder of an `llmprof run`."
    )


def _inflate(path: Path, first: bytes, file: BinaryIO) -> tuple[bytes, list[str], bool]:
    """Inflate all gzip members; what lies before the first damaged place is kept. Gives data, notes, truncated."""
    parts: list[bytes] = []
    notes: list[str] = []
    inflated, compressed = 0, len(first)
    engine, pending = zlib.decompressobj(wbits=31), first
    while pending:
        if engine.eof:
            if not GZIP_MAGIC.startswith(pending[:2]):
                notes += ["bytes after the end of the gzip data are ignored"] if pending.strip(b"\x00") else []
                break
            engine = zlib.decompressobj(wbits=31)
        try:
            part = engine.decompress(pending)
        except zlib.error:
            notes.append("its gzip data is damaged")
            return _joined(path, parts, notes), notes, True
        if part:
            if not parts:
                _require_json(path, part, where=" inside its gzip wrapping")
            parts.append(part)
            inflated += len(part)
            _refuse_bomb(path, inflated, compressed)
        pending = engine.unused_data
        if not pending:
            pending = file.read(BLOCK_BYTES)
            compressed += len(pending)
    if not engine.eof:
        notes.append("its gzip data ends early")
    return _joined(path, parts, notes), notes, not engine.eof


def _refuse_bomb(path: Path, inflated: int, compressed: int) -> None:
    if inflated > MAX_INFLATED_BYTES and inflated > MAX_RATIO * compressed:
        raise UnreadableError(
            f"{path} inflates to more than {format_bytes(inflated)} from {format_bytes(compressed)}, which no trace "
            "does; unpack it yourself if you trust it."
        )


def _joined(path: Path, parts: list[bytes], notes: list[str]) -> bytes:
    if parts:
        return b"".join(parts)
    if notes:
        raise UnreadableError(f"{path} cannot be unpacked: {notes[-1]}; copy the file again or record again.")
    raise UnreadableError(f"{path} is empty inside its gzip wrapping: the recording wrote nothing; record it again.")
