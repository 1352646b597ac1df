"""Files that are made to exhaust a machine: refused in one sentence or read without the part, in bounded memory."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmprof.collectors.files import limits, scan_window
from llmprof.collectors.files.kineto import read_kineto
from llmprof.errors import UnreadableError
from tests.collectors.files.comparing import read_with
from tests.scenarios.files import events_of

ROOT = Path(__file__).resolve().parents[3]
MB = 1 << 20
MOST_MEMORY = 700 * MB
"""A reader of a trace of no size at all takes some 100 MB; what is asked for is that the rest is bounded."""
EVENT = b'{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":1,"dur":1}'
OPEN = EVENT[:-1].replace(b'"name":"k",', b"") + b',"name":"'

CHILD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
from llmprof.collectors.files.kineto import read_kineto
from llmprof.errors import LlmprofError
try:
    rank = read_kineto(sys.argv[1])
    print(len(rank.events), rank.quality.dropped_events)
except LlmprofError as error:
    print(error)
[peak] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]  # ru_maxrss counts the parent's too
print(int(peak.split()[1]) << 10)
"""


def packed(path: Path, *pieces: tuple[bytes, int]) -> Path:
    """A gzip file of several members: so often each of the pieces, packed once."""
    path.write_bytes(b"".join(gzip.compress(piece, 6) * count for piece, count in pieces))
    return path


def in_a_process_of_its_own(path: Path, home: Path) -> tuple[str, int]:
    """What reading gives, and the peak of memory in bytes."""
    pytest.importorskip("llvmlite")
    kept = {name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"}
    environment = {**kept, "XDG_CACHE_HOME": str(home), "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=True,
    )
    told, peak = done.stdout.splitlines()
    return told, int(peak)


HUGE = {
    "10 GB of zeros": ([(b"[", 1), (bytes(64 * MB), 160)], "inflates to more than"),
    "5 GB of one event": ([(b"[", 1), ((EVENT + b",") * 100_000, 800)], "inflates to more than"),
    "a name of 400 MB": ([(b"[" + EVENT + b"," + OPEN, 1), (b"x" * (8 * MB), 50), (b'"},' + EVENT + b"]", 1)], "2 1"),
    "400 MB of brackets": (
        [(b"[" + EVENT + b"," + OPEN + b'k","args":', 1), (b"[" * (8 * MB), 50), (b"}," + EVENT + b"]", 1)],
        "2 1",
    ),
    "400 MB of opening brackets": ([(b"[" * (8 * MB), 50)], "is cut short before its first complete event"),
    "a header of 400 MB": ([(b'{"a":"', 1), (b"x" * (8 * MB), 50), (b'","traceEvents":[' + EVENT + b"]}", 1)], "1 1"),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if "zeros" in name else pytest.mark.slow) for name in HUGE]
)
def test_the_machine_does_not_go_down(tmp_path: Path, name: str) -> None:
    pieces, expected = HUGE[name]
    told, peak = in_a_process_of_its_own(packed(tmp_path / "t.json.gz", *pieces), tmp_path)
    assert expected in told
    assert peak < MOST_MEMORY


def different(field: str, count: int) -> Iterator[bytes]:
    """Events of which each has another name, thread or shape."""
    for number in range(count):
        values = {
            "name": b"k",
            "tid": b"7",
            "shape": b"1",
            field: b"%d of many" % number if field != "shape" else b"%d" % number,
        }
        yield (
            b'{"ph":"X","cat":"cpu_op","name":"%s","pid":0,"tid":"%s","ts":1,"dur":1,"args":{"Input Dims":[[%s]]}}'
            % (values["name"], values["tid"], values["shape"])
        )


@pytest.mark.parametrize(
    ("field", "what"), [("name", "names"), ("tid", "names of threads"), ("shape", "shapes and arguments")]
)
@pytest.mark.parametrize("guess", [True, False])
def test_too_many_different_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, what: str, guess: bool
) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(limits, "MOST_DIFFERENT", 5_000)
    monkeypatch.setattr(scan_window, "BLOCK_BYTES", 1 << 16)
    path = tmp_path / "t.json"
    path.write_bytes(b"[" + b",\n".join(different(field, 40_000)) + b"]")
    with pytest.raises(UnreadableError, match=f"more than 5,000 different {what}"):
        read_with(path, monkeypatch, limit=0, guess=guess)


def test_too_much_text_in_names_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(limits, "MOST_TEXT_BYTES", 4 * MB)
    path = tmp_path / "t.json"
    path.write_bytes(b"[" + b",\n".join(OPEN + b"%d" % i + b"x" * MB + b'"}' for i in range(12)) + b"]")
    with pytest.raises(UnreadableError, match=r"more than 4\.0 MiB of different names"):
        read_with(path, monkeypatch, limit=0)


def test_more_rows_than_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(limits, "most_rows", lambda: 50_000)
    path = tmp_path / "t.json"
    path.write_bytes(b"[" + b",".join([EVENT] * 120_000) + b"]")
    with pytest.raises(UnreadableError, match="no memory for more; if it is a real trace, record fewer steps"):
        read_with(path, monkeypatch, limit=0)


def test_without_the_scanner_a_text_has_to_fit_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "most_plain_bytes", lambda: 3 * MB)
    path = packed(tmp_path / "t.json.gz", (b"[", 1), ((EVENT + b",") * 10_000, 10))
    with pytest.raises(UnreadableError, match=r"too long for the memory .* install llmprof\[fast\]"):
        read_with(path, monkeypatch, limit=None)


def test_the_header_is_bounded_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(limits, "LONGEST_VALUE", 1 << 16)
    monkeypatch.setattr(scan_window, "BLOCK_BYTES", 1 << 16)
    keys = b"".join(b'"k%d":"%s",' % (i, b"x" * 30_000) for i in range(100))
    path = tmp_path / "t.json"
    path.write_bytes(b"{" + keys + b'"traceEvents":[' + EVENT + b"]}")
    rank = read_with(path, monkeypatch, limit=0)
    assert (len(events_of(rank)), rank.quality.dropped_events) == (1, 1)


def test_free_memory_is_the_least_of_all_limits() -> None:
    code = (
        "import resource; from llmprof.collectors.files import limits; free = limits.free_memory()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)); print(free, limits.free_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    free, limited = map(int, done.stdout.split())
    assert 0 < limited <= min(free, 2 << 30)


@pytest.mark.usefixtures("reader")
def test_deep_nesting_costs_one_event_at_most(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    deep = EVENT[:-1] + b',"args":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    path.write_bytes(b"[" + EVENT + b"," + deep + b"," + EVENT + b"]")
    rank = read_kineto(path)
    assert len(events_of(rank)) + rank.quality.dropped_events == 3
    assert len(events_of(rank)) >= 2
