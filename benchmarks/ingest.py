"""How fast is a trace read? llmprof beside other readers of the same files, each reading in a process of its own.

    python benchmarks/ingest.py TRACE.json.gz                       # a real recording, made large by repetition
    python benchmarks/ingest.py TRACE.json.gz --sizes 17,510,1536 --repeats 5 --peers-up-to 510
    python benchmarks/ingest.py TRACE.json.gz --tracelens CHECKOUT --hta-python VENV/bin/python

The recording is repeated with shifted times, correlations and operator ids until the file is as large as asked for
(MB of JSON). Readers take turns, so that a busy moment of the machine meets all of them. Printed are medians over the
turns: wall time and CPU time of the whole process, imports included, and its peak memory. Each row of llmprof is a
first look, with nothing compiled or kept beforehand, but for the one that says otherwise.

Holistic Trace Analysis (HTA) is installed from PyPI (`traceinsight`, with pandas 2) into a venv in the working folder
unless --hta-python names an interpreter that has it. TraceLens is not on PyPI (the package of that name is another
project): without --tracelens its column is quoted from an earlier run on a 2-core AMD EPYC.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MB = 1_000_000

LLMPROF = """
from llmprof.collectors.files.kineto import read_kineto
print(len(read_kineto(sys.argv[1]).events))
"""
HTA = """
import logging; logging.disable(logging.CRITICAL)
from hta.common.trace import Trace
from hta.configs.parser_config import ParserBackend, ParserConfig
config = ParserConfig.get_default_cfg()
if len(sys.argv) > 2: config.set_parser_backend(ParserBackend(sys.argv[2]))
ParserConfig.set_default_cfg(config)
trace = Trace(trace_files={0: sys.argv[1]}, trace_dir="")
trace.parse_traces(use_multiprocessing=False)
print(len(trace.traces[0]))
"""
TRACELENS = """
sys.path.insert(0, sys.argv[2])
from TraceLens.util import DataLoader
print(len(DataLoader.load_data(sys.argv[1])["traceEvents"]))
"""
PEAK = """
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
"""The peak of this process alone: ru_maxrss of a child begins with what its parent had when it was forked."""
QUOTED = {17: (0.98, 192), 101: (2.96, 768), 510: (22.0, 3555), 1536: (48.0, 10534)}
"""TraceLens 171dd747 with orjson, by MB: seconds and MB of memory."""


@dataclass(frozen=True)
class Reader:
    """A reader: its program, and what it needs."""

    name: str
    python: str
    code: str
    arguments: tuple[str, ...] = ()
    suffix: str = ""
    keeps: bool = False
    peer: bool = False


@dataclass(frozen=True)
class Run:
    """One run of a reader: seconds, MB, and the rows that it found."""

    wall: float
    cpu: float
    memory: float
    rows: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", type=Path, help="a Kineto trace, .json or .json.gz")
    parser.add_argument("--sizes", default="5,101,510", help="MB of JSON, by commas")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peers-up-to", type=int, default=101, metavar="MB", help="larger files without the peers")
    parser.add_argument("--peer-repeats", type=int, default=1)
    parser.add_argument("--hta-python", help="an interpreter that has HTA")
    parser.add_argument("--tracelens", help="a checkout of TraceLens")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "llmprof-ingest")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    readers = our_readers() + peers(args)
    for size in (int(text) for text in args.sizes.split(",")):
        path = repeated(args.trace, args.work / f"{size}.json", size)
        chosen = [reader for reader in readers if not reader.peer or size <= args.peers_up_to]
        runs = measure(chosen, path, args)
        print_table(size, path, runs, quoted=not args.tracelens)


def our_readers() -> list[Reader]:
    python = sys.executable
    return [
        Reader("llmprof", python, LLMPROF),
        Reader("llmprof, .gz", python, LLMPROF, suffix=".gz"),
        Reader("llmprof, second look", python, LLMPROF, keeps=True),
    ]


def peers(args: argparse.Namespace) -> list[Reader]:
    python = args.hta_python or hta_python(args.work / "hta")
    found = [
        Reader("HTA, default", python, HTA, peer=True),
        Reader("HTA, leanest backend", python, HTA, ("ijson_batch_and_compress",), peer=True),
    ]
    if args.tracelens:
        found.append(Reader("TraceLens, loader", sys.executable, TRACELENS, (args.tracelens,), peer=True))
    return found


def hta_python(folder: Path) -> str:
    """The interpreter of a venv with HTA, made on the first use."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        packages = ["traceinsight", "pandas<3", "ijson"]  # with pandas 3, HTA fails on training traces
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
    return str(python)


def repeated(source: Path, target: Path, size: int) -> Path:
    """The recording, repeated until it has `size` MB; also as .gz."""
    packed = target.with_name(target.name + ".gz")
    if target.exists() and packed.exists():
        return target
    data = (gzip.decompress if source.name.endswith(".gz") else bytes)(source.read_bytes())
    begin = re.search(rb'"traceEvents"\s*:\s*\[', data)
    if begin is None:
        sys.exit(f"{source} holds no traceEvents")
    closing = re.compile(rb'}\s*\]\s*(,\s*"|})').search(data, begin.end())  # other lists may come after that of events
    if closing is None:
        sys.exit(f"{source} is cut short")
    end = closing.start() + 1
    head, events, tail = data[: begin.end()], data[begin.end() : end], data[end:]
    starts = [int(text) for text in re.findall(rb'"ts": ?(\d+)', events) if text != b"0"]
    steps = {b"ts": max(starts) - min(starts) + 1000, b"correlation": 10**6, b"External id": 10**6}
    numbers = re.compile(rb'"(ts|correlation|External id)": ?(\d+)')
    if size * MB < len(data):
        events = events[: events.rindex(b"},", 0, size * MB) + 1]
    with target.open("wb") as file:
        file.write(head)
        for copy in range(max(1, round(size * MB / len(data)))):
            shifted = numbers.sub(lambda m, by=copy: b'"%s": %d' % (m[1], int(m[2]) + by * steps[m[1]]), events)
            file.write(b"," * (copy > 0) + shifted)
        file.write(tail)
    with target.open("rb") as plain, gzip.open(packed, "wb", compresslevel=6) as file:
        shutil.copyfileobj(plain, file, 1 << 20)
    return target


def measure(readers: list[Reader], path: Path, args: argparse.Namespace) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {reader.name: [] for reader in readers}
    kept = args.work / "kept"
    shutil.rmtree(kept, ignore_errors=True)
    for reader in readers:
        if not reader.peer:
            run(reader, path, kept if reader.keeps else args.work / "none")  # fills the page cache, keeps
    for turn in range(max(args.repeats, args.peer_repeats)):
        for reader in readers:
            if turn < (args.peer_repeats if reader.peer else args.repeats):
                runs[reader.name].append(run(reader, path, kept if reader.keeps else args.work / "none"))
    return runs


def run(reader: Reader, path: Path, cache: Path) -> Run:
    """Run a reader in a process of its own; what it keeps goes to `cache`, which is emptied when it is not to help."""
    if not reader.keeps:
        shutil.rmtree(cache, ignore_errors=True)
    command = [reader.python, "-c", f"import sys\n{reader.code}{PEAK}", str(path) + reader.suffix, *reader.arguments]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": "" if reader.peer else str(ROOT)}
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=path.parent
    )
    output, errors = process.stdout.read(), process.stderr.read()  # type: ignore[union-attr]
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        last = (errors.strip().splitlines() or ["no message"])[-1]
        return Run(float("nan"), float("nan"), float("nan"), f"failed: {last[:60]}")
    *_, rows, peak_kb = output.split()
    return Run(wall, usage.ru_utime + usage.ru_stime, int(peak_kb) * 1024 / MB, rows)


def print_table(size: int, path: Path, runs: dict[str, list[Run]], *, quoted: bool) -> None:
    ours = median(runs["llmprof"], lambda r: r.wall)
    print(f"\n{path.stat().st_size / MB:,.0f} MB of JSON, medians of {len(runs['llmprof'])} ({os.cpu_count()} cores)\n")
    print("| reader | wall s | CPU s | MB/s | peak memory MB | rows | wall, llmprof = 1 |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, found in runs.items():
        wall, cpu, memory = (median(found, lambda r, f=field: getattr(r, f)) for field in ("wall", "cpu", "memory"))
        rate = path.stat().st_size / MB / wall
        rows = found[0].rows
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {rate:,.0f} | {memory:,.0f} | {rows} | {wall / ours:.1f} |")
    if quoted and size in QUOTED:
        wall, memory = QUOTED[size]
        rate = size / wall
        print(f"| TraceLens, loader (quoted) | {wall:.2f} | - | {rate:,.0f} | {memory:,.0f} | - | {wall / ours:.1f} |")
    sys.stdout.flush()


def median(runs: list[Run], of: Callable[[Run], float]) -> float:
    return statistics.median(of(run) for run in runs)


if __name__ == "__main__":
    main()
