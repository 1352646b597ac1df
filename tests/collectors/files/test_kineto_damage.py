"""Damaged traces: one event costs one event, a cut file its rest, a useless file one clear sentence."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmprof.collectors.files import limits, streams
from llmprof.collectors.files.kineto import read_kineto
from llmprof.errors import InputError, LlmprofError, NotFoundError, UnknownFormatError, UnreadableError
from llmprof.timeline.events import Kind
from tests.scenarios.builder import TraceBuilder
from tests.scenarios.files import events_of, kernel_of, small, written

pytestmark = pytest.mark.usefixtures("reader")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("dur", -50, "a negative duration"),
        ("dur", None, "no readable duration"),
        ("dur", float("nan"), "no readable duration"),
        ("dur", float("inf"), "no readable duration"),
        ("dur", "soon", "no readable duration"),
        ("dur", 10**30, "no readable duration"),
        ("dur", 9.2e12, "an impossible start or duration"),
        ("ts", None, "no readable start"),
        ("ts", [1], "no readable start"),
        ("ts", 9.2e12, "an impossible start or duration"),
    ],
)
def test_an_event_that_cannot_be_true_is_left_out(tmp_path: Path, field: str, value: object, reason: str) -> None:
    rank = read_kineto(written(tmp_path / "t.json", lambda document: kernel_of(document).update({field: value})))
    events = events_of(rank)
    assert [events.named(row) for row in events.rows(Kind.KERNEL)] == ["from before"]
    assert rank.quality.dropped_events == 1
    assert rank.quality.warnings == (f"t.json: left out 1 event with {reason}.",)


def test_a_missing_duration_drops_the_event_only(tmp_path: Path) -> None:
    rank = read_kineto(written(tmp_path / "t.json", lambda document: kernel_of(document).pop("dur")))
    assert (rank.quality.dropped_events, len(events_of(rank))) == (1, 5)


def test_values_of_the_wrong_type_are_no_error(tmp_path: Path) -> None:
    def confuse(document: dict[str, Any]) -> None:
        document.update(distributedInfo=[1], deviceProperties={"id": 0}, baseTimeNanoseconds="x", schemaVersion=None)
        document["traceEvents"] += [None, 5, "text", [], {}, {"ph": "X"}, {"ph": ["X"]}, {"ph": "X", "cat": ["kernel"]}]
        kernel_of(document)["args"] = {"correlation": "x", "stream": [], "device": {}, "External id": 1.5}
        for event in document["traceEvents"]:
            if isinstance(event, dict) and event.get("cat") == "cpu_op":
                event["args"] = {"Input Dims": "x", "Input type": 3, "Collective name": 4}
                event["name"] = 17

    rank = read_kineto(written(tmp_path / "t.json", confuse))
    assert rank.quality.dropped_events == 4
    assert rank.environment.world_size is None
    assert len(events_of(rank)) == 6


def test_names_can_be_written_anywhere(tmp_path: Path) -> None:
    path = small().write_kineto(tmp_path / "t.json")
    path.write_text(path.read_text().replace("gemm", r"\ud800 \u001b[31m µ"))
    names = events_of(read_kineto(path)).strings.names
    assert "? \ufffd[31m µ" in names
    "".join(names).encode()


def test_a_cut_file_keeps_the_events_before_the_cut(tmp_path: Path) -> None:
    path = small().write_kineto(tmp_path / "t.json")
    text = path.read_text()
    path.write_text(text[: text.index('"gemm"') + 40])
    rank = read_kineto(path)
    assert len(events_of(rank)) == 4
    assert rank.quality.truncated
    assert "cut short; 4 events over 1.00 ms kept" in rank.quality.warnings[0]


def test_a_file_cut_after_its_events_loses_no_event(tmp_path: Path) -> None:
    path = small().write_kineto(tmp_path / "t.json")
    text = path.read_text()
    path.write_text(text[: text.rindex("]") + 1])
    rank = read_kineto(path)
    assert (len(events_of(rank)), rank.quality.truncated) == (6, True)
    assert "after its last event" in rank.quality.warnings[0]


def many() -> TraceBuilder:
    """Enough rows, of enough variety, that half of the gzip data holds some."""
    b = TraceBuilder()
    random = np.random.default_rng(0)
    for index, start in enumerate(random.integers(0, 10**9, 3000).tolist()):
        b.op(f"op {index}", start, index)
    return b


def test_a_cut_gzip_keeps_the_events_before_the_cut(tmp_path: Path) -> None:
    path = many().write_kineto(tmp_path / "t.json.gz")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    rank = read_kineto(path)
    assert 500 < len(events_of(rank)) < 3000
    assert rank.quality.truncated
    assert "gzip data ends early" in rank.quality.warnings[0]


def test_damaged_gzip_keeps_the_events_before_the_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BLOCK_BYTES", 4096)
    path = many().write_kineto(tmp_path / "t.json.gz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = os.urandom(len(data) - len(data) // 2)
    path.write_bytes(data)
    rank = read_kineto(path)
    assert 500 < len(events_of(rank)) < 3000
    assert rank.quality.truncated


def test_gzip_of_several_members_and_bytes_behind_it(tmp_path: Path) -> None:
    plain = small().write_kineto(tmp_path / "t.json").read_bytes()
    path = tmp_path / "t.json.gz"
    path.write_bytes(gzip.compress(plain[:100]) + gzip.compress(plain[100:]) + b"garbage")
    rank = read_kineto(path)
    assert len(events_of(rank)) == 6
    assert rank.quality.warnings == ("t.json.gz: bytes after the end of the gzip data are ignored.",)
    path.write_bytes(gzip.compress(plain) + b"\x00" * 512)
    assert read_kineto(path).quality.warnings == ()


UNUSABLE: dict[str, tuple[bytes, type[LlmprofError], str]] = {
    "nothing": (b"", UnreadableError, "is empty"),
    "blanks": (b" \n", UnreadableError, "is empty"),
    "gzip of nothing": (gzip.compress(b""), UnreadableError, "is empty inside"),
    "gzip header": (gzip.compress(b"[]")[:10], UnreadableError, "cannot be unpacked: its gzip data ends early"),
    "gzip garbage": (b"\x1f\x8bnonsense", UnreadableError, "cannot be unpacked: its gzip data is damaged"),
    "program": (b"\x7fELF\x02\x01\x00", UnknownFormatError, "is no JSON"),
    "database": (b"SQLite format 3\x00rest", UnknownFormatError, "SQLite"),
    "tar.gz": (gzip.compress(b"ustar"), UnknownFormatError, "is no JSON inside its gzip wrapping"),
    "words": (b"{nonsense", UnreadableError, "is not valid JSON"),
    "cut before the events": (b'{"schemaVersion": 1, "devic', UnreadableError, "is not valid JSON"),
    "other JSON": (b'{"a": 1}', UnknownFormatError, "holds no traceEvents list"),
    "a number for events": (b'{"traceEvents": 5}', UnknownFormatError, "holds no traceEvents list"),
    "list of numbers": (b"[1, 2, 3]", UnknownFormatError, "holds no traceEvents list"),
    "list of other records": (b'[{"a": 1}]', UnknownFormatError, "holds no traceEvents list"),
    "no events": (b'{"traceEvents": []}', UnreadableError, "holds no timed events"),
    "metadata only": (b'{"traceEvents": [{"ph": "M", "name": "thread_name"}]}', UnreadableError, "no timed events"),
    "cut in the first event": (b'{"traceEvents": [{"ph": "X", "cat": "k', UnreadableError, "is cut short before"),
    "no event readable": (
        b'{"traceEvents": [{"ph":"X","cat":"kernel","ts":1,"dur":-1}]}',
        UnreadableError,
        "none of its events",
    ),
    "no event possible": (
        b'{"traceEvents": [{"ph":"X","cat":"kernel","ts":1,"dur":9e14}]}',
        UnreadableError,
        "possible start",
    ),
    "deep nesting": (b"[" * 200_000, UnreadableError, "is cut short before"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path: Path, case: str) -> None:
    content, error, message = UNUSABLE[case]
    path = tmp_path / "t.json"
    path.write_bytes(content)
    with pytest.raises(error) as caught:
        read_kineto(path)
    text = str(caught.value)
    assert message in text
    assert str(path) in text
    assert "\n" not in text


def test_missing_file_folder_and_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        read_kineto(tmp_path / "none.json")
    with pytest.raises(InputError, match="not a regular file"):
        read_kineto(tmp_path)


def test_a_gzip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INFLATED_BYTES", 1 << 20)
    path = tmp_path / "t.json.gz"
    path.write_bytes(gzip.compress(b"[" + b" " * (8 << 20)))
    with pytest.raises(UnreadableError, match="inflates to more than"):
        read_kineto(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_gives_a_timeline_or_a_clear_error(tmp_path: Path, data: st.DataObject) -> None:
    path = small().write_kineto(tmp_path / "t.json")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=6))
    path.write_bytes(content)
    try:
        events = events_of(read_kineto(path))
    except InputError as error:
        assert str(path) in str(error)
    else:
        assert len(events) > 0
        assert (events.dur >= 0).all()


def test_the_quality_record_says_what_is_missing(tmp_path: Path) -> None:
    quality = read_kineto(small().write_kineto(tmp_path / "t.json")).quality
    assert (quality.has_flows, quality.marked_steps, quality.collective_arguments_share) == (False, 2, None)
    assert (quality.clock_quantum_ns, quality.overlapping_rows, quality.repaired_events) == (1_000, 0, 0)

    def enrich(document: dict[str, Any]) -> None:
        flow = {"ph": "s", "id": 1, "name": "ac2g", "ts": 1, "pid": 1, "tid": 1}
        document["traceEvents"] += [{**flow, "cat": "fwdbwd"}, {**flow, "cat": ["ac2g"]}]
        document["traceEvents"].append({**flow, "cat": "async_cpu_to_gpu"})

    assert read_kineto(written(tmp_path / "t.json", enrich)).quality.has_flows
