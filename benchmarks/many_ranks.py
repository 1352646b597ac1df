"""Does the work for a rank stay the same, whatever the number of ranks? Makes rank files from real ones and times them.

    python benchmarks/many_ranks.py make FOLDER --ranks 512 --late 3 TRACE_OF_A_RANK TRACE_OF_THE_LATE_RANK
    python benchmarks/many_ranks.py time FOLDER [--sizes 8 64 512] [--engines processes dask] [--workers 2]

`make` writes N traces of one run out of two recorded ones: the rank `--late` is made from the second, all others from
the first. Ranks, sizes of the process group and its list of ranks (which PyTorch cuts beyond 30) are rewritten, the
clock of every rank is shifted by an offset, its collectives begin up to `--jitter-us` later and end with a scatter of
2 µs. What was done to whom is in truth.json.

`time` reads the first 8, 64, 512 of them, each in a fresh process, and prints per number of ranks: the wall time; per
rank the wall time, the processor time of everything (workers, scheduler, starting them, merge) and of the task alone;
the time and the peak memory of the merge; and, for Dask, the resident memory of the scheduler. Dask runs as a scheduler
and workers of their own processes, connected over TCP; a first run that is not to be counted warms them.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import random
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

SHOWN_RANKS = 30
"""PyTorch writes a longer list of ranks with its first 29 and its last one only."""
END_SCATTER_NS = 2_000


@dataclass(frozen=True)
class Template:
    """A trace with holes: what differs from rank to rank."""

    pieces: list[str]
    """Text, hole, text, hole, ..., text."""
    calls: list[tuple[int, int]]
    """Start and length of each collective, in ns."""
    base_ns: int


def template_of(path: Path) -> Template:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        document = json.load(file)
    base_ns = int(document["baseTimeNanoseconds"])
    document["baseTimeNanoseconds"] = "@base@"
    info = document["distributedInfo"]
    info["rank"], info["world_size"] = "@rank@", "@world@"
    for group in info.get("pg_config", []):
        group["pg_size"], group["ranks"] = "@world@", "@all@"
    calls: list[tuple[int, int]] = []
    for event in document["traceEvents"]:
        arguments = event.get("args", {})
        if "Process Group Ranks" in arguments:
            arguments |= {"Process Group Ranks": "@shown@", "Group size": "@world@"}
            if "Rank" in arguments:
                arguments["Rank"] = "@rank@"
        if event.get("cat") == "kernel" and event["name"].startswith("nccl"):
            calls.append((round(event["ts"] * 1000), round(event["dur"] * 1000)))
            event["ts"], event["dur"] = f"@start{len(calls) - 1}@", f"@length{len(calls) - 1}@"
    return Template(re.split(r'"@(\w+)@"', json.dumps(document)), calls, base_ns)


def rank_text(template: Template, rank: int, world: int, offset_ns: int, jitter_ns: int) -> str:
    chance = random.Random(rank)
    everyone = list(range(world))
    cut = everyone if world <= SHOWN_RANKS else [*everyone[: SHOWN_RANKS - 1], "...", world - 1]
    holes = {
        "base": str(template.base_ns + offset_ns),
        "rank": str(rank),
        "world": str(world),
        "all": json.dumps(everyone),
        "shown": json.dumps(f"[{', '.join(map(str, cut))}]"),
    }
    for number, (start, length) in enumerate(template.calls):
        later = min(chance.randint(0, jitter_ns), length // 2)
        end = start + length + chance.randint(-END_SCATTER_NS, END_SCATTER_NS)
        holes[f"start{number}"] = f"{(start + later) / 1000:.3f}"
        holes[f"length{number}"] = f"{max(end - start - later, 1) / 1000:.3f}"
    return "".join(piece if index % 2 == 0 else holes[piece] for index, piece in enumerate(template.pieces))


def make(folder: Path, sources: Sequence[Path], ranks: int, late: int, jitter_ns: int, skew_ns: int) -> dict[str, Any]:
    """Write the rank files and truth.json (below a folder of its own, which is no trace); returns the truth."""
    folder.mkdir(parents=True, exist_ok=True)
    usual, slow = template_of(sources[0]), template_of(sources[-1])
    chance = random.Random(1)
    offsets = [0, *(chance.randint(-skew_ns, skew_ns) for _ in range(1, ranks))]
    for rank, offset in enumerate(offsets):
        text = rank_text(slow if rank == late else usual, rank, ranks, offset, jitter_ns)
        (folder / f"rank{rank:05d}.json.gz").write_bytes(gzip.compress(text.encode(), compresslevel=1))
    truth = {"late": late, "offset_ns": offsets, "calls": len(usual.calls)}
    (folder / "truth").mkdir(exist_ok=True)
    (folder / "truth" / "truth.json").write_text(json.dumps(truth))
    return truth


def one(folder: Path, ranks: int, engine: str, workers: int, scheduler: str | None) -> dict[str, Any]:
    """Diagnose the first `ranks` files in this process."""
    from llmprof.analyzers.many_ranks import diagnose as many
    from llmprof.analyzers.many_ranks.dask_cluster import DaskCluster
    from llmprof.analyzers.many_ranks.processes import Processes
    from llmprof.collectors.files.rank_files import rank_files

    files = rank_files(sorted(map(str, folder.glob("rank*.json.gz")))[:ranks])
    assert files is not None
    tasks: list[float] = []
    moments: list[float] = []

    def told(done: int, total: int, what: str) -> None:
        if what.startswith(("comparing", "looking")):
            moments.append(time.perf_counter())

    with DaskCluster(scheduler) if engine == "dask" else contextlib.nullcontext(Processes(workers)) as chosen:
        give = chosen.outcomes

        def outcomes(*arguments: Any) -> Iterator[Any]:
            for outcome in give(*arguments):
                tasks.append(outcome.cpu_s)
                yield outcome

        chosen.outcomes = outcomes  # type: ignore[method-assign]
        start = time.perf_counter()
        diagnosis = many.diagnose_files(files, chosen, progress=told)
        wall = time.perf_counter() - start
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "ranks": len(diagnosis.source.ranks),
        "cpu_s": sum(usage.ru_utime + usage.ru_stime for usage in spent),
        "wall_s": wall,
        "task_cpu_s": statistics.median(tasks),
        "merge_s": moments[1] - moments[0],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "bound": diagnosis.verdict.bound,
        "critical": diagnosis.partition_rank,
        "json_kb": len(diagnosis.to_json()) / 1024,
    }


@contextlib.contextmanager
def cluster(workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and workers over TCP; gives the address and the processes, that of the scheduler first."""
    address_file = Path(f"/tmp/llmprof-scheduler-{time.time_ns()}.json")
    module = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler = subprocess.Popen([*module, "--host", "127.0.0.1", "--scheduler-file", str(address_file)], **quiet)
    started = [scheduler]
    try:
        while not address_file.exists():
            time.sleep(0.1)
        time.sleep(0.5)
        address = json.loads(address_file.read_text())["address"]
        for _ in range(workers):
            command = [
                sys.executable,
                "-m",
                "distributed.cli.dask_worker",
                address,
                "--nthreads",
                "1",
                "--no-dashboard",
            ]
            started.append(subprocess.Popen(command, **quiet))
        yield address, started
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()
        address_file.unlink(missing_ok=True)


def cluster_cpu_s(processes: Sequence[subprocess.Popen[bytes]]) -> float:
    """What the scheduler, the workers and their nannies have used so far."""
    import psutil  # comes with distributed

    roots = [psutil.Process(process.pid) for process in processes]
    used = [one.cpu_times() for root in roots for one in (root, *root.children(recursive=True))]
    return float(sum(times.user + times.system for times in used))


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def measure(folder: Path, sizes: Sequence[int], engines: Sequence[str], workers: int) -> None:
    print(f"{'engine':<12}{'ranks':>6}{'wall s':>9}{'wall ms/rank':>20}{'cpu':>9}{'task':>9}{'merge s':>9}", end="")
    print(f"{'peak MB':>9}{'sched MB':>10}{'json kB':>9}  verdict")
    for engine in engines:
        with cluster(workers) if engine == "dask" else contextlib.nullcontext((None, [])) as (address, running):
            for ranks in [sizes[0], *sizes] if engine == "dask" else sizes:
                before = cluster_cpu_s(running) if running else 0.0
                command = [sys.executable, __file__, "one", str(folder), str(ranks), engine, str(workers)]
                done = subprocess.run([*command, *([address] if address else [])], capture_output=True, check=True)
                found = json.loads(done.stdout.splitlines()[-1])
                spent = found["cpu_s"] + (cluster_cpu_s(running) - before if running else 0.0)
                held = f"{resident_mb(running[0].pid):.0f}" if running else ""
                print(
                    f"{engine:<12}{found['ranks']:>6}{found['wall_s']:>9.1f}{1000 * found['wall_s'] / ranks:>20.1f}"
                    f"{1000 * spent / ranks:>9.1f}{1000 * found['task_cpu_s']:>9.1f}{found['merge_s']:>9.2f}"
                    f"{found['peak_mb']:>9.0f}{held:>10}{found['json_kb']:>9.0f}"
                    f"  {found['bound']} (rank {found['critical']})",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("folder", type=Path)
    making.add_argument("sources", type=Path, nargs="+")
    making.add_argument("--ranks", type=int, default=512)
    making.add_argument("--late", type=int, default=3)
    making.add_argument("--jitter-us", type=int, default=20)
    making.add_argument("--skew-ms", type=int, default=200)
    timing = commands.add_parser("time")
    timing.add_argument("folder", type=Path)
    timing.add_argument("--sizes", type=int, nargs="+", default=[8, 64, 512])
    timing.add_argument("--engines", nargs="+", default=["processes", "dask"])
    timing.add_argument("--workers", type=int, default=2)
    single = commands.add_parser("one")
    for name, kind in (("folder", Path), ("ranks", int), ("engine", str), ("workers", int)):
        single.add_argument(name, type=kind)
    single.add_argument("scheduler", nargs="?")
    given = parser.parse_args()
    if given.command == "make":
        make(given.folder, given.sources, given.ranks, given.late, given.jitter_us * 1000, given.skew_ms * 1_000_000)
    elif given.command == "one":
        print(json.dumps(one(given.folder, given.ranks, given.engine, given.workers, given.scheduler)))
    else:
        measure(given.folder, given.sizes, given.engines, given.workers)


if __name__ == "__main__":
    main()
