"""What does each hook of the recorder cost a step on the training thread? On the CPU, with a device that is pretended.

    python benchmarks/hooks.py                 # warm: the step is next to nothing, everything of ours stays cached
    python benchmarks/hooks.py --thrash 48     # between the hooks 48 MB are walked, as a real step empties the caches

    python benchmarks/hooks.py --count         # calls and bytecodes of ours: the same on every machine, however busy

A step is a fetch, a backward and an optimizer step of almost no work. Blocks of steps with the hooks switched on and
off alternate in one process; the difference of the thread's CPU time is what the recording costs a step. Beside it
stands what each hook says of itself. The CUDA events are Python objects that do nothing, the rest is real.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

sys.path.insert(0, os.environ.get("LLMPROF_ROOT") or str(Path(__file__).resolve().parents[1]))
SETTLE = 10
"""First steps of a block that are not timed."""


class Event:
    """A CUDA event that happens at once."""

    def record(self, stream: Any) -> None:
        """Nothing is recorded."""

    def query(self) -> bool:
        """It has happened."""
        return True

    def elapsed_time(self, end: Event) -> float:
        """Some time."""
        return 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=60)
    parser.add_argument("--steps", type=int, default=200, help="steps a block")
    parser.add_argument("--thrash", type=int, default=0, metavar="MB", help="memory walked before each phase of a step")
    parser.add_argument("--count", action="store_true", help="count calls and bytecodes instead of time")
    parser.add_argument("--no-device", action="store_true", help="no CUDA events")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if args.count:
            count(args, Path(folder))
            return
        times, hooks, reported = measure(args, Path(folder))
    base, extra = calm(times["off"]), calm(times["on"]) - calm(times["off"])
    print(f"a step without recording: {base / 1e3:8.1f} us of CPU time")
    print(f"the recording adds:       {extra / 1e3:8.1f} us a step")
    print(f"it says of itself:        {reported / 1e3:8.1f} us a step (rank.json), and of the hooks in calm blocks:")
    for name, costs in sorted(hooks.items(), key=lambda entry: -calm(entry[1])):
        print(f"  {name:14} {calm(costs) / 1e3:8.2f} us a step")
    print(f"  {'all':14} {sum(map(calm, hooks.values())) / 1e3:8.2f} us a step")


def calm(values: list[float]) -> float:
    """The quarter point: blocks in which others used the machine as well are above it."""
    return statistics.quantiles(values, n=4)[0]


def measure(args: argparse.Namespace, folder: Path) -> tuple[dict[str, list[float]], dict[str, list[float]], float]:
    """Times in ns a step: of the blocks of either kind, of the hooks, and the recorder's own account."""
    recording, step = start(args, folder)
    found = recording.recorder
    armed = list(found.hooks.values())
    hooks: dict[str, list[float]] = {hook.name: [] for hook in armed}
    times: dict[str, list[float]] = {"on": [], "off": []}
    for block in range(2 * args.blocks):
        mode = ("on", "off")[block % 2]
        for hook in armed:
            hook.armed = mode == "on"
        for _ in range(SETTLE):
            step()
        before = {hook.name: hook.cost_ns for hook in armed}
        began = time.thread_time_ns()
        for _ in range(args.steps):
            step()
        times[mode].append((time.thread_time_ns() - began) / args.steps)
        if mode == "on":
            for hook in armed:
                hooks[hook.name].append((hook.cost_ns - before[hook.name]) / args.steps)
    recording.stop()
    rank = json.loads((folder / "ranks" / "r00000" / "rank.json").read_text())
    reported = float(rank["overhead_ns_per_step"] or 0)
    return times, hooks, reported


def start(args: argparse.Namespace, folder: Path) -> tuple[Any, Any]:
    """A recording, the first hundred steps of which are over, and what trains one more."""
    from llmprof.collectors.live import hooks, injection
    from llmprof.collectors.live.device_timer import DeviceTimer

    hooks.FREE_NS = hooks.LONG_NS = 1 << 62  # steps of almost no work, or traced: hooks would soon be found too dear
    if not args.no_device:
        timer = DeviceTimer(Event, lambda: None, lambda: False, lambda: 0)
        DeviceTimer.of = lambda device: timer  # type: ignore[assignment, method-assign]
    recording = injection.record(lambda: folder, {"trace_steps": 0})
    step = training(args.thrash)
    for _ in range(100):
        step()
    return recording, step


def count(args: argparse.Namespace, folder: Path) -> None:
    """Print how many functions of ours a step calls, and how many bytecodes they run."""
    recording, step = start(args, folder)
    calls: Counter[str] = Counter()
    codes: Counter[str] = Counter()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if "llmprof" not in frame.f_code.co_filename:
            return None
        name = f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_qualname}"
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        calls[name] += event == "call"
        codes[name] += event == "opcode"
        return trace

    sys.settrace(trace)
    for _ in range(args.steps):
        step()
    sys.settrace(None)
    recording.stop()
    print(f"{sum(calls.values()) / args.steps:6.1f} calls and {sum(codes.values()) / args.steps:7.1f} bytecodes a step")
    for name, number in codes.most_common(30):
        print(f"  {name:50} {calls[name] / args.steps:6.2f} {number / args.steps:8.1f}")


def training(thrash_mb: int) -> Any:
    """A function that trains one step: batches of token ids from a DataLoader, two parameters."""
    ids = torch.zeros(64, 8, dtype=torch.long)
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    endless = DataLoader(TensorDataset(ids, ids), batch_size=2, sampler=_Endless())
    batches = iter(endless)
    waste = torch.zeros(thrash_mb * 131_072, dtype=torch.int64)
    objects = [{"a": index} for index in range(thrash_mb * 200)]

    def thrash() -> None:
        if thrash_mb:
            waste.add_(1)
            for one in objects:
                one["a"]

    def step() -> None:
        next(batches)
        thrash()
        loss = weight.sum()
        thrash()
        loss.backward()
        thrash()
        optimizer.step()
        thrash()

    return step


class _Endless:
    def __iter__(self) -> Any:
        while True:
            yield 0


if __name__ == "__main__":
    main()
