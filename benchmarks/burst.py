"""What does tracing do to a step? Each mode of the profiler on the same training, and the steps after each.

    python benchmarks/burst.py                     # a launch-bound small GPT
    python benchmarks/burst.py --shape compute

One process. Before and after each session of the profiler the same number of unprofiled steps is timed. Printed are,
a mode a line: the step while it traces as a ratio to before, how long starting, stopping and exporting hold up the
loop, the size of the trace, and the step afterwards against the step before. CUPTI is torn down after each session as
the recorder does it; the last line leaves it attached, to show what that would cost.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from always_on import SHAPES, Training  # noqa: E402

MODES: dict[str, tuple[bool, bool, bool, bool]] = {
    # CPU, CUDA, shapes, torn down afterwards
    "CUDA alone": (False, True, False, True),
    "CPU": (True, False, False, True),
    "CPU + CUDA": (True, True, False, True),
    "CPU + CUDA + shapes": (True, True, True, True),
    "CPU + CUDA, CUPTI left": (True, True, False, False),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="host")
    parser.add_argument("--steps", type=int, default=50, help="unprofiled steps before and after")
    parser.add_argument("--traced", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=2, help="sessions of each mode, where there is time")
    parser.add_argument("--seconds", type=float, default=140.0, help="leave out second sessions to end by then")
    args = parser.parse_args()
    end = time.perf_counter() + args.seconds
    training = Training(args.shape)
    for _ in range(60):
        training.step()
    print(f"{args.shape}, {args.traced} traced steps a session, {args.steps} steps before and after")
    print("mode                      before ms   traced   start ms   stop ms  export ms      MB    after")
    cuda = training.device.type == "cuda"
    modes = {name: mode for name, mode in MODES.items() if cuda or mode[0]}
    longest = 0.0
    for left, (name, mode) in zip(range(len(modes), 0, -1), modes.items(), strict=True):
        rows: list[tuple[float, ...]] = []
        while not rows or (len(rows) < args.repeats and time.perf_counter() + left * longest < end):
            began = time.perf_counter()
            rows.append(session(training, args, mode, cuda))
            longest = max(longest, time.perf_counter() - began)
        before, traced, start, stop, export, size, after = map(statistics.median, zip(*rows, strict=True))
        held = f"{start:10.1f}{stop:10.1f} {export:10.1f} {size:7.1f}"
        print(f"{name:24} {before:10.3f}  x{traced:6.3f} {held}  x{after:6.4f}", flush=True)


def session(
    training: Any, args: argparse.Namespace, mode: tuple[bool, bool, bool, bool], cuda: bool
) -> tuple[float, ...]:
    """Step before in ms, ratio of a traced one, ms of start, stop and export, MB, ratio of a step afterwards."""
    from llmprof.collectors.live.profiler_session import ProfilerSession, Teardown

    host, device, shapes, detach = mode
    before = time_steps(training, args.steps)
    teardown = Teardown()
    begin = time.perf_counter()
    recording = ProfilerSession(first_step=0, shapes=shapes, cuda=device and cuda, intruded=lambda: None)
    if not host:
        recording._profiler.activities = {torch.profiler.ProfilerActivity.CUDA}
    recording.start(0)
    start = time.perf_counter() - begin
    walls = []
    for number in range(args.traced):
        begin = time.perf_counter()
        training.step()
        training.wait()
        recording.step(number + 1)
        walls.append(time.perf_counter() - begin)
    if device and cuda:
        teardown.request(detach)
    begin = time.perf_counter()
    recording.stop()
    stop = time.perf_counter() - begin
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        begin = time.perf_counter()
        recording.export(path)
        export = time.perf_counter() - begin
        size = os.path.getsize(path) / 1e6
    teardown.settle()
    for _ in range(10):
        training.step()
    after = time_steps(training, args.steps)
    if not detach:
        teardown.request(True)
    return (
        before * 1e3,
        statistics.median(walls) / before,
        start * 1e3,
        stop * 1e3,
        export * 1e3,
        size,
        after / before,
    )


def time_steps(training: Any, steps: int) -> float:
    """Median seconds of a step; each is waited for, so that each is whole."""
    walls = []
    training.wait()
    for _ in range(steps):
        begin = time.perf_counter()
        training.step()
        training.wait()
        walls.append(time.perf_counter() - begin)
    return statistics.median(walls)


if __name__ == "__main__":
    main()
