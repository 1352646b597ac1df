"""What does the always-on recording cost a step? One process, the recorder switched on and off in alternating blocks.

    python benchmarks/always_on.py                     # a launch-bound small GPT: the worst case
    python benchmarks/always_on.py --shape compute
    traceml run benchmarks/always_on.py --args --recorder traceml-auto      # a peer (PyPI: traceml-ai) on the same loop
    traceml run benchmarks/always_on.py --args --recorder traceml-manual

Every second block of steps is recorded: hooks, collectors and the process that samples the node's telemetry, which is
stopped (SIGSTOP) during the others. Each recorded block is compared with the mean of the two beside it, so that slow
drift of the machine cancels. Printed are the mean difference as a share of the step with a 95 % bootstrap interval,
the same for the CPU time of the training thread, what each hook says that it costs, and what starting and stopping
take. No step is traced here.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]

SHAPES = {"host": (24, 256, 4, 128), "compute": (12, 768, 16, 1024), "small": (2, 64, 4, 64)}
SETTLE = 5
"""First steps of a block that are not timed."""
WARM_UP = 60

Block = tuple[bool, float, float]
"""Whether it was recorded; seconds a step; CPU seconds of the training thread a step."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="host")
    parser.add_argument("--recorder", choices=RECORDERS, default="llmprof")
    parser.add_argument("--blocks", type=int, default=81)
    parser.add_argument("--steps", type=int, default=50, help="steps a block")
    args = parser.parse_args()
    training = Training(args.shape)
    recorder = RECORDERS[args.recorder](training)
    for _ in range(WARM_UP):
        training.step()
    blocks = [run(training, recorder, index % 2 == 1, args.steps) for index in range(args.blocks)]
    recorder.close()
    report(args, blocks)
    recorder.report()


class Training:
    """A small GPT and its loop; one call of `step` is one step."""

    def __init__(self, shape: str) -> None:
        train_gpt: Any = import_module("train_gpt")

        layers, width, batch, length = SHAPES[shape]
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model: Any = train_gpt.GPT(layers, width, length).to(self.device)
        self.optimizer: Any = torch.optim.AdamW(self.model.parameters(), lr=3e-4)
        data = train_gpt.Text(length, 10_000_000, 0.0)
        self.loader: Any = torch.utils.data.DataLoader(data, batch_size=batch, num_workers=2)
        self.batches: Any = None
        self.loss: Callable[[Any], Any] = lambda loss: loss
        self.bracket: Callable[[], Any] = contextlib.nullcontext

    def step(self) -> None:
        """Fetch, forward, backward, optimizer."""
        if self.batches is None:
            self.batches = iter(self.loader)
        batch = next(self.batches)
        with self.bracket():
            ids, targets = (part.to(self.device) for part in batch)
            with torch.autocast(self.device.type, torch.bfloat16):
                loss = self.model(ids, targets)
            self.loss(loss).backward()
            self.optimizer.step()
            self.optimizer.zero_grad()

    def wait(self) -> None:
        """Until the device has done what was launched."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def run(training: Training, recorder: Any, recorded: bool, steps: int) -> Block:
    """Time one block."""
    recorder.switch(recorded)
    for _ in range(SETTLE):
        training.step()
    training.wait()
    cpu, begin = time.thread_time(), time.perf_counter()
    for _ in range(steps):
        training.step()
    training.wait()
    return recorded, (time.perf_counter() - begin) / steps, (time.thread_time() - cpu) / steps


class Llmprof:
    """The recorder of `llmprof run`, without its burst."""

    def __init__(self, training: Training) -> None:
        from llmprof.collectors.live import injection

        self._folder = tempfile.TemporaryDirectory()
        begin = time.perf_counter()
        self._injection = injection.record(lambda: Path(self._folder.name), {"trace_steps": 0})
        self._recorder: Any = self._injection.recorder
        self._start_s = time.perf_counter() - begin

    def switch(self, on: bool) -> None:
        """Turn hooks and sampling on or off, as nothing but this benchmark has to."""
        for hook in self._recorder.hooks.values():
            hook.armed = on and hook.reason is None
        crew = getattr(self._recorder, "_crew", None) or self._recorder._finished.crew
        for one, _ in crew._collectors:
            process = getattr(one, "_process", None)
            if one.name == "telemetry" and process is not None:
                os.kill(process.pid, signal.SIGCONT if on else signal.SIGSTOP)

    def close(self) -> None:
        """End the recording."""
        self.switch(True)
        self._costs = self._recorder.session.costs()
        self._steps = self._recorder.session.current_step
        begin = time.perf_counter()
        self._injection.stop()
        self._stop_s = time.perf_counter() - begin

    def report(self) -> None:
        """Print what is known besides the difference."""
        print(f"  reported by the recorder itself: {self._costs.get('overhead_ns_per_step', 0) / 1e3:.1f} us a step")
        for name, cost in sorted(self._costs["collectors"].items(), key=lambda item: -item[1]["cost_ns"]):
            if cost["calls"]:
                each = cost["cost_ns"] / cost["calls"] / 1e3
                print(f"    {name:14} {each:8.1f} us a call, {cost['calls'] / self._steps:6.2f} calls a step")
        for hook in self._recorder.hooks.values():
            if hook.reason is not None:
                print(f"    {hook.name} was switched off: {hook.reason}")
        print(f"  installing {self._start_s * 1e3:.1f} ms, stopping {self._stop_s * 1e3:.1f} ms")


class TraceML:
    """A peer: its step bracket in every second block. Its sampling threads run all the time."""

    mode = "auto"

    def __init__(self, training: Training) -> None:
        traceml: Any = import_module("traceml_ai")

        begin = time.perf_counter()
        traceml.init(mode=self.mode)
        self._start_s = time.perf_counter() - begin
        self._training = training
        self._traceml: Any = traceml
        self._plain = (training.optimizer.step, training.model.forward)
        if self.mode == "manual":
            training.batches = traceml.wrap_dataloader_fetch(iter(training.loader))
            traceml.wrap_forward(training.model)
            traceml.wrap_optimizer(training.optimizer)
        self._wrapped = (training.optimizer.step, training.model.forward)

    def switch(self, on: bool) -> None:
        """Use the bracket and the wrappers, or not."""
        training = self._training
        training.bracket = (lambda: self._traceml.trace_step(training.model)) if on else contextlib.nullcontext
        if self.mode == "manual":
            training.optimizer.step, training.model.forward = self._wrapped if on else self._plain
            training.loss = self._traceml.wrap_backward if on else (lambda loss: loss)

    def close(self) -> None:
        """End the recording."""
        self.switch(False)

    def report(self) -> None:
        """Print what is known besides the difference."""
        print(f"  init {self._start_s * 1e3:.1f} ms")


class TraceMLManual(TraceML):
    """The same with every phase wrapped by hand."""

    mode = "manual"


RECORDERS: dict[str, Any] = {"llmprof": Llmprof, "traceml-auto": TraceML, "traceml-manual": TraceMLManual}


def report(args: argparse.Namespace, blocks: list[Block]) -> None:
    """Print the differences and their intervals."""
    recorded = sum(one[0] for one in blocks) * args.steps
    base = statistics.median(one[1] for one in blocks if not one[0])
    plain = len(blocks) * args.steps - recorded
    print(f"{args.recorder}, {args.shape}: {recorded} steps recorded and {plain} not, in turns")
    print(f"  {base * 1e3:.3f} ms a step without recording")
    for column, name in ((1, "step"), (2, "CPU of its thread")):
        extra = differences(blocks, column)
        low, high = interval(extra)
        mean, middle = statistics.mean(extra), statistics.median(extra)
        print(
            f"  {name:18} {mean * 1e6:+8.1f} us   {mean / base:+.3%}   95 % {low / base:+.3%} to {high / base:+.3%}"
            f"   median {middle / base:+.3%}"
        )


def differences(blocks: list[Block], column: int) -> list[float]:
    """Each recorded block minus the mean of the blocks before and after it."""
    return [
        blocks[i][column] - (blocks[i - 1][column] + blocks[i + 1][column]) / 2
        for i in range(1, len(blocks) - 1)
        if blocks[i][0]
    ]


def interval(values: list[float], draws: int = 4000) -> tuple[float, float]:
    """The middle 95 % of the means of resampled values."""
    source = random.Random(0)
    means = sorted(statistics.mean(source.choices(values, k=len(values))) for _ in range(draws))
    return means[int(0.025 * draws)], means[int(0.975 * draws)]


if __name__ == "__main__":
    main()
