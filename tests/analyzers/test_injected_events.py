"""Does a rule fire on a recorded run into whose trace its sign was put, at the cost of the time that was put in?

The run was recorded on an H200. In a copy of it one thing takes longer or is there in addition, in every step; what
came later, on the host and on the device, comes later by as much. On the run as it was recorded the rule does not fire.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmprof.analyzers.diagnose import diagnose
from llmprof.analyzers.diagnosis import Diagnosis, Finding
from llmprof.collectors.files import load
from tests.analyzers.test_injected import both, column, copied, node, setting
from tests.scenarios.recordings import recorded

RUN = "host-small-model"
Event = dict[str, Any]
Events = list[Event]
Edit = Callable[[Events], list[tuple[float, Events]]]
"""Changes events, and says at which microsecond (of the recording) time is put in, with events that fill it."""

LOST_US = 6000.0
"""Put into every step of 38 ms."""


def trace(edit: Edit, *, by: float = LOST_US, rank: int = 0) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        file = run / "ranks" / f"r{rank:05d}" / "trace.json.gz"
        document = json.loads(gzip.decompress(file.read_bytes()))
        events = document["traceEvents"]
        # From the last to the first, so that the moments of the recording hold.
        for at, added in sorted(edit(events), key=lambda one: -one[0]):
            delay(events, at, by)
            events.extend(added)
        file.write_bytes(gzip.compress(json.dumps(document).encode(), 1))
        longer(run, rank, round(by * 1000))

    return change


def delay(events: Events, at: float, by: float) -> None:
    for event in events:
        if event.get("ts", 0.0) >= at:
            event["ts"] += by
        elif event.get("ts", 0.0) + event.get("dur", 0.0) > at:
            event["dur"] += by


def longer(run: Path, rank: int, by_ns: int) -> None:
    """Every step, and what comes after it."""
    file = run / "ranks" / f"r{rank:05d}" / "steps.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for place, line in enumerate(lines):
        line["t"] += place * by_ns
        line["wall"] += by_ns
        if "device" in line:
            line["device"] += by_ns
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def first_copies(events: Events) -> Events:
    """The first copy of each step's batch."""
    copies = sorted((one for one in events if "HtoD" in one.get("name", "")), key=lambda one: one["ts"])
    return copies[::2]


def pinned(gb_per_s: float) -> Edit:
    """The first copy of each step comes from pinned memory and takes `LOST_US` longer, at this rate."""

    def edit(events: Events) -> list[tuple[float, Events]]:
        for copy in (one for one in events if "HtoD" in one.get("name", "")):
            copy["name"] = "Memcpy HtoD (Pinned -> Device)"
        moved = first_copies(events)
        for copy in moved:
            copy["args"]["bytes"] = round(LOST_US * gb_per_s * 1e3)
        return [(copy["ts"] + copy["dur"] / 2, []) for copy in moved]

    return edit


def driver_calls(events: Events) -> list[tuple[float, Events]]:
    """A cudaMalloc of `LOST_US` at the end of the first copy's operator of each step, when the device has no work."""
    calls = {one["args"]["correlation"]: one for one in events if one.get("name") == "cudaMemcpyAsync"}
    places = []
    for copy in first_copies(events):
        call = calls[copy["args"]["correlation"]]
        at = copy["ts"] + copy["dur"] + 1.0
        malloc = {**call, "name": "cudaMalloc", "ts": at, "dur": LOST_US, "args": {"cbid": 20}}
        places.append((at, [malloc]))
    return places


def asked(run: Path) -> None:
    """The allocator's count of cudaMalloc rises by one in every step."""
    file = run / "ranks" / "r00000" / "allocator.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps({**line, "device_alloc": 195 + line["n"]}) + "\n" for line in lines))


def small_reductions(events: Events) -> list[tuple[float, Events]]:
    """Sixty numbers reduced one by one behind the first copy of each step, 100 us each."""
    like = next(one for one in events if one.get("cat") == "kernel" and "AllReduce" in one["name"])
    calls = {one["args"]["correlation"]: one for one in events if one.get("name") == "cudaMemcpyAsync"}
    count, free, places = 60, max(calls) + 10_000_000, []
    for copy in first_copies(events):
        call, at = calls[copy["args"]["correlation"]], copy["ts"] + copy["dur"] + 1.0
        added: Events = []
        for number in range(count):
            free, begin = free + 1, at + number * LOST_US / count
            known = {"correlation": free, "External id": 0}
            launch = {"name": "cudaLaunchKernelExC", "ts": begin, "dur": 4.0, "args": {**known, "cbid": 430}}
            added.append({**call, **launch})
            about = {**like["args"], **known, "In msg nelems": 1, "Out msg nelems": 1}
            added.append({**like, "ts": begin + 5.0, "dur": LOST_US / count - 5.0, "args": about})
        places.append((at, added))
    return places


PIECES, LATENCY_US = 256, 40.0


def cut_reductions(events: Events) -> list[tuple[float, Events]]:
    """The last gradient bucket of each step, 268 MB, reduced in pieces of about a megabyte that cost a latency each."""
    steps = [one for one in events if one["name"].startswith("ProfilerStep") and one.get("cat") == "user_annotation"]
    reductions = [one for one in events if one.get("cat") == "kernel" and "AllReduce" in one["name"]]
    launches = {one["args"]["correlation"]: one for one in events if one["name"] == "cuLaunchKernelEx"}
    free, places = max(launches) + 10_000_000, []
    for step in steps:
        last = max((one for one in reductions if one["ts"] < step["ts"] + step["dur"]), key=lambda one: one["ts"])
        end, each = last["ts"] + last["dur"], last["dur"] / PIECES
        launch, elements = launches[last["args"]["correlation"]], last["args"]["In msg nelems"] // PIECES
        last["dur"] = each
        last["args"].update({"In msg nelems": elements, "Out msg nelems": elements})
        added = []
        for number in range(1, PIECES):
            free += 1
            # The first piece has its latency in front of it: what is put in begins where it ends.
            begin = last["ts"] + number * (each + LATENCY_US)
            about = {**last["args"], "correlation": free}
            added.append({**last, "ts": begin, "dur": each + LATENCY_US, "args": about})
            called = {"ts": launch["ts"] + number * 0.01, "args": {**launch["args"], "correlation": free}}
            added.append({**launch, "dur": 0.01, **called})
        places.append((end, added))
    return places


def one_by_one(rank: int) -> Callable[[Path], None]:
    return trace(cut_reductions, by=PIECES * LATENCY_US, rank=rank)


CROWDED = both(
    setting(cpu_count=32, cpu_affinity="0-3", cpu_threads=16),
    column("host.csv", "cpu_percent", lambda row: 390.0),
    column("host.csv", "load_1m", lambda row: 18.0),
)
"""Sixteen threads on four cores, all busy; the step waits for its batch as it was recorded."""
PLANTED: dict[str, tuple[str, Callable[[Path], None], float | None]] = {
    "exposed-input-copy": (RUN, trace(pinned(50.0)), LOST_US),
    "slow-copies": (RUN, both(node(), trace(pinned(10.0))), LOST_US * (1 - 10.0 / (0.87 * 16 * 3.938))),
    "allocator-churn": (RUN, both(asked, trace(driver_calls)), LOST_US),
    "tiny-collectives": ("host-ddp", both(trace(small_reductions), trace(small_reductions, rank=1)), LOST_US),
    "small-ddp-buckets": ("communication-ddp", both(one_by_one(0), one_by_one(1)), PIECES * LATENCY_US),
    "cpu-oversubscription": ("data-in-process", CROWDED, None),
}


def finding(diagnosis: Diagnosis, rule: str) -> Finding:
    return next(one for one in diagnosis.findings if one.rule == rule)


@pytest.mark.parametrize("rule", sorted(PLANTED))
def test_it_fires_with_its_sign_at_its_cost(rule: str, tmp_path: Path) -> None:
    name, change, lost_us = PLANTED[rule]
    run = copied(name, tmp_path)
    assert finding(recorded(name)[0], rule).status != "fired"
    change(run)
    found = finding(diagnose(load(run)), rule)
    assert found.status == "fired", found.summary
    if lost_us is not None:
        assert found.cost_ms == pytest.approx(lost_us / 1000, rel=0.25)
