"""Does `llmprof try` prove the promises? Records planted cases, tries fixes on them from outside, keeps what came out.

    python benchmarks/accuracy/tried.py --out OUT --lanes 2 --budget-s 240
    python benchmarks/accuracy/tried.py --out OUT --cases compute-fp32,host-cache-flush
    python benchmarks/accuracy/report.py results.jsonl --tried OUT/tried.jsonl

Each case is recorded and diagnosed once (OUT/tried/CASE), then every fix below is tried on that run directory, plain
and fixed runs in turns. One line a fix is appended to OUT/tried.jsonl; a fix that has a line is not tried again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from case import Case, words_of
from lanes import ROOT, Lane, command, split
from run import queued, read_lines
from table import EVERY

TRIED: dict[str, tuple[str, ...]] = {
    "comm-accumulate": ("no-sync",),
    "comm-slow-link": ("compress-gradients",),
    "compute-fp32": ("bf16-autocast", "tf32"),
    "host-cache-flush": ("stop-cache-flush",),
    "data-io": ("dataloader-workers",),
    "host-optimizer": ("fused-optimizer", "foreach-optimizer"),
    "host-gc": ("gc-policy",),
    "compute-recompute": ("drop-recompute",),
    "data-epochs": ("persistent-workers",),
    "memory-bandwidth": ("fused-optimizer",),
    "data-pageable": ("pin-memory",),
    "data-heavy-tail": ("dataloader-prefetch",),
    "host-tiny-kernels": ("cuda-graphs",),
}
"""Cases with the fixes that can be applied from outside; the most telling ones first."""
RECORD_S, TRY_S = 150.0, 240.0
TRIAL_S = 55.0
"""What the recording or one trial takes: none is begun when the budget ends sooner."""
LOCK = threading.Lock()


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.tiny:
        os.environ["ACCURACY_TINY"] = "1"
    done = {(line["case"], line["fix"]) for path in [args.out / "tried.jsonl", *args.done] for line in read_lines(path)}
    names = args.cases.split(",") if args.cases else list(TRIED)
    wanted = [EVERY[name] for name in names if any((name, fix) not in done for fix in TRIED[name])]
    deadline = time.monotonic() + args.budget_s
    cores = sorted(os.sched_getaffinity(0))
    together = queued(case for case in wanted if case.ranks > 1)
    for lanes, cases in (
        (split(1, cores), together),
        (split(args.lanes, cores), queued(case for case in wanted if case.ranks == 1)),
    ):

        def work(lane: Lane, cases: Any = cases) -> None:
            while not cases.empty() and time.monotonic() + TRIAL_S < deadline:
                with LOCK:
                    case = None if cases.empty() else cases.get_nowait()
                if case is not None:
                    attempt(case, [fix for fix in TRIED[case.id] if (case.id, fix) not in done], lane, args, deadline)

        threads = [threading.Thread(target=work, args=(lane,)) for lane in lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def attempt(case: Case, fixes: list[str], lane: Lane, args: argparse.Namespace, deadline: float) -> None:
    """Record a case, and try these fixes on it as long as there is time."""
    run = args.out / "tried" / case.id
    begin = time.monotonic()
    error = None if (run / "analysis.json").exists() else recorded(case, run, lane, args.tiny)
    for fix in fixes:
        if error is None and time.monotonic() + TRIAL_S > deadline:
            print(f"{case.id}, {fix}: no time left", flush=True)
            return
        line: dict[str, Any] = {"case": case.id, "fix": fix, "ranks": case.ranks, "tiny": args.tiny}
        line |= {"started_unix": int(time.time()), "error": error}
        if error is None:
            line |= tried(run, fix, lane, args)
        line["seconds"] = round(time.monotonic() - begin, 1)
        begin = time.monotonic()
        with LOCK, (args.out / "tried.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line)[:600], flush=True)


def recorded(case: Case, run: Path, lane: Lane, tiny: bool) -> str | None:
    """Record and diagnose a case; what went wrong, or None."""
    variables, options = words_of(case.args)
    steps = min(case.steps, 40) if tiny else case.recorded_steps
    words = ["run", "--no-report", "-o", str(run), "--", *command(case, [*options, "--steps", str(steps)])]
    run.parent.mkdir(parents=True, exist_ok=True)
    for what in (words, ["analyze", str(run), "-o", str(run)]):
        code, said = llmprof(what, lane, lane.environment(variables), RECORD_S)
        if code not in (0, 4):
            return f"llmprof {what[0]} ended with {code}: {said[-800:]}"
    return None


def tried(run: Path, fix: str, lane: Lane, args: argparse.Namespace) -> dict[str, Any]:
    """What `llmprof try` says of one fix: promised and measured, in ms a step."""
    analysis = (run / "analysis.json").read_bytes()
    words = ["try", "--fix", fix, "--allow-numerics", "--pairs", str(args.pairs), "--json", str(run)]
    words += ["--steps", "8"] if args.tiny else []
    code, said = llmprof(words, lane, lane.environment(), TRY_S)
    begin = said.find("{")
    if begin < 0:
        return {"error": f"llmprof try ended with {code}: {said[-800:]}"}
    document: dict[str, Any] = json.JSONDecoder().raw_decode(said, begin)[0]
    return {"frozen": hashlib.sha256(analysis).hexdigest(), **summary(document)}


def summary(document: dict[str, Any]) -> dict[str, Any]:
    """The line of a trial's document."""
    found = document["comparison"]
    line = {"error": document["error"], "warnings": document["warnings"], "losses": document["losses"]}
    line["applied"] = [one["what"] for one in document["fixes"]]
    if found is None:
        return line
    expected, low, high = found["predicted_ms"] or (None, None, None)
    return line | {
        "plain_ms": found["plain"]["mean_ms"],
        "predicted_ms": expected,
        "interval_ms": [low, high],
        "measured_ms": found["fixed"]["mean_ms"],
        "measured_interval_ms": [found["fixed"]["low_ms"], found["fixed"]["high_ms"]],
        "came_true": found["outcome"],
        "steps": [found["plain"]["steps"], found["fixed"]["steps"]],
    }


def llmprof(words: list[str], lane: Lane, environment: dict[str, str], limit_s: float) -> tuple[int, str]:
    """Exit code and output of a command of llmprof on this lane; notes come after what it answers."""
    child = subprocess.Popen(
        [sys.executable, "-m", "llmprof", *words], env=environment, cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, lane.cores),
    )  # fmt: skip
    try:
        said, notes = child.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        child.terminate()  # it ends what it has started
        said, notes = child.communicate()
    return child.returncode, f"{said}\n{notes}"


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for run directories and tried.jsonl")
    parser.add_argument("--cases", help="ids, separated by commas (default: all that are listed)")
    parser.add_argument("--lanes", type=int, default=1, help="cases with one rank at a time, a GPU each")
    parser.add_argument("--pairs", type=int, default=2, help="plain and fixed runs a fix")
    parser.add_argument("--budget-s", type=float, default=1e9, help="no trial is begun that might end later")
    parser.add_argument("--done", type=Path, nargs="*", default=[], help="more results whose trials are left out")
    parser.add_argument("--tiny", action="store_true", help="so small that a CPU trains it; the figures mean nothing")
    args = parser.parse_args(argv)
    args.out = args.out.resolve()
    return args


if __name__ == "__main__":
    main()
