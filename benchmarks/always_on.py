"""What does the always-on recording cost a step? One process, the recorder switched on and off in turns.

    python benchmarks/always_on.py                     # a launch-bound small GPT: the worst case
    python benchmarks/always_on.py --shape compute
    python benchmarks/always_on.py --probe             # what a clock call, a Python call, a CUDA event take here
    traceml run benchmarks/always_on.py --args --recorder traceml-auto      # a peer (PyPI: traceml-ai) on the same loop
    traceml run benchmarks/always_on.py --args --recorder traceml-manual

Blocks of steps run plain, recorded, recorded, plain, and so on: half of the recorded minus half of the plain ones is a
difference that is independent of the next one, and free of steady drift. Recorded means hooks, collectors and the
process that samples the node's telemetry, which is stopped (SIGSTOP) in plain blocks. Printed are, as shares of the
step, the mean difference with a 95 % bootstrap interval, and a robust one (Hodges and Lehmann, Estimates of Location
Based on Rank Tests, 1963: the median of the means of all pairs, with the interval of the signed-rank test), also of
block means without the steps that took over CALM times the usual. What the same sums come to between blocks of one
kind, where nothing differs (A/A), shows how much of that is noise. Then the CPU time of the training thread, what each
hook says that it costs, and what starting and stopping take. No step is traced here.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from timeit import timeit
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "examples"), str(ROOT / "benchmarks")]

from quiet import pin  # noqa: E402

SHAPES = {"host": (24, 256, 4, 128), "compute": (12, 768, 16, 1024), "small": (2, 64, 4, 64)}
SETTLE = 5
"""First steps of a block that are not timed."""
WARM_UP = 60
CALM = 1.25
"""Times the usual: a step that took longer was held up by the machine. Nothing that is recorded takes as long."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some steps, recorded or not; times in seconds."""

    recorded: bool
    wall: float
    """A step, from the first to the last, until the device has done it."""
    cpu: float
    """The training thread's, a step."""
    steps: list[float]
    """Of each step on the host."""
    costs: list[float]
    """What the hooks say that each step has cost."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="host")
    parser.add_argument("--recorder", choices=RECORDERS, default="llmprof")
    parser.add_argument("--blocks", type=int, default=160, help="a multiple of four")
    parser.add_argument("--steps", type=int, default=50, help="steps a block")
    parser.add_argument("--seconds", type=float, default=600.0, help="begin no four blocks after that")
    parser.add_argument("--no-pin", action="store_true", help="leave the threads where the system puts them")
    parser.add_argument("--probe", action="store_true", help="time single operations between steps, nothing else")
    args = parser.parse_args()
    end = time.perf_counter() + args.seconds
    training = Training(args.shape)
    recorder = Plain() if args.probe else RECORDERS[args.recorder](training)
    for _ in range(WARM_UP):
        training.step()
    if not args.no_pin:
        print(pin())
    gc.collect()
    gc.freeze()
    if args.probe:
        probe(training)
        return
    blocks: list[Block] = []
    while len(blocks) < args.blocks and time.perf_counter() < end:
        blocks += [run(training, recorder, recorded, args.steps) for recorded in (False, True, True, False)]
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
    clock, cost = time.perf_counter, recorder.cost
    costs, ends = [cost()], [0.0]
    cpu = time.thread_time()
    ends[0] = clock()
    for _ in range(steps):
        training.step()
        ends.append(clock())
        costs.append(cost())
    training.wait()
    return Block(
        recorded=recorded,
        wall=(clock() - ends[0]) / steps,
        cpu=(time.thread_time() - cpu) / steps,
        steps=[after - before for before, after in pairwise(ends)],
        costs=[(after - before) / 1e9 for before, after in pairwise(costs)],
    )


def probe(training: Training) -> None:
    """Print what single operations take: in a loop of their own, and once after each step, when the caches are cold."""
    event = torch.cuda.Event(enable_timing=True) if training.device.type == "cuda" else None
    table: dict[str, Callable[[], Any]] = {
        "perf_counter_ns": time.perf_counter_ns,
        "thread_time_ns": time.thread_time_ns,
        "get_ident": threading.get_ident,
        "empty Python call": lambda: None,
    }
    if event is not None:
        table["Event.record"] = event.record
        table["Event.query"] = event.query
    clock = time.perf_counter_ns
    print("ns                       warm   after a step: median   mean   the same once more: median   mean")
    for name, call in table.items():
        warm = timeit(call, number=20_000) / 20_000 * 1e9
        first, second = [], []
        for _ in range(120):
            training.step()
            clock()
            begin = clock()
            call()
            middle = clock()
            call()
            second.append(clock() - middle)
            first.append(middle - begin)
        cold = "".join(f"{statistics.median(one):14.0f} {statistics.mean(one):6.0f}" for one in (first, second))
        print(f"{name:20} {warm:9.0f} {cold}", flush=True)


class Plain:
    """No recorder."""

    def cost(self) -> int:
        """Nothing."""
        return 0


class Llmprof:
    """The recorder of `llmprof run`, without its burst."""

    def __init__(self, training: Training) -> None:
        from llmprof.collectors.live import injection

        self._folder = tempfile.TemporaryDirectory()
        begin = time.perf_counter()
        self._injection = injection.record(lambda: Path(self._folder.name), {"trace_steps": 0})
        self._recorder: Any = self._injection.recorder
        self._start_s = time.perf_counter() - begin
        self._hooks = list(self._recorder.hooks.values())

    def cost(self) -> int:
        """What the hooks say that they have cost so far, in ns."""
        return sum([hook.cost_ns for hook in self._hooks])

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


class TraceML(Plain):
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
    plain = [one for one in blocks if not one.recorded]
    usual = statistics.median(step for one in plain for step in one.steps)
    base = statistics.median(one.wall for one in plain)
    steps = (len(blocks) - len(plain)) * args.steps
    print(f"{args.recorder}, {args.shape}: {steps} steps recorded and {len(plain) * args.steps} not, in turns")
    print(f"  {base * 1e3:.3f} ms a step without recording")
    figures: dict[str, list[float]] = {
        "step": [one.wall for one in blocks],
        "step, calm ones": [calm_mean(one.steps, usual) for one in blocks],
        "CPU of its thread": [one.cpu for one in blocks],
    }
    for name, values in figures.items():
        for what, extra in (("", differences(values)), (" (A/A: noise)", no_differences(values))):
            if len(extra) < 2:
                continue
            for how, middle, (low, high) in (
                ("mean", statistics.mean(extra), interval(extra)),
                ("robust", *hodges_lehmann(extra)),
            ):
                print(
                    f"  {name + what:32} {how:7} {middle * 1e6:+8.1f} us   {middle / base:+.3%}"
                    f"   95 % {low / base:+.3%} to {high / base:+.3%}"
                )
    late = statistics.mean(step > CALM * usual for one in blocks for step in one.steps)
    print(f"  {late:.1%} of the steps took over {CALM} times the usual {usual * 1e3:.3f} ms on the host")
    costs = [cost * 1e6 for one in blocks if one.recorded for cost in one.costs]
    if any(costs):
        tenths = statistics.quantiles(costs, n=10)
        shown = f"median {tenths[4]:.1f}, mean {statistics.mean(costs):.1f}, nine of ten below {tenths[8]:.1f}"
        print(f"  the hooks of a step, by their own clock: {shown} us")


def calm_mean(steps: list[float], usual: float) -> float:
    """The mean of the steps that were not held up by the machine."""
    return statistics.mean([step for step in steps if step <= CALM * usual] or steps)


def differences(values: list[float]) -> list[float]:
    """Of each four blocks (plain, recorded, recorded, plain): the recorded ones minus the others."""
    return [(values[i + 1] + values[i + 2] - values[i] - values[i + 3]) / 2 for i in range(0, len(values) - 3, 4)]


def no_differences(values: list[float]) -> list[float]:
    """The same sum over neighbours of one kind: the last and first of two fours, and the middle two of the former."""
    return [(values[i + 4] - values[i + 3] - values[i + 2] + values[i + 1]) / 2 for i in range(0, len(values) - 4, 4)]


def interval(values: list[float], draws: int = 4000) -> tuple[float, float]:
    """The middle 95 % of the means of resampled values."""
    source = random.Random(0)
    means = sorted(statistics.mean(source.choices(values, k=len(values))) for _ in range(draws))
    return means[int(0.025 * draws)], means[int(0.975 * draws)]


def hodges_lehmann(values: list[float]) -> tuple[float, tuple[float, float]]:
    """The median of the means of all pairs, and its 95 % interval (normal approximation of the signed-rank test)."""
    n = len(values)
    means = sorted((values[i] + values[j]) / 2 for i in range(n) for j in range(i, n))
    out = max(0, int(len(means) / 2 - 1.96 * (n * (n + 1) * (2 * n + 1) / 24) ** 0.5))
    return statistics.median(means), (means[out], means[-1 - out])


if __name__ == "__main__":
    main()
