"""What does the always-on recording cost a step? One process, the recorder switched on and off in alternating blocks.

    python benchmarks/always_on.py                     # a launch-bound small GPT: the worst case
    python benchmarks/always_on.py --shape compute

Blocks of steps run in the order off, hooks, off, all: `hooks` is the step detector with its timers and per-step
readings, `all` adds the process that samples the node's telemetry (device, host). Each block is compared with the mean
of the off blocks beside it, so slow drift of the machine cancels. Printed is the mean difference as a share of the
step with a 95 % bootstrap interval, next to what the recorder itself reports as its cost. No step is traced here.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]

SHAPES = {"host": (24, 256, 4, 128), "compute": (12, 768, 16, 1024), "small": (2, 64, 4, 64)}
MODES = ("off", "hooks", "off", "all")
SETTLE = 5
"""First steps of a block that are not timed: the sampling process is started and stopped there."""
START_S = 2.0
"""Until the sampling process has loaded and opened the devices."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="host")
    parser.add_argument("--blocks", type=int, default=41)
    parser.add_argument("--steps", type=int, default=50, help="steps a block")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        blocks, reported = measure(args, Path(folder))
    base = statistics.median(time for mode, time in blocks if mode == "off")
    print(f"{args.shape}: {len(blocks)} blocks of {args.steps} steps, {base * 1e3:.3f} ms a step without recording")
    for mode in ("hooks", "all"):
        extra = differences(blocks, mode)
        low, high = interval(extra)
        mean = statistics.mean(extra)
        shares = f"{mean / base:+.3%}   95 % {low / base:+.3%} to {high / base:+.3%}"
        print(f"  {mode:6} {mean * 1e6:+8.1f} us a step   {shares}")
    print(f"  reported by the recorder itself: {reported / 1e3:.1f} us a step")


def measure(args: argparse.Namespace, folder: Path) -> tuple[list[tuple[str, float]], float]:
    """(mode, seconds a step) of every block, and the recorder's own account in ns a step."""
    from train_gpt import GPT, Text

    from llmprof.collectors.live import injection

    layers, width, batch, length = SHAPES[args.shape]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = GPT(layers, width, length).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    loader = torch.utils.data.DataLoader(Text(length, 10_000_000, 0.0), batch_size=batch, num_workers=2)
    batches = iter(loader)
    recorder = injection.record(lambda: folder, {"trace_steps": 0}).recorder

    def step() -> None:
        ids, targets = (part.to(device) for part in next(batches))
        with torch.autocast(device.type, torch.bfloat16):
            loss = model(ids, targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(40):
        step()
    switch = Switch(recorder)
    blocks = []
    for index in range(args.blocks):
        mode = MODES[index % len(MODES)]
        switch.set(mode)
        for _ in range(SETTLE):
            step()
        wait(device)
        begin = time.perf_counter()
        for _ in range(args.steps):
            step()
        wait(device)
        blocks.append((mode, (time.perf_counter() - begin) / args.steps))
    recorder.stop()
    return blocks, float(recorder.session._rank["overhead_ns_per_step"] or 0)


class Switch:
    """Turns the recorder's hooks and the sampling process on and off, as nothing but this benchmark has to."""

    def __init__(self, recorder: Any) -> None:
        self._recorder = recorder
        self._hooks = list(recorder.hooks.values())
        [self._telemetry] = [one for one, _ in recorder._crew._collectors if one.name == "telemetry"]
        self._sampling = True

    def set(self, mode: str) -> None:
        """Go over to another mode."""
        for hook in self._hooks:
            hook.armed = mode != "off"
        if mode == "all" and not self._sampling:
            self._telemetry.start(self._recorder.session)
            time.sleep(START_S)
        elif mode != "all" and self._sampling:
            self._telemetry.stop()
        self._sampling = mode == "all"


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def differences(blocks: list[tuple[str, float]], mode: str) -> list[float]:
    """Each block of `mode` minus the mean of the off blocks before and after it."""
    return [
        time - (blocks[i - 1][1] + blocks[i + 1][1]) / 2
        for i, (name, time) in enumerate(blocks)
        if name == mode and 0 < i < len(blocks) - 1
    ]


def interval(values: list[float], draws: int = 4000) -> tuple[float, float]:
    """The middle 95 % of the means of resampled values."""
    source = random.Random(0)
    means = sorted(statistics.mean(source.choices(values, k=len(values))) for _ in range(draws))
    return means[int(0.025 * draws)], means[int(0.975 * draws)]


if __name__ == "__main__":
    main()
