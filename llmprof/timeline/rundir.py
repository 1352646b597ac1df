"""Where is each file of a run directory, and how is it written and read without ever showing half a file?

The layout is described in docs/run-directory.md. Standard library only: the training processes and the analysis both
use this module.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmprof.errors import InputError, NotFoundError, UnreadableError

__all__ = [
    "ALLOCATOR",
    "BOOTSTRAP",
    "BURST",
    "END",
    "EVENTS",
    "KERNEL_TIMES",
    "LOADS",
    "LOG",
    "NSYS",
    "NSYS_EXPORT",
    "OUT_OF_MEMORY",
    "RANK",
    "RUN",
    "SCHEMA",
    "SEARCH",
    "STEPS",
    "TRACE",
    "TRACE_SHAPES",
    "TRIGGER",
    "TRIGGER_ANSWER",
    "WRAPPERS",
    "claim_rank_dir",
    "claim_wrapper_file",
    "create",
    "new_run",
    "node_dir",
    "rank_dirs",
    "read_json",
    "read_json_lines",
    "trace_files",
    "wrapper_files",
    "write_json_atomic",
    "write_text_atomic",
]

SCHEMA = 1
"""Version of the layout; raised when an older reader would misread a newer directory."""

RUN = "run.json"
BURST = "burst.json"
TRIGGER = "trigger.json"
TRIGGER_ANSWER = "trigger_answer.json"
BOOTSTRAP = "bootstrap"
RANK = "rank.json"
END = "end.json"
STEPS = "steps.jsonl"
EVENTS = "events.jsonl"
ALLOCATOR = "allocator.jsonl"
OUT_OF_MEMORY = "oom.json"
LOADS = "loads.jsonl"
KERNEL_TIMES = "kernel_times.json"
TRACE = "trace.json"
TRACE_SHAPES = "trace_shapes.json"
LOG = "log.txt"
NSYS = "nsys.nsys-rep"
NSYS_EXPORT = "nsys.sqlite"
WRAPPERS = "wrappers"

SEARCH = ("PATH", "VIRTUAL_ENV", "CONDA_PREFIX")
"""Environment variables that say which `python` a command means."""

_RANKS = "ranks"
_NODES = "nodes"
_RANK_NAME = re.compile(r"r(\d+)(?:\.(\d+))?\Z")


def new_run(command: Sequence[str], options: Mapping[str, Any], version: str) -> dict[str, Any]:
    """What run.json says of a run that begins now, in this process; `version` is that of llmprof."""
    return {
        "schema": SCHEMA,
        "id": uuid.uuid4().hex,
        "command": list(command),
        "cwd": os.getcwd(),
        "search": {name: os.environ[name] for name in SEARCH if name in os.environ},
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "start_unix_ns": time.time_ns(),
        "end_unix_ns": None,
        "exit_code": None,
        "signal": None,
        "options": dict(options),
        "llmprof": version,
    }


def create(path: str | os.PathLike[str]) -> Path:
    """Make an empty run directory, or take an existing empty one; returns its absolute path.

    Raises InputError when it holds something already (one run never writes over another) or cannot be made.
    """
    directory = Path(os.path.abspath(path))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        taken = any(directory.iterdir())
    except OSError as error:
        raise InputError(f"cannot use {directory} as run directory ({error.strerror}); choose another.") from None
    if taken:
        raise InputError(f"{directory} is not empty; choose a new folder for this run, or remove it first.")
    return directory


def claim_rank_dir(run: Path, rank: int) -> Path:
    """Make the folder of one rank's process; a second process of the same rank gets r00000.1, and so on."""
    (run / _RANKS).mkdir(parents=True, exist_ok=True)
    for attempt in range(10_000):
        directory = run / _RANKS / (f"r{rank:05d}.{attempt}" if attempt else f"r{rank:05d}")
        try:
            directory.mkdir()
        except FileExistsError:
            continue
        return directory
    raise InputError(f"{run / _RANKS} holds 10000 processes of rank {rank}; choose a new folder for this run.")


def rank_dirs(run: Path) -> list[tuple[int, int, Path]]:
    """(rank, attempt, folder) of every process that recorded, in that order; attempt counts restarts from 0."""
    try:
        names = os.listdir(run / _RANKS)
    except (FileNotFoundError, NotADirectoryError):
        return []
    matches = (_RANK_NAME.match(name) for name in names)
    found = [(int(match[1]), int(match[2] or 0), run / _RANKS / match[0]) for match in matches if match]
    return sorted(entry for entry in found if entry[2].is_dir())


def trace_files(burst: int) -> tuple[str, str]:
    """Names of part A and part B of a burst in a rank's folder; bursts are counted from 0."""
    if burst == 0:
        return TRACE, TRACE_SHAPES
    return f"{Path(TRACE).stem}.{burst}.json", f"{Path(TRACE_SHAPES).stem}.{burst}.json"


def node_dir(run: Path, host: str) -> Path:
    """The folder of one node's telemetry; it may not exist yet."""
    return run / _NODES / _node_name(host)


def claim_wrapper_file(run: Path, host: str) -> Path:
    """Make the file of one `llmprof run` process: HOST.json, for a second one on the same host HOST.1.json, and so on.

    Raises OSError when nothing can be written.
    """
    (run / WRAPPERS).mkdir(exist_ok=True)
    attempt = 0
    while True:
        path = run / WRAPPERS / (f"{_node_name(host)}.{attempt}.json" if attempt else f"{_node_name(host)}.json")
        try:
            path.open("x").close()
        except FileExistsError:
            attempt += 1
            continue
        return path


def wrapper_files(run: Path) -> list[Path]:
    """The files of all `llmprof run` processes that have recorded into this directory; one may still be empty."""
    return sorted((run / WRAPPERS).glob("[!.]*.json"))


def _node_name(host: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", host).lstrip(".") or "host"


def write_json_atomic(path: Path, value: Mapping[str, Any]) -> None:
    """Replace `path` by this object: a reader, or a kill at any moment, meets the old file or the new one."""
    write_text_atomic(path, json.dumps(value, indent=1, default=str) + "\n")


def write_text_atomic(path: Path, text: str) -> None:
    """Replace `path` by a finished file with this text."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`. Raises NotFoundError, UnreadableError."""
    value = _parsed(_bytes_of(path), str(path))
    if not isinstance(value, dict):
        raise UnreadableError(
            f"{path} does not hold a JSON object; the run directory is damaged, record the run again."
        )
    return value


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of an append-only file, one a line; a last line that was cut by a kill is left out.

    Raises NotFoundError, and UnreadableError for damage anywhere else.
    """
    *lines, rest = _bytes_of(path).split(b"\n")  # whatever follows the last newline was never finished
    del rest
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        value = _parsed(line, f"{path}, line {number},")
        if not isinstance(value, dict):
            raise UnreadableError(f"{path}, line {number}, is not a JSON object; the file is damaged, record again.")
        records.append(value)
    return records


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"{path} does not exist; check that this is a run directory of llmprof.") from None
    except OSError as error:
        raise UnreadableError(f"cannot read {path} ({error.strerror}); check its permissions.") from None


def _parsed(data: bytes, where: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise UnreadableError(f"{where} is not valid JSON; the file is damaged or cut short, record again.") from None
