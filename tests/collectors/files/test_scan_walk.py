"""The scanner finds exactly what the plain reader finds, in any layout, however the work is divided, and not less in
damaged files."""

from __future__ import annotations

import functools
import gzip
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

from llmprof.collectors.files import limits, scan_walk, scan_window
from llmprof.errors import LlmprofError, UnreadableError
from llmprof.timeline.events import Kind
from llmprof.timeline.timeline import RankTimeline
from tests.collectors.files.comparing import differences, read_with
from tests.scenarios.builder import TraceBuilder
from tests.scenarios.files import events_of, kernel_of, small, written

SMALL_BLOCK = 1 << 14


@pytest.fixture
def patch() -> Any:
    with pytest.MonkeyPatch.context() as context:
        yield context


def scanned(path: Path, patch: pytest.MonkeyPatch, *, guess: bool = True) -> RankTimeline:
    return read_with(path, patch, limit=0, guess=guess)


def plain(path: Path, patch: pytest.MonkeyPatch) -> RankTimeline:
    return read_with(path, patch, limit=None)


def test_every_recording_is_read_the_same(recordings: Path, patch: pytest.MonkeyPatch) -> None:
    paths = sorted((recordings / "kineto_public").glob("*.json.gz")) + sorted((recordings / "h200").glob("*.json.gz"))
    assert paths
    for path in paths[::2]:
        expected = plain(path, patch)
        assert differences(scanned(path, patch), expected) == [], path
    for path in paths[1::2]:
        expected = plain(path, patch)
        assert differences(scanned(path, patch, guess=False), expected) == [], path


def reversed_keys(document: dict[str, Any]) -> dict[str, Any]:
    events = [dict(reversed(list(event.items()))) for event in document["traceEvents"]]
    return {"traceEvents": events, **{key: value for key, value in document.items() if key != "traceEvents"}}


LAYOUTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "minified": lambda document: json.dumps(document, separators=(",", ":")),
    "pretty, keys sorted": lambda document: json.dumps(document, indent=4, sort_keys=True),
    "events first, a BOM": lambda document: "\ufeff" + json.dumps(reversed_keys(document), ensure_ascii=False),
    "bare list": lambda document: json.dumps(document["traceEvents"]),
    "blanks": lambda document: json.dumps(document, separators=(" ,\t", "\r\n : ")),
}


@functools.cache
def document_of(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return document


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("guess", [True, False])
def test_any_layout_in_small_blocks(
    recordings: Path, tmp_path: Path, patch: pytest.MonkeyPatch, layout: str, guess: bool
) -> None:
    document = document_of(recordings / "kineto_public" / "hta_cuda_event_sync_multi_stream.json.gz")
    path = tmp_path / "t.json"
    path.write_text(LAYOUTS[layout](document), encoding="utf-8")
    expected = plain(path, patch)
    patch.setattr(scan_window, "BLOCK_BYTES", SMALL_BLOCK)
    assert differences(scanned(path, patch, guess=guess), expected) == []


def test_objects_inside_arguments_are_no_events(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    b = TraceBuilder()
    for index in range(3000):
        b.op(f"op {index % 7}", index, 5)

    def nest(document: dict[str, Any]) -> None:
        for event in document["traceEvents"]:
            event["args"]["inner"] = [{"ph": "X", "name": "no event"}] * 40

    path = written(tmp_path / "t.json", nest, b)
    expected = plain(path, patch)
    patch.setattr(scan_window, "BLOCK_BYTES", 1 << 20)
    walks: list[bool] = []
    walk = scan_walk.ScanWalk
    patch.setattr(scan_walk, "ScanWalk", lambda stream, guess: walks.append(guess) or walk(stream, guess=guess))
    from llmprof.collectors.files.kineto import parse_kineto

    patch.setattr("llmprof.collectors.files.kineto.plain_limit", lambda: 0)
    patch.setattr("llmprof.collectors.files.kineto.TraceCache.load", lambda self: None)
    assert differences(parse_kineto(path).timeline(0), expected) == []
    assert walks == [True, False]  # the cut lay inside an argument, which was noticed


NUMBER = st.one_of(
    st.integers(-(10**16), 10**16).map(str),
    st.decimals(-(10**12), 10**12, places=3).map(str),
    st.decimals(-(10**9), 10**9, places=7).map(lambda value: f"{value:f}"),
    st.floats(-1e12, 1e12).map(repr),
    st.sampled_from(["0", "-0.0005", "0.0005", "0.0015", "1e3", "1.5E-2", "9007199254740993.001", '"12.5"', "null"]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=30))
def test_every_time_is_read_as_the_plain_reader_does(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "numbers.json"
    events = [f'{{"ph":"X","cat":"cpu_op","name":"a","pid":1,"tid":1,"ts":{ts},"dur":{dur}}}' for ts, dur in numbers]
    path.write_text("[" + ",".join(['{"ph":"X","cat":"kernel","name":"k","ts":1,"dur":1}', *events]) + "]")
    with pytest.MonkeyPatch.context() as patch:
        try:
            expected = plain(path, patch)
        except UnreadableError as error:  # no row can be true
            with pytest.raises(UnreadableError, match=re.escape(str(error))):
                scanned(path, patch)
        else:
            assert differences(scanned(path, patch), expected) == []


def test_times_are_the_decimals_of_the_file(recordings: Path, patch: pytest.MonkeyPatch) -> None:
    path = recordings / "kineto_public" / "tracelens_b200_vllm.json.gz"
    document = json.loads(gzip.decompress(path.read_bytes()), parse_float=Decimal)
    base = document.get("baseTimeNanoseconds", 0)
    kernels = [event for event in document["traceEvents"] if event.get("cat") == "kernel" and event["ph"] == "X"]
    truth = sorted((base + int(Decimal(e["ts"]) * 1000), int(Decimal(e["dur"]) * 1000)) for e in kernels)
    rank = scanned(path, patch)
    events = events_of(rank)
    rows = events.rows(Kind.KERNEL)
    found = zip((rank.origin_ns + events.ts[rows]).tolist(), events.dur[rows].tolist(), strict=True)
    assert sorted(found) == truth


def test_tables_grow(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    events = [
        {"ph": "X", "cat": "cpu_op", "name": f"op {i}" + "x" * (300_000 if i == 7 else 0), "pid": f"p{i % 5000}",
         "tid": i % 6000, "ts": i, "dur": 1, "args": {"Input Dims": [[i]], "Input type": ["float"]}}
        for i in range(20_000)
    ]  # fmt: skip
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"traceEvents": events}))
    assert differences(scanned(path, patch), plain(path, patch)) == []


VALUES = [
    '"5"', '" 5"', '"1_0"', '"x"', '"99999999999999999999"', "99999999999999999999", "9223372036854775807", "-5", "1.5",
    "-1e3", "null", "true", "[1]", '{"a":[1,"}"]}', '"\\u0035"', "-0", '""',
]  # fmt: skip


@pytest.mark.parametrize("key", ["correlation", "External id", "external id", "device", "stream", "bytes"])
@pytest.mark.parametrize("category", ["kernel", "gpu_memcpy", "cuda_sync", "cpu_op"])
def test_arguments_of_any_type(tmp_path: Path, patch: pytest.MonkeyPatch, key: str, category: str) -> None:
    path = tmp_path / "t.json"
    events = [
        f'{{"ph":"X","cat":"{category}","name":"n","pid":{value},"tid":{value},"ts":1,"dur":1,"args":{{"{key}":{value}}}}}'
        for value in VALUES
    ]
    path.write_text("[" + ",\n".join(events) + "]")
    assert differences(scanned(path, patch), plain(path, patch)) == []


PIECES = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\0" * 8, b"nan", b"NaN", b"-", b".", b"1e5", b"\xff", b"\x01",
    b'"ph"', b'},\n  {\n "ph": ', b"null", b'"name"', b"9" * 25, b'"ts": ', b"\\u12",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_damage_costs_the_scanner_no_more_than_the_plain_reader(
    recordings: Path, tmp_path: Path, patch: pytest.MonkeyPatch, seed: int
) -> None:
    source = random.Random(seed)
    content = bytearray(gzip.decompress((recordings / "kineto_public" / "hta_simple_add.json.gz").read_bytes()))
    for _ in range(source.randint(1, 6)):
        at = source.randrange(len(content))
        content[at : at + source.choice([0, 1, 2, 5, 30, 300])] = source.choice(PIECES)
    if source.random() < 0.2:
        del content[source.randrange(len(content)) :]
    path = tmp_path / "t.json"
    path.write_bytes(content)
    expected = rows_of(path, lambda: plain(path, patch))
    patch.setattr(scan_window, "BLOCK_BYTES", SMALL_BLOCK)
    found = rows_of(path, lambda: scanned(path, patch, guess=False))
    assert not expected - found


def rows_of(path: Path, read: Callable[[], RankTimeline]) -> Counter[tuple[int, ...]]:
    """Start, length and kind of each row; nothing of a file that is refused with a clear error."""
    try:
        rank = read()
    except LlmprofError as error:
        assert str(path) in str(error)
        return Counter()
    events = events_of(rank)
    return Counter(zip((events.ts + rank.origin_ns).tolist(), events.dur.tolist(), events.kind.tolist(), strict=True))


def test_one_endless_item_costs_itself(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    def lengthen(document: dict[str, Any]) -> None:
        kernel_of(document)["args"]["text"] = "x" * (3 << 20)
        document["traceEvents"].insert(1, {"ph": "X", "cat": "kernel", "name": "deep", "args": {"a": 0}})

    path = written(tmp_path / "t.json", lengthen)
    text = path.read_text().replace('{"a": 0}', '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}")
    path.write_text(text)
    patch.setattr(scan_window, "BLOCK_BYTES", 1 << 16)
    patch.setattr(limits, "LONGEST_ITEM", 1 << 20)
    rank = scanned(path, patch, guess=False)
    events = events_of(rank)
    assert [events.named(row) for row in events.rows(Kind.KERNEL)] == ["from before"]
    assert rank.quality.dropped_events == 2  # the endless one; the deep one, which has no start
    assert not rank.quality.truncated


def test_a_value_beside_the_list_that_is_too_long_is_left_out(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    document = json.loads(small().write_kineto(tmp_path / "t.json", rank=3).read_text())
    document = {"stackFrames": "x" * (1 << 20), **document}
    path = tmp_path / "t.json"
    path.write_text(json.dumps(document))
    patch.setattr(scan_window, "BLOCK_BYTES", 1 << 16)
    patch.setattr(limits, "LONGEST_VALUE", 1 << 18)
    rank = scanned(path, patch, guess=False)
    assert len(events_of(rank)) == 6
    assert rank.quality.dropped_events == 1
