"""Load times of batches as the workers saw them: with every kind of loader, and without anybody noticing."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler  # noqa: E402
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter  # noqa: E402

from llmprof.collectors.live import injection, loading  # noqa: E402
from llmprof.collectors.live.configuration.loaders import loader_settings  # noqa: E402
from llmprof.timeline import rundir  # noqa: E402
from tests.collectors.live.conftest import Recorded  # noqa: E402
from tests.collectors.live.slow_data import PAUSE_S, Failing, Samples, Stream, Together, fail, stack  # noqa: E402
from tests.collectors.live.training_loops import loader, loss, model, sgd  # noqa: E402

Record = Callable[[Callable[[], None]], Recorded]
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

PAUSE_NS = int(PAUSE_S * 1e9)


def train(batches: Any) -> list[Any]:
    net = model()
    optimizer = sgd(net)
    seen = []
    for batch in batches:
        loss(net, (batch[0] if isinstance(batch, list) else batch).reshape(-1, 8)).backward()
        optimizer.step()
        seen.append(batch)
    return seen


def loads(run: Path) -> dict[str, list[int]]:
    """The columns of all lines, one after the other."""
    found: dict[str, list[int]] = {}
    for line in rundir.read_json_lines(run / "ranks" / "r00000" / rundir.LOADS):
        for name, value in line.items():
            found.setdefault(name, []).extend(value if isinstance(value, list) else [value])
    return found


def forked(dataset: Any, workers: int = 2, **settings: Any) -> DataLoader[Tensor]:
    return DataLoader(dataset, num_workers=workers, multiprocessing_context="fork", **settings)


LOADERS: dict[str, tuple[Callable[[], DataLoader[Tensor]], int, int]] = {
    # name: (how it is made, batches, pauses in each)
    "map": (lambda: forked(Samples(24), batch_size=2), 12, 2),
    "read at once": (lambda: forked(Together(24), batch_size=2), 12, 2),
    "own collate function": (lambda: forked(Samples(24), batch_size=2, collate_fn=stack), 12, 3),
    "a lambda collates": (lambda: forked(Samples(24), batch_size=2, collate_fn=lambda one: torch.stack(one)), 12, 2),
    "iterable": (lambda: forked(Stream(24), batch_size=2), 12, 2),
    "unbatched": (lambda: forked(Samples(12), batch_size=None), 12, 1),
    "unbatched stream": (lambda: forked(Stream(12), batch_size=None), 12, 1),
    "batch sampler": (
        lambda: forked(Samples(24), batch_sampler=BatchSampler(SequentialSampler(range(24)), 2, drop_last=False)),
        12,
        2,
    ),
    "one worker": (lambda: forked(Samples(24), workers=1, batch_size=2), 12, 2),
    "out of order": (lambda: forked(Samples(24), batch_size=2, in_order=False), 12, 2),
}


@pytest.mark.parametrize("kind", LOADERS)
def test_every_batch_is_measured_and_arrives_as_it_is(kind: str, record: Record, tmp_path: Path) -> None:
    make, batches, pauses = LOADERS[kind]
    if kind == "out of order":
        pytest.importorskip("torch", minversion="2.6", reason="in_order came with torch 2.6")
    plain = train(make())
    seen: list[Tensor] = []
    record(lambda: seen.extend(train(make())))
    found = loads(tmp_path)
    assert sum(found["made"]) == len(found["ns"]) == batches
    assert found["lost"] == [0] * len(found["lost"])
    assert min(found["ns"]) >= pauses * PAUSE_NS
    assert max(found["cpu"]) < min(found["ns"])  # they slept
    assert set(found["worker"]) == ({0} if kind == "one worker" else {0, 1})
    assert all(one < two for one, two in zip(found["start"], found["start"][1:], strict=False))
    if kind != "out of order":
        assert all(torch.equal(one, two) for one, two in zip(seen, plain, strict=True))


def busy(samples: list[Tensor]) -> Tensor:
    """Makes a batch, and computes for some milliseconds."""
    until = time.thread_time_ns() + PAUSE_NS
    while time.thread_time_ns() < until:
        pass
    return torch.stack(samples)


ALONE: dict[str, Callable[[], DataLoader[Tensor]]] = {
    "map": lambda: DataLoader(Samples(24), batch_size=2, collate_fn=busy),
    "iterable": lambda: DataLoader(Stream(24), batch_size=2, collate_fn=busy),
}


@pytest.mark.parametrize("kind", ALONE)
def test_a_process_without_workers_tells_what_it_computes_and_what_it_waits(
    kind: str, record: Record, tmp_path: Path
) -> None:
    plain = train(ALONE[kind]())
    seen: list[Tensor] = []
    record(lambda: seen.extend(train(ALONE[kind]())))
    found = loads(tmp_path)
    assert sum(found["made"]) == len(found["ns"]) == 12
    assert set(found["worker"]) == {0}
    assert min(found["ns"]) >= 3 * PAUSE_NS  # two samples and the collating
    waited = [ns - cpu for ns, cpu in zip(found["ns"], found["cpu"], strict=True)]
    assert min(found["cpu"]) >= PAUSE_NS
    assert min(waited) >= 1.5 * PAUSE_NS  # they slept
    assert all(torch.equal(one, two) for one, two in zip(seen, plain, strict=True))


def test_an_error_without_workers_shows_no_frame_of_the_recording(record: Record) -> None:
    def run() -> None:
        train(ALONE["map"]())
        with pytest.raises(KeyError) as raised:
            train(DataLoader(Samples(8), batch_size=2, collate_fn=fail))
        files = [entry.path for entry in raised.traceback]
        assert not any(str(path).endswith("collectors/live/loading.py") for path in files)

    record(run)


@pytest.mark.parametrize(
    ("method", "dataset", "settings"),
    [
        ("spawn", Samples(16), {"persistent_workers": True, "collate_fn": stack}),
        ("forkserver", Stream(16), {"collate_fn": stack}),
    ],
)
def test_workers_that_get_everything_by_pickling(
    method: str, dataset: Any, settings: Any, record: Record, tmp_path: Path
) -> None:
    batches = DataLoader(dataset, batch_size=2, num_workers=1, multiprocessing_context=method, **settings)
    epochs = 2 if "persistent_workers" in settings else 1
    record(lambda: [train(batches) for _ in range(epochs)] and None)
    found = loads(tmp_path)
    assert len(found["ns"]) == 8 * epochs
    assert min(found["ns"]) >= 3 * PAUSE_NS


def test_workers_that_are_kept_are_measured_in_every_epoch(record: Record, tmp_path: Path) -> None:
    batches = forked(Samples(24), batch_size=2, persistent_workers=True)
    record(lambda: [train(batches) for _ in range(3)] and None)
    assert len(loads(tmp_path)["ns"]) == 36


def test_the_loader_looks_untouched(record: Record) -> None:
    batches = forked(Samples(8), batch_size=2, collate_fn=stack)
    before = dict(vars(batches))
    record(lambda: train(batches) and None)
    changed = {name for name, value in vars(batches).items() if before.get(name) is not value}
    assert changed <= {"_iterator"}
    assert batches.collate_fn is stack


@pytest.mark.parametrize("settings", [{"collate_fn": fail}, {}])
def test_an_error_in_a_worker_reads_as_without_recording(settings: Any, record: Record) -> None:
    dataset = Samples(8) if settings else Failing(8)

    def message() -> str:
        batches: Any = iter(forked(dataset, workers=1, batch_size=2, **settings))
        with pytest.raises((ValueError, KeyError)) as caught:
            train(batches)
        batches._shutdown_workers()  # or it waits for what the traceback holds
        return str(caught.value)

    plain = message()
    told: list[str] = []
    record(lambda: train(loader(3)) and told.append(message()))  # type: ignore[func-returns-value]
    assert told == [plain]
    assert "llmprof" not in plain


def test_what_cannot_be_pickled_fails_as_without_recording(record: Record) -> None:
    def message() -> str:
        batches = DataLoader(
            Samples(4), num_workers=1, multiprocessing_context="spawn", collate_fn=lambda samples: samples
        )
        with pytest.raises(Exception, match="pickle") as caught:
            next(iter(batches))
        return str(caught.value)

    plain = re.sub(r"0x\w+", "", message())
    told: list[str] = []
    record(lambda: train(loader(3)) and told.append(re.sub(r"0x\w+", "", message())))  # type: ignore[func-returns-value]
    assert told == [plain]


def test_a_recording_that_ends_leaves_a_running_loader_alone(tmp_path: Path, no_collectors: None) -> None:
    recording = injection.record(lambda: tmp_path, {})
    batches = iter(forked(Samples(24), batch_size=2))
    first = train(next(batches) for _ in range(4))
    recording.stop()
    rest = list(batches)
    assert [int(batch[0, 0]) for batch in first + rest] == list(range(0, 24, 2))


def test_batches_for_evaluation_are_not_written(record: Record, tmp_path: Path) -> None:
    held_out = forked(Samples(24), batch_size=2)

    def run() -> None:
        train(forked(Samples(8), batch_size=2))
        list(held_out)
        train(forked(Samples(8), batch_size=2))

    record(run)
    assert sum(loads(tmp_path)["made"]) == 8


class OwnIterator(_MultiProcessingDataLoaderIter):
    """Somebody else's."""


class OwnLoader(DataLoader[Tensor]):
    """A loader that brings its own iterator."""

    def _get_iterator(self) -> Any:
        return OwnIterator(self)


def test_an_iterator_of_another_class_is_left_alone(record: Record, tmp_path: Path) -> None:
    batches = OwnLoader(Samples(8), batch_size=2, num_workers=1, multiprocessing_context="fork")
    recorded = record(lambda: train(batches) and None)
    assert len(recorded.steps) == 4
    assert not (tmp_path / "ranks" / "r00000" / rundir.LOADS).exists()
    assert loader_settings(batches)["loads_not_measured"] == "it has an iterator of its own (OwnIterator)"


def test_workers_that_could_not_import_it_are_left_alone(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = DataLoader(Samples(4), num_workers=1, multiprocessing_context="spawn")
    root = str(Path(loading.__file__).resolve().parents[3])
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", root) and "site-" not in entry])
    assert not loading._reaches_workers(batches)
    assert loading._reaches_workers(forked(Samples(4)))


def test_workers_that_were_there_before_say_so(record: Record) -> None:
    batches = forked(Samples(16), batch_size=2)
    running = iter(batches)
    record(lambda: train(running) and None)
    assert loader_settings(batches)["loads_not_measured"] == "its workers were started before the recording"


def test_torchdatas_loader(record: Record, tmp_path: Path) -> None:
    stateful = pytest.importorskip("torchdata.stateful_dataloader", reason="torchdata is not installed")
    batches = stateful.StatefulDataLoader(
        Samples(24), batch_size=2, num_workers=2, multiprocessing_context="fork", persistent_workers=True
    )
    states: list[Any] = []

    def run() -> None:
        train(batches)
        states.append(batches.state_dict())
        train(batches)

    recorded = record(run)
    found = loads(tmp_path)
    assert len(found["ns"]) == 24
    assert min(found["ns"]) >= 2 * PAUSE_NS
    assert "llmprof" not in repr(states)
    assert [event["step"] for event in recorded.events if event["kind"] == "epoch"] == [0, 12]


# The ring itself, without workers


def ring_of(batches: int) -> loading.Ring:
    ring = loading.Ring(2)
    ring._row = 1 + loading.COLUMNS * loading.SLOTS  # as in worker 1
    for _ in range(batches):
        ring.begin()
        ring.end()
    return ring


def test_a_full_ring_keeps_the_last_batches() -> None:
    made, found = ring_of(loading.SLOTS + 100).read(1, 0)
    assert (made, len(found)) == (loading.SLOTS + 100, loading.SLOTS - 1)
    assert all(begun <= done for begun, done, _ in found)
    assert [begun for begun, *_ in found] == sorted(begun for begun, *_ in found)


def test_only_what_is_new_is_read() -> None:
    made, found = ring_of(10).read(1, 7)
    assert (made, len(found)) == (10, 3)
    assert ring_of(10).read(0, 0) == (0, [])


def test_outside_a_worker_nothing_is_noted() -> None:
    ring = loading.Ring(1)
    ring.begin()
    ring.end()
    assert ring.read(0, 0) == (0, [])


def test_a_line_is_bounded_and_says_what_was_made() -> None:
    class Iterator:
        _num_workers = 2

    loader, iterator, all_loads = Samples(1), Iterator(), loading.Loads()
    all_loads._watched.append(loading._Watched(ring_of(loading.SLOTS + 100), iterator, loader))
    line = all_loads.line([loading.weakref.ref(loader)], 5)
    assert (line["made"], line["lost"]) == (loading.SLOTS + 100, 101)
    assert 0 < len(line["ns"]) <= loading.AT_A_TIME
    assert {len(line[name]) for name in ("loader", "worker", "start", "ns", "cpu")} == {len(line["ns"])}
    del iterator
    assert all_loads.line([], 0)["made"] == 0
    assert not all_loads
