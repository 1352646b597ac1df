"""Do the promises come true? Records planted bottlenecks, freezes the predictions, then measures the fixes.

    python benchmarks/accuracy/run.py --out OUT --lanes 2 --budget-s 540 --pack
    python benchmarks/accuracy/run.py --out OUT --cases data-decode,compute-fp32
    python benchmarks/accuracy/report.py OUT/results.jsonl

For each case: (1) `llmprof run` records it, kernels that one of its fixes would change are timed as `llmprof run` times
them, and `llmprof analyze` diagnoses it; the document is copied to frozen/ before any fix is run; (2) the run as it was
and every fix of the table train in blocks that take turns, unrecorded; (3) one line is appended to results.jsonl. A
case that has a line is not run again; a failure is a line too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from case import Case, filled, words_of
from lanes import ROOT, Lane, Process, command, split
from measuring import Sides
from packing import compress, pack
from table import CASES, EVERY, FRESH, HELD_OUT, MORE, SEVENTH, SIXTH

from llmprof.analyzers.facts.faster.timed_kernels import FIXES

RECORD_S, ANALYZE_S = 120.0, 60.0
CASE_S = 35.0
"""What one case takes: none is begun when the budget ends sooner."""
TIMED = frozenset(FIXES)
KEPT = ("id", "rule", "requires")
LOCK = threading.Lock()
PACKERS: list[threading.Thread] = []


class Recording:
    """A recorded run that has been started, and waits at its gate."""

    def __init__(self, case: Case, lane: Lane, out: Path, tiny: bool) -> None:
        self.case, self.lane = case, lane
        self._fails = case.fails and not tiny  # a CPU does not run out of memory so soon
        self.run, self.log, self._gate = (
            out / "runs" / case.id,
            out / "logs" / f"{case.id}.log",
            out / "gates" / case.id,
        )
        for folder in (self.log.parent, self._gate.parent, self.run.parent):
            folder.mkdir(parents=True, exist_ok=True)
        variables, options = words_of(case.args)
        words = [sys.executable, "-m", "llmprof", "run", "--no-report", "-o", str(self.run), "--"]
        words += command(case, [*options, "--steps", str(min(case.steps, 40) if tiny else case.recorded_steps)])
        gate = {"ACCURACY_GATE": str(self._gate), "ACCURACY_CORES": ",".join(map(str, lane.training))}
        self._process: Process = lane.start(words, lane.environment({**gate, **variables}), self.log)

    def finish(self) -> float:
        """Let it train; its seconds from the gate to its end."""
        begin = time.monotonic()
        self._gate.touch()
        ended = self._process.ended(RECORD_S)
        code = self._process.child.returncode if self._process.child else None
        if not ended or (code != 0) != self._fails:
            raise RuntimeError(f"the recorded run ended with {code}: {self.log.read_text(errors='replace')[-800:]}")
        return time.monotonic() - begin

    def cancel(self) -> None:
        """Nobody will want it."""
        self._process.terminate()
        shutil.rmtree(self.run, ignore_errors=True)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.tiny:
        os.environ["ACCURACY_TINY"] = "1"
    done = {line["case"] for path in [args.out / "results.jsonl", *args.done] for line in read_lines(path)}
    others = FRESH if args.fresh else HELD_OUT if args.held_out else MORE if args.more else CASES
    group = SEVENTH if args.seventh else SIXTH if args.sixth else others
    wanted = [EVERY[name] for name in args.cases.split(",")] if args.cases else list(group.values())
    wanted = [case for case in wanted if case.id not in done and (not args.ranks or case.ranks == args.ranks)]
    deadline = time.monotonic() + args.budget_s
    if not wanted:
        print("nothing left to do")
        return
    cores = sorted(os.sched_getaffinity(0))
    lanes = split(args.lanes, cores)
    os.sched_setaffinity(0, {core for lane in lanes for core in lane.beside})
    for lane in lanes:
        lane.warm()
    together = [case for case in wanted if case.ranks > 1]
    if together:
        (whole,) = split(1, cores)
        work(queued(together[: args.most_ranked]), whole, args, deadline)
        whole.close()
    alone = queued(case for case in wanted if case.ranks == 1)
    threads = [threading.Thread(target=work, args=(alone, lane, args, deadline)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for lane in lanes:
        lane.close()
    for packer in PACKERS:
        packer.join()
    os.sched_setaffinity(0, cores)
    if args.pack:
        print("packed:", *(path.name for path in pack(args.out / "runs", args.out)), flush=True)


def queued(cases: Iterable[Case]) -> queue.Queue[Case]:
    """Cases for several threads to take."""
    found: queue.Queue[Case] = queue.Queue()
    for case in cases:
        found.put(case)
    return found


def work(cases: queue.Queue[Case], lane: Lane, args: argparse.Namespace, deadline: float) -> None:
    """Take one case after the other; the next one starts while this one is measured."""
    recording = following(cases, lane, args)
    while recording is not None:
        if time.monotonic() + CASE_S > deadline:
            print(f"{recording.case.id}: no time left", flush=True)
            recording.cancel()
            return
        line, sides = recorded(recording, lane, args)
        upcoming = following(cases, lane, args)
        if sides is not None:
            measured(line, sides, args)
        line["seconds"] = round(time.monotonic() - line.pop("begin"), 1)
        with LOCK, (args.out / "results.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(summary(line), flush=True)
        recording = upcoming


def following(cases: queue.Queue[Case], lane: Lane, args: argparse.Namespace) -> Recording | None:
    """The next recorded run, on its way to its gate."""
    try:
        return Recording(cases.get_nowait(), lane, args.out, args.tiny)
    except queue.Empty:
        return None


def recorded(recording: Recording, lane: Lane, args: argparse.Namespace) -> tuple[dict[str, Any], Sides | None]:
    """The line of a case as far as it is known without its fixes, and the sides, of which `planted` runs.

    What goes wrong is written down; a recording that cannot be diagnosed today can be read again.
    """
    case = recording.case
    line: dict[str, Any] = {
        "case": case.id, "script": case.script, "args": case.args, "ranks": case.ranks, "bounds": case.bounds,
        "planted": case.planted, "error": None, "started_unix": int(time.time()), "tiny": args.tiny,
        "begin": time.monotonic(),
    }  # fmt: skip
    try:
        line["record_s"] = round(recording.finish(), 1)
    except Exception as error:
        line["error"] = f"{type(error).__name__}: {error}"[-1500:]
        return line, None
    begin = time.monotonic()
    if TIMED & {fix for side in case.sides for fix in side.split("+")}:
        line["timing"] = timed(recording.run, lane)  # the GPU is idle as long as no side has been started
    sides = Sides(case, lane, args.out / "measured" / case.id) if case.sides else None
    if sides is not None:
        sides.start("planted", "")
    try:
        line |= diagnosed(case, recording.run, lane, args.out)
    except Exception as error:
        line["error"] = f"{type(error).__name__}: {error}"[-1500:]
    line["analyze_s"] = round(time.monotonic() - begin, 1)
    packer = threading.Thread(target=compress, args=(recording.run,))
    packer.start()
    PACKERS.append(packer)
    return line, sides


def measured(line: dict[str, Any], sides: Sides, args: argparse.Namespace) -> None:
    """Run the fixes beside the run as it was, now that the prediction is frozen."""
    begin = time.monotonic()
    try:
        sides.warmed("planted")
        line["sides_args"] = {
            fix: filled(more, fix, line.get("hows") or []) for fix, more in sides.case.sides.items()
        }  # fmt: skip
        for fix, more in line["sides_args"].items():
            sides.start(fix, more)
        for fix in line["sides_args"]:
            sides.warmed(fix)
        line["warm_s"] = round(time.monotonic() - begin, 1)
        sides.measure(args.blocks, args.measure_s)
    except Exception as error:
        line["error"] = f"{line['error'] or ''} {type(error).__name__}: {error}"[-1500:]
    line["sides"] = sides.summary()
    line["measure_s"] = round(time.monotonic() - begin, 1)
    sides.stop()


def timed(run: Path, lane: Lane) -> str:
    """Have kernels timed on the GPU of this run; what was said about it."""
    words = [sys.executable, str(Path(__file__).with_name("timing.py")), str(run)]
    try:
        result = subprocess.run(
            words, env=lane.environment(), cwd=ROOT, capture_output=True, timeout=ANALYZE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"not timed within {ANALYZE_S:.0f} s"
    return result.stderr.decode(errors="replace")[-800:]


def foretold(fixes: list[str], run: Path, environment: dict[str, str] | None = None) -> dict[str, Any] | None:
    """What `llmprof what-if` promises of several fixes together; None where it leaves one out."""
    words = [sys.executable, "-m", "llmprof", "what-if", str(run), "--json"]
    words += [word for fix in fixes for word in ("--fix", fix)]
    result = subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, timeout=ANALYZE_S, check=False)
    if result.returncode != 0:
        return None
    found = json.loads(result.stdout)
    if found["left_out"]:
        return None
    now = found["step_ms"]
    low, high = now - found["step_ms_most"], now - found["step_ms_least"]
    expected = now - found["step_ms_after"]
    return {"expected_ms": expected, "low_ms": low, "high_ms": high, "basis": "replay, joint"}


def diagnosed(case: Case, run: Path, lane: Lane, out: Path) -> dict[str, Any]:
    """The main figures of the diagnosis, which is frozen on disk with its digest before any fix is run."""
    result = subprocess.run(
        [sys.executable, "-m", "llmprof", "analyze", str(run), "--json"], env=lane.environment(), cwd=ROOT,
        capture_output=True, timeout=ANALYZE_S, check=False,
    )  # fmt: skip
    if result.returncode not in (0, 4):
        raise RuntimeError(f"analyze ended with {result.returncode}: {result.stderr.decode()[-800:]}")
    frozen = out / "frozen" / f"{case.id}.json"
    frozen.parent.mkdir(exist_ok=True)
    frozen.write_bytes(result.stdout)
    document: dict[str, Any] = json.loads(result.stdout)
    joint = {side: foretold(side.split("+"), run, lane.environment()) for side in case.sides if "+" in side}
    return {
        "frozen": {"sha256": hashlib.sha256(result.stdout).hexdigest(), "unix": time.time()},
        "prediction": {**prediction(document), **({"joint": joint} if joint else {})},
        "hows": [{"id": fix["id"], "how": fix["how"]} for fix in document["recommendations"]],
    }


def prediction(document: dict[str, Any]) -> dict[str, Any]:
    """What the document says, as far as the report compares it."""
    verdict, capture, step = document["verdict"], document["capture"], document["step"]
    return {
        **{key: verdict.get(key) for key in ("bound", "detail", "share", "confidence", "flags", "reason", "sentence")},
        "step_ms": step["mean_ms"],
        "mfu": step.get("mfu"),
        **{
            key: capture.get(key) for key in ("basis", "traced_step_ms", "replay_error", "overhead_pct", "steps_traced")
        },
        "partition": document["partition"],
        "warnings": capture.get("warnings"),
        "gpu": document["environment"].get("gpu"),
        "torch": document["environment"].get("torch"),
        "fired": [finding["rule"] for finding in document["findings"] if finding["status"] == "fired"],
        "costs": {f["rule"]: f["cost_ms"] for f in document["findings"] if f["status"] == "fired"},
        "broken": {f["rule"]: f["summary"] for f in document["findings"] if f["status"] == "error"},
        "fixes": [{**{key: fix[key] for key in KEPT}, **fix["gain"]} for fix in document["recommendations"]],
    }


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a results file; none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines() if line] if path.exists() else []


def summary(line: dict[str, Any]) -> str:
    """One line for people."""
    found = line.get("prediction", {})
    sides = {side: what["ms"] and round(what["ms"], 2) for side, what in line.get("sides", {}).items()}
    fixes = [
        f"{fix['id']} {fix['low_ms']:.1f}..{fix['expected_ms']:.1f}..{fix['high_ms']:.1f}"
        for fix in found.get("fixes", [])
    ]
    return (f"{line['case']}: planted {line['bounds'][0]}, found {found.get('bound')}, step {found.get('step_ms')} ms, "
            f"measured {sides}, promised {fixes[:4]}, {line['seconds']} s (record {line.get('record_s')}, "
        f"analyze {line.get('analyze_s')}, measure {line.get('measure_s')}) {line['error'] or ''}")  # fmt: skip


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for runs, frozen predictions and results.jsonl")
    parser.add_argument("--cases", help="ids, separated by commas (default: all)")
    parser.add_argument("--more", action="store_true", help="the cases that are there for one rule each")
    parser.add_argument("--held-out", action="store_true", help="cases in other shapes, not developed with")
    parser.add_argument("--fresh", action="store_true", help="cases with other models, not developed with")
    parser.add_argument("--sixth", action="store_true", help="cases of yet other families, not developed with")
    parser.add_argument("--seventh", action="store_true", help="cases of what people train today, not developed with")
    parser.add_argument("--ranks", type=int, help="only cases with so many ranks")
    parser.add_argument("--lanes", type=int, default=1, help="cases with one rank at a time, a GPU each")
    parser.add_argument("--blocks", type=int, default=4, help="counted blocks that a side has at least")
    parser.add_argument("--measure-s", type=float, default=14.0, help="no blocks are added to a case after so long")
    parser.add_argument("--budget-s", type=float, default=1e9, help="no case is begun that might end later")
    parser.add_argument("--most-ranked", type=int, default=99, help="at most so many cases with several ranks")
    parser.add_argument("--done", type=Path, nargs="*", default=[], help="more results whose cases are left out")
    parser.add_argument("--pack", action="store_true", help="pack the run directories into archives a.tar, b.tar, …")
    parser.add_argument("--tiny", action="store_true", help="so small that a CPU trains it; the figures mean nothing")
    args = parser.parse_args(argv)
    args.out = args.out.resolve()
    return args


if __name__ == "__main__":
    main()
