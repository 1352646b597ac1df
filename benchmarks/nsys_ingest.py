"""How fast, and in how much memory, is an Nsight Systems export of millions of rows read?

    python benchmarks/nsys_ingest.py                    # 5 million rows in one process
    python benchmarks/nsys_ingest.py --rows 20 --ranks 4
    python benchmarks/nsys_ingest.py --file report.sqlite

A synthetic export in the shape of schema 3.25 is written once and kept (`--keep DIR`, default: a temporary folder):
kernels, copies, fills, API calls, synchronisations and NVTX ranges in the proportions of a training run under
emit_nvtx, shuffled as newer exporters leave them. Reading happens in a fresh process, so the peak is the reader's own.
Printed are seconds, rows per second and peak memory; the goal is 5 million rows in 10 s and 1 GB.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

MILLION = 1_000_000
TABLES = {
    "StringIds": "id INTEGER NOT NULL PRIMARY KEY, value TEXT NOT NULL",
    "META_DATA_EXPORT": "name TEXT, value TEXT",
    "TARGET_INFO_SESSION_START_TIME": "utcEpochNs INTEGER",
    "ANALYSIS_DETAILS": "globalVid INTEGER, duration INTEGER, startTime INTEGER, stopTime INTEGER",
    "TARGET_INFO_GPU": "id INTEGER, name TEXT, totalMemory INTEGER, smCount INTEGER, cuDevice INTEGER, "
    "computeMajor INTEGER, computeMinor INTEGER",
    "CUPTI_ACTIVITY_KIND_KERNEL": "start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL, "
    "contextId INTEGER NOT NULL, greenContextId INTEGER, streamId INTEGER NOT NULL, correlationId INTEGER, "
    "globalPid INTEGER, demangledName INTEGER NOT NULL, shortName INTEGER NOT NULL, mangledName INTEGER, "
    + ", ".join(f"more{n} INTEGER" for n in range(20)),
    "CUPTI_ACTIVITY_KIND_MEMCPY": "start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL, "
    "contextId INTEGER NOT NULL, streamId INTEGER NOT NULL, correlationId INTEGER, globalPid INTEGER, "
    "bytes INTEGER NOT NULL, copyKind INTEGER NOT NULL, srcKind INTEGER, dstKind INTEGER",
    "CUPTI_ACTIVITY_KIND_MEMSET": "start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL, "
    "contextId INTEGER NOT NULL, streamId INTEGER NOT NULL, correlationId INTEGER, globalPid INTEGER, memKind INTEGER",
    "CUPTI_ACTIVITY_KIND_RUNTIME": "start INTEGER NOT NULL, end INTEGER NOT NULL, eventClass INTEGER NOT NULL, "
    "globalTid INTEGER, correlationId INTEGER, nameId INTEGER NOT NULL, returnValue INTEGER, callchainId INTEGER",
    "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION": "start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER, "
    "contextId INTEGER, streamId INTEGER, correlationId INTEGER, globalPid INTEGER, syncType INTEGER",
    "NVTX_EVENTS": "start INTEGER NOT NULL, end INTEGER, eventType INTEGER NOT NULL, rangeId INTEGER, text TEXT, "
    "globalTid INTEGER, endGlobalTid INTEGER, textId INTEGER, domainId INTEGER",
}
EPOCH = 1_790_000_000_000_000_000
SHARES = {"KERNEL": 0.35, "MEMCPY": 0.03, "MEMSET": 0.02, "SYNCHRONIZATION": 0.02}
"""Of all rows; each has an API call, and what is left are NVTX ranges."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=float, default=5.0, help="millions of rows")
    parser.add_argument("--ranks", type=int, default=1, help="processes in the report")
    parser.add_argument("--file", type=Path, help="read this report instead")
    parser.add_argument("--keep", type=Path, help="folder for the synthetic report")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read:
        read(args.read)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = args.file
        if path is None:
            path = (args.keep or Path(folder)) / f"synthetic_{args.rows:g}M_{args.ranks}.sqlite"
            if not path.exists():
                generate(path, int(args.rows * MILLION), args.ranks)
        subprocess.run([sys.executable, __file__, "--read", str(path)], check=True)


def read(path: Path) -> None:
    """Read the report in this process and print what it cost."""
    import resource
    import time

    from llmprof.collectors.files import load

    begin = time.perf_counter()
    timeline = load(path)
    seconds = time.perf_counter() - begin
    rows = sum(len(rank.events) for rank in timeline.ranks if rank.events is not None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = path.stat().st_size / 2**20
    print(
        f"{path.name}: {size:,.0f} MiB, {rows:,} rows, {len(timeline.ranks)} ranks, "
        f"{len(timeline.ranks[0].marks)} steps: {seconds:.2f} s, {rows / seconds / MILLION:.2f} M rows/s, "
        f"peak {peak:,.0f} MiB"
    )


def generate(path: Path, rows: int, ranks: int) -> None:
    """Write a report of about `rows` rows."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=OFF")
    connection.execute("PRAGMA synchronous=OFF")
    for name, columns in TABLES.items():
        connection.execute(f"CREATE TABLE {name} ({columns})")
    names = ["cudaLaunchKernel_v7000", "cudaMemcpyAsync_v3020", "cudaMemsetAsync_v3020", "cudaStreamSynchronize_v3020"]
    names += [f"void at::native::kernel_{n}<float, (int){n}>(T{n})" for n in range(500)]
    fill(connection, "StringIds", enumerate(names))
    fill(connection, "META_DATA_EXPORT", [("EXPORT_SCHEMA_VERSION", "3.25.0"), ("EXPORT_CONFIG_TIME_SHIFT", "0")])
    fill(connection, "TARGET_INFO_SESSION_START_TIME", [(EPOCH,)])
    fill(connection, "TARGET_INFO_GPU", [(n, "NVIDIA H200", 150 << 30, 132, n, 9, 0) for n in range(ranks)])
    for rank in range(ranks):
        write_rank(connection, rank, rows // ranks)
    connection.commit()
    connection.close()


def write_rank(connection: sqlite3.Connection, rank: int, rows: int) -> None:
    owner = 1 << 48 | (4000 + rank) << 24
    thread = owner | (4000 + rank)
    dice = random.Random(rank)
    counts = {name: int(rows * share) for name, share in SHARES.items()}
    kernels = counts["KERNEL"]

    def calls() -> Iterator[tuple[int, ...]]:
        base = 0
        for place, count in enumerate(counts.values()):
            for n in range(count):
                start = at(n, count) + place * 400
                yield start, start + 3_000, 0, thread, base + n + 1, place, 0, 0
            base += count

    def at(n: int, count: int) -> int:
        return 10**9 + n * (kernels * 10_000) // count

    tail = (0,) * 20
    kernel_rows = (
        (s, s + 8_000, rank, 1, None, 7, n + 1, owner, 4 + n % 500, 4 + n % 400, None, *tail)
        for n, s in ((n, at(n, kernels) + 5_000) for n in order(dice, kernels))
    )
    fill(connection, "CUPTI_ACTIVITY_KIND_KERNEL", kernel_rows)
    base = kernels
    count = counts["MEMCPY"]
    copies = ((at(n, count), at(n, count) + 900, rank, 1, 7, base + n + 1, owner, 4096, 1, 0, 2) for n in range(count))
    fill(connection, "CUPTI_ACTIVITY_KIND_MEMCPY", copies)
    base, count = base + count, counts["MEMSET"]
    fills = ((at(n, count), at(n, count) + 700, rank, 1, 7, base + n + 1, owner, 2) for n in range(count))
    fill(connection, "CUPTI_ACTIVITY_KIND_MEMSET", fills)
    base, count = base + count, counts["SYNCHRONIZATION"]
    syncs = ((at(n, count), at(n, count) + 500, rank, 1, 7, base + n + 1, owner, 3) for n in range(count))
    fill(connection, "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION", syncs)
    fill(connection, "CUPTI_ACTIVITY_KIND_RUNTIME", calls())
    ranges = rows - 2 * sum(counts.values())
    steps = max(10, ranges // 2000)
    inner = (
        (at(n, ranges) + 1, at(n, ranges) + 4_001, 59, None, f"aten::op_{n % 300}, op_id = {n}", thread, None, None, 0)
        for n in range(ranges - steps)
    )
    fill(connection, "NVTX_EVENTS", inner)
    outer = ((at(n, steps), at(n + 1, steps) - 1, 59, None, f"step {n}", thread, None, None, 0) for n in range(steps))
    fill(connection, "NVTX_EVENTS", outer)


def order(dice: random.Random, count: int) -> Iterator[int]:
    """0 to count - 1, shuffled within blocks of a thousand."""
    for start in range(0, count, 1000):
        block = list(range(start, min(start + 1000, count)))
        dice.shuffle(block)
        yield from block


def fill(connection: sqlite3.Connection, table: str, rows: object) -> None:
    places = ", ".join("?" * TABLES[table].count(" INTEGER") + "?" * TABLES[table].count(" TEXT"))
    connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
