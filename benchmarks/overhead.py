"""What does recording cost? The same training plainly and under `llmprof run`, in turn, pair by pair.

    python benchmarks/overhead.py                    # one process
    python benchmarks/overhead.py --ranks 2          # torchrun, two processes
    python benchmarks/overhead.py --shape host       # a launch-bound model: the worst case for anything on the host

Each pair is a plain run, a run that is recorded with the burst of traced steps, and a run that is only timed
(`--trace-steps 0`). Two figures of each: the mean step (the burst and its export are in it, spread over the run) and
the median of blocks of steps (what a step costs outside the burst). Printed are the ratios to the plain run, with a
95 % bootstrap interval of their mean, what the burst alone has cost a run (its steps against the median step of the
same run), and whether the exit codes agree.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHAPES = {
    "host": "--layers 24 --width 256 --batch 4 --seq 128 --workers 2 --sample-ms 0",
    "compute": "--layers 12 --width 768 --batch 16 --seq 1024 --workers 4 --sample-ms 0",
    "small": "--layers 4 --width 128 --batch 8 --seq 128 --workers 1 --sample-ms 0",
}
Run = tuple[int, float, float, float]
"""Exit code, mean step, median step and cost of the burst in ms."""
MODES: dict[str, list[str] | None] = {"plain": None, "recorded": [], "timed only": ["--trace-steps", "0"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--modes", nargs="+", choices=list(MODES)[1:], default=list(MODES)[1:])
    args = parser.parse_args()
    figures: dict[str, list[Run]] = {mode: [] for mode in ["plain", *args.modes]}
    for pair in range(args.pairs):
        for mode in figures:
            figures[mode].append(train(args, MODES[mode]))
            code, mean, median, burst = figures[mode][-1]
            print(
                f"pair {pair + 1}  {mode:10}  exit {code}  mean {mean:8.3f} ms  median {median:8.3f} ms"
                f"  burst {burst:6.1f} ms",
                flush=True,
            )
    print(f"\n{args.shape}, {args.ranks} rank(s), {args.steps} steps, {args.pairs} pairs, ratio to the plain run")
    for mode in args.modes:
        for column, name in ((1, "mean step"), (2, "median step")):
            ratios = [a[column] / b[column] for a, b in zip(figures[mode], figures["plain"], strict=True)]
            low, high = interval(ratios)
            print(f"  {mode:10}  {name:11}  {statistics.mean(ratios):.4f}   95 % {low:.4f} to {high:.4f}")
        bursts = [run[3] for run in figures[mode]]
        print(f"  {mode:10}  the burst    {statistics.mean(bursts):.1f} ms a run, once")
        same = all(a[0] == b[0] for a, b in zip(figures[mode], figures["plain"], strict=True))
        print(f"  {mode:10}  exit codes   {'the same' if same else 'DIFFERENT'}")


def train(args: argparse.Namespace, options: list[str] | None) -> Run:
    """One training run; `options` None is the plain run."""
    script = [str(ROOT / "examples" / "train_gpt.py"), *SHAPES[args.shape].split(), "--steps", str(args.steps)]
    launcher = [sys.executable]
    if args.ranks > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(args.ranks)]
    command = [*launcher, *script, "--seconds", "600"]
    with tempfile.TemporaryDirectory() as folder:
        if options is not None:
            head = [sys.executable, "-m", "llmprof", "run", "-o", str(Path(folder) / "run"), *options]
            command = [*head, "--", *command]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        burst = burst_ms(Path(folder) / "run" / "ranks" / "r00000" / "steps.jsonl")
    found = dict(re.findall(r"^(mean|median) step ([0-9.]+) ms", done.stdout, re.MULTILINE))
    if len(found) < 2:
        sys.exit(f"no step times from {' '.join(command)}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.returncode, float(found["mean"]), float(found["median"]), burst


def burst_ms(steps: Path) -> float:
    """What the steps of the burst took beyond the median of the steady ones."""
    if not steps.exists():
        return 0.0
    rows = [json.loads(line) for line in steps.read_text().splitlines()]
    steady = [row["wall"] for row in rows if row["phase"] in ("baseline", "after")]
    burst = [row["wall"] for row in rows if row["phase"] in ("traced", "unsteady")]
    return (sum(burst) - statistics.median(steady) * len(burst)) / 1e6 if steady else 0.0


def interval(values: list[float], draws: int = 2000) -> tuple[float, float]:
    """The middle 95 % of the means of resampled values."""
    source = random.Random(0)
    means = sorted(statistics.mean(source.choices(values, k=len(values))) for _ in range(draws))
    return means[int(0.025 * draws)], means[int(0.975 * draws)]


if __name__ == "__main__":
    main()
