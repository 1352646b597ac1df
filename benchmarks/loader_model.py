"""How well does the replay of the DataLoader foretell other settings, where the workers do real work?

    python benchmarks/loader_model.py --out loader.jsonl                    # 16 cores, about 460 s
    python benchmarks/loader_model.py --kinds store io tail cpu --seconds 690 --out loader.jsonl   # two quiet cores
    python benchmarks/loader_model.py --tiny                                # two cores, half a minute

Five kinds of input. `cpu`: compressed images are inflated and augmented; `io`: every sample first waits as for a remote
store (a sleep stands for it), little work after that; `store`: as `io`, but how long it waits varies lognormally (sigma
1.4: the slowest of a hundred takes ten times the mean), and a batch has only to be put together; `tail`: the work of a
sample varies so; `launch`: as `io`, batches of 12 MB, for a training thread that is never idle: it launches small
operations. On few cores `cpu` and `tail` have one worker, which leaves a core to the training thread, and the
consumers' times vary in place of the workers.
One setting of each kind is recorded under `llmprof run`. From that recording alone the steps of all other settings
(workers, prefetch, the consumer's time) are foretold, with the functions that `what-if` uses; then they are measured
without any recorder, in a process of their own, after warm-up batches: all of them once, in an order by chance, and
again until the time is over, so that what drifts meets no setting more than another. Beside the error stands that of
the textbook, max(consumer, load time / workers), and how far the repetitions of one setting lie apart: no model can be
closer than that. A setting whose repetitions disagree by more than the target decides nothing, and is marked so. All
settings see the same samples again and again, as the epochs of a training run do, and are measured over whole rounds of
them, which are many times the batches on order: a queue of 32 batches moves the mean of 97 by 5 %, that of 388 by 1 %.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.loader_settings import Setting, plans  # noqa: E402
from benchmarks.loader_table import show  # noqa: E402

EDGE, STORED = 128, 16
PERIOD = 97
"""Batches after which the samples come again: no multiple of any number of workers, so that each gets other ones then.
It was 96 for the first two runs in accuracy/loader.jsonl, where of four workers one had the longest in every round."""
SIGMA = 1.4
AHEAD = 10
"""How many times the batches on order are measured, at least."""
LAUNCHES = 150
"""Of the training thread of `launch`, for each ms that a GPU's host needs for them, about."""


class Samples(Dataset[tuple[int, torch.Tensor]]):
    """Compressed images in memory, whose work and time to arrive come from their number.

    `begun_ms` and `done_ms` say when each batch was made, by perf_counter, for everybody to read.
    """

    def __init__(self, setting: Setting, batches: int) -> None:
        self._setting, self._count = setting, batches * setting.batch
        self._seen = PERIOD * setting.batch
        self.begun_ms = torch.zeros(batches, dtype=torch.float64).share_memory_()
        self.done_ms = torch.zeros(batches, dtype=torch.float64).share_memory_()
        draw = np.random.default_rng(5)
        coarse = [draw.integers(0, 255, (3, EDGE // 8, EDGE // 8)).repeat(8, 1).repeat(8, 2) for _ in range(STORED)]
        self._stored = [
            zlib.compress((image + draw.integers(0, 9, image.shape)).astype(np.uint8).tobytes(), 4) for image in coarse
        ]

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[int, torch.Tensor]:
        if index % self._setting.batch == 0:
            self.begun_ms[index // self._setting.batch] = time.perf_counter() * 1e3
        draw, setting = random.Random(index % self._seen), self._setting
        tail = setting.kind in ("tail", "store")
        more = draw.lognormvariate(-(SIGMA**2) / 2, SIGMA) if tail else draw.uniform(0.8, 1.2)
        if setting.wait_ms:
            time.sleep(setting.wait_ms / 1e3 * more)
        image = np.zeros((3, EDGE, EDGE), np.float32)
        for _ in range(max(1, round(setting.work * more)) if setting.work else 0):
            image += self._view(draw)
        return index, torch.from_numpy(image)

    def collate(self, samples: list[tuple[int, torch.Tensor]]) -> torch.Tensor:
        """The batch of these samples, in memory that is shared."""
        batch: torch.Tensor = default_collate([image for _, image in samples])
        self.done_ms[samples[0][0] // self._setting.batch] = time.perf_counter() * 1e3
        return batch

    def _view(self, draw: random.Random) -> np.ndarray:
        raw = zlib.decompress(self._stored[draw.randrange(STORED)])
        image = np.frombuffer(raw, np.uint8).reshape(3, EDGE, EDGE)
        image = np.roll(image, (draw.randrange(16), draw.randrange(16)), (1, 2))
        if draw.random() < 0.5:
            image = image[:, :, ::-1]
        return (image.astype(np.float32) - 128.0) / 64.0


class Training:
    """The consumer: a batch goes to the device, a small model learns, and the rest of its time passes."""

    def __init__(self) -> None:
        self._cuda = torch.cuda.is_available()
        self._device = torch.device("cuda" if self._cuda else "cpu")
        self._model = torch.nn.Conv2d(3, 4, 8, 8).to(self._device)
        self._optimizer = torch.optim.SGD(self._model.parameters(), lr=1e-4)
        self._small = torch.zeros(64, device=self._device)
        self._square = torch.zeros(160, 160)

    def batches(self, setting: Setting, samples: Samples) -> Iterator[torch.Tensor]:
        """A loader as the setting wants it."""
        order: dict[str, Any] = {} if setting.in_order else {"in_order": False}
        loader: DataLoader[Any] = DataLoader(
            samples, setting.batch, num_workers=setting.workers, prefetch_factor=setting.prefetch,
            pin_memory=self._cuda, collate_fn=samples.collate, **order,
        )  # fmt: skip
        return iter(loader)

    def step(self, batch: torch.Tensor, setting: Setting) -> None:
        """One step, which takes the consumer's time."""
        begin = time.perf_counter()
        images = batch.to(self._device, non_blocking=True)
        self._model(images).mean().backward()
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        if setting.kind == "launch":
            for _ in range(int(LAUNCHES * setting.consumer_ms)):
                self._small.add_(1.0)
        self._wait()
        while setting.kind != "launch" and time.perf_counter() < begin + setting.consumer_ms / 1e3:
            self._wait()

    def _wait(self) -> None:
        """A moment of a host that waits for its device: busy, without Python's lock."""
        if self._cuda:
            torch.cuda.synchronize()
        else:
            torch.mm(self._square, self._square)


def record(setting: Setting, batches: int) -> None:
    """Train, so that somebody records it."""
    training = Training()
    for batch in training.batches(setting, Samples(setting, batches)):
        training.step(batch, setting)


def measure(rounds: int, batches: int) -> None:
    """Read settings from the input, and say how long their steps are, in turn, round by round."""
    settings = [Setting(**one) for one in json.load(sys.stdin)]
    training = Training()
    for number in range(rounds):
        for place in random.Random(number).sample(range(len(settings)), len(settings)):
            print(
                json.dumps({"place": place, "round": number, **timed(training, settings[place], batches)}), flush=True
            )


def timed(training: Training, setting: Setting, batches: int) -> dict[str, float]:
    """Mean step in ms over so many batches at least after the queue's start, and what the queue's model says for them.

    The model is given when each worker began, what each batch took and its way to the training process.
    """
    ahead = setting.prefetch * setting.workers
    first = 2 * ahead
    count = first + max(1, -(-AHEAD * ahead // batches)) * batches
    samples = Samples(setting, count + ahead)
    stream = training.batches(setting, samples)
    asked, received = np.zeros(count), np.zeros(count)
    for number in range(count):
        asked[number] = time.perf_counter() * 1e3
        batch = next(stream)
        received[number] = time.perf_counter() * 1e3
        training.step(batch, setting)
    measured = count - first
    begun, done = samples.begun_ms.numpy()[:count].copy(), samples.done_ms.numpy()[:count].copy()
    queue = given_ms(setting, begun, done, asked, received)
    return {
        "ms": float(received[-1] - received[first - 1]) / measured,
        "given_ms": float(queue[-1] - queue[first - 1]) / measured,
        "rest_ms": float((asked[first:] - received[first - 1 : -1]).mean()),
        "load_ms": float((done - begun)[first:][done[first:] > 0].mean()),
        "batches": measured,
    }


def given_ms(
    setting: Setting,
    begun: npt.NDArray[np.float64],
    done: npt.NDArray[np.float64],
    asked: npt.NDArray[np.float64],
    received: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """When the model has each batch received, in ms, given when each was begun, done, asked for and received."""
    from llmprof.analyzers.facts.loading.loader_queue import received_ns

    workers = setting.workers
    loads = np.where(done > begun, done - begun, (done - begun)[done > begun].mean())  # some are on order at the end
    late = (done > asked) & (received > done)
    way = float((received - done)[late].mean()) if late.any() and setting.in_order else 0.0
    there = (done > 0) & (done + way <= asked)
    hand_over = float((received - asked)[there].mean()) if there.any() else 0.0
    if setting.in_order:  # else nobody knows which worker made a batch
        ahead = setting.prefetch * workers
        ordered = np.concatenate((np.zeros(ahead), received))[workers : done.size]
        busy = done[:-workers] > ordered
        if busy.any():
            loads[workers:] += (begun[workers:] - done[:-workers])[busy].mean()
        loads[:workers] += begun[:workers] - begun[0]
    rest = float((asked[1:] - received[:-1]).mean())
    found = received_ns(
        loads.tolist(),
        rest,
        workers,
        setting.prefetch,
        hand_over_ns=hand_over,
        arriving_ns=max(0.0, way - hand_over),
        in_order=setting.in_order,
    )
    return np.array(found)


def recorded(setting: Setting, folder: Path, batches: int) -> Path:
    """The run directory of one recorded training run."""
    place = folder / setting.kind
    script = [sys.executable, __file__, "--record", json.dumps(asdict(setting)), "--batches", str(batches)]
    command = [sys.executable, "-m", "llmprof", "run", "--no-report", "-o", str(place), "--", *script]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return place


class Foreteller:
    """What one recording says about the other settings of its kind."""

    def __init__(self, run: Path, setting: Setting) -> None:
        from llmprof.analyzers.facts.measure import measure as measured
        from llmprof.analyzers.replay.feeds import recorded_feed
        from llmprof.collectors.files import load

        facts = measured(load(str(run)))
        loader = facts.critical.loader
        if loader is None or loader.times is None or loader.settings is None:
            raise SystemExit(f"{run}: the recording holds no load times")
        self._recorded = setting
        self.feed = recorded_feed(loader, loader.hand_over_ns or 0.0).usual
        self.load_ns = statistics.mean(self.feed.loads_ns)
        self.step_ns = facts.step.mean_ns
        self.rest_ns = facts.step.mean_ns - (loader.wait_ns or 0.0)
        """What the training process does in a step that never waits for a batch."""

    def step_ms(self, setting: Setting) -> float:
        """The step with another setting."""
        rest = self._rest_ns(setting) + self.feed.hand_over_ns
        own = self.rest_ns + self.feed.hand_over_ns
        running = self.feed.running(self.feed.step_ns(own), own)
        feed = replace(self.feed, workers=setting.workers, prefetch=setting.prefetch, in_order=setting.in_order)
        then = feed.running(feed.step_ns(rest), rest)
        if setting.kind == "launch":  # the others look at the clock
            rest *= max(1.0, feed.beside(then) / feed.beside(running))
        return feed.crowded(running, then).step_ns(rest) / 1e6

    def textbook_ms(self, setting: Setting) -> float:
        """Consumer or workers, whichever is slower, by their means."""
        return max(self._rest_ns(setting), self.load_ns / setting.workers) / 1e6

    def _rest_ns(self, setting: Setting) -> float:
        return self.rest_ns + (setting.consumer_ms - self._recorded.consumer_ms) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=440.0, help="to spend, more or less")
    parser.add_argument("--rounds", type=int, default=20, help="at most, as the time allows")
    parser.add_argument("--kinds", nargs="+", choices=["cpu", "io", "store", "tail", "launch"])
    parser.add_argument("--tiny", action="store_true", help="few settings and batches")
    parser.add_argument("--keep", type=Path, help="folder for the recordings")
    parser.add_argument("--out", type=Path, help="a line of JSON for each setting and the recordings' figures")
    for option, kind in (("--record", str), ("--measure", int), ("--batches", int)):  # for its own processes
        parser.add_argument(option, type=kind, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    if args.record:
        record(Setting(**json.loads(args.record)), args.batches)
    elif args.measure:
        measure(args.measure, args.batches)
    else:
        compare(args)


def compare(args: argparse.Namespace) -> None:
    """Record, foretell, measure and print."""
    begin, cores = time.monotonic(), len(os.sched_getaffinity(0))
    chosen = {
        kind: settings for kind, settings in plans(cores, args.tiny).items() if not args.kinds or kind in args.kinds
    }
    batches = 24 if args.tiny else PERIOD
    lines: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, (first, *_) in chosen.items():
            run = recorded(first, args.keep or Path(folder), 60 if args.tiny else 2 * PERIOD)
            teller = Foreteller(run, first)
            feed = teller.feed
            loads = {"mean_ms": teller.load_ns / 1e6, "cpu_ms": feed.cpu_ns / 1e6, "count": len(feed.loads_ns)}
            text = f"{kind}: step {teller.step_ns / 1e6:.2f} ms, without waiting {teller.rest_ns / 1e6:.2f} ms; to make"
            text += f" {loads['mean_ms']:.1f} ms ({loads['cpu_ms']:.1f} ms of CPU); {feed.cores} cores; {first.name}"
            print(text, flush=True)
            lines.extend(
                {
                    **asdict(setting),
                    "name": setting.name,
                    "recorded": setting == first,
                    "predicted_ms": teller.step_ms(setting),
                    "textbook_ms": teller.textbook_ms(setting),
                    "rest_ms": teller.rest_ns / 1e6,
                    "recorded_ms": teller.step_ns / 1e6,
                    "hand_over_ms": feed.hand_over_ns / 1e6,
                    "arriving_ms": feed.arriving_ns / 1e6,
                    "cores": feed.cores,
                    "loads": loads,
                    "rounds": [],
                }
                for setting in chosen[kind]
            )
            lines[-len(chosen[kind])]["loads_ms"] = [round(value / 1e6, 3) for value in feed.loads_ns]
        end = begin + args.seconds
        for answer in measured_rounds(chosen, args.rounds, batches, end):
            lines[answer.pop("place")]["rounds"].append(answer)
    if args.out:
        args.out.write_text("".join(json.dumps(line) + "\n" for line in lines))
    show(lines)


def measured_rounds(
    chosen: dict[str, list[Setting]], rounds: int, batches: int, end: float
) -> Iterator[dict[str, Any]]:
    """Answers of the process that measures, until it is through or the time is."""
    command = [sys.executable, __file__, "--measure", str(rounds), "--batches", str(batches)]
    settings = [asdict(setting) for kind in chosen.values() for setting in kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        with process.stdin as orders:
            json.dump(settings, orders)
        for line in process.stdout:
            answer = json.loads(line)
            yield answer
            if answer["round"] and time.monotonic() > end:  # every setting has been measured once
                process.terminate()
                return


if __name__ == "__main__":
    main()
