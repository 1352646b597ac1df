"""Every kind of damage that traces are known to have: what it costs, and that both readers agree about it."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from llmprof.timeline.timeline import RankTimeline
from tests.collectors.files.comparing import differences, read_with
from tests.scenarios.files import events_of, small

ROWS = 6
"""Of a whole file: two steps, an operator, a launch and its kernel, a kernel without a launch."""


@dataclass(frozen=True)
class Case:
    """What is done to the bytes of a trace, and what is left of it."""

    damage: Callable[[bytes], bytes]
    lost: int = 0
    """Rows that are missing."""
    dropped: int | None = None
    """Events that are counted as left out; as many as are lost unless said otherwise."""
    repaired: int = 0
    truncated: bool = False
    note: str = ""
    """Part of what is told."""


def swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """The first occurrence replaced."""

    def damage(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return damage


def named(name: bytes) -> Callable[[bytes], bytes]:
    return swap(b'"gemm"', name)


def argument(text: bytes) -> Callable[[bytes], bytes]:
    """One argument more in the first event that has a correlation."""
    return swap(b'"correlation": 101', text + b', "correlation": 101')


def lasting(text: bytes) -> Callable[[bytes], bytes]:
    return swap(b'"dur": 300.0', b'"dur": ' + text)


def behind(text: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data + text


WORDS = ("nan", "-nan", "inf", "-inf", "+inf", "nan(ind)", "-nan(ind)", "N/A", "1.#IND", "-1.#INF")
"""What programs write for numbers that are none; JSON knows no word for them, Python's reader three."""
CUT = '"ts": 40.0'

CASES: dict[str, Case] = {
    "nothing": Case(lambda data: data),
    "BOM": Case(lambda data: b"\xef\xbb\xbf" + data),
    "invalid UTF-8 in a name": Case(named(b'"ge\xff\xfemm"'), note="not valid UTF-8"),
    "Latin-1": Case(named("gé".join('""').encode("latin-1")), note="not valid UTF-8"),
    **{f"control character {code}": Case(named(b'"ge%cmm"' % code)) for code in (0, 1, 8, 9, 10, 13, 27, 31, 127)},
    "lone surrogate": Case(named(rb'"\ud800"')),
    "Windows path": Case(named(rb'"C:\Users\new\x"'), repaired=1),
    "Windows path in an argument": Case(argument(rb'"file": "D:\a\_work\k.cu"'), repaired=1),
    "Windows path that ends in a backslash": Case(named(b'"C:\\Users\\"'), lost=1),
    "quotes in a name": Case(named(b'"torch_dynamo_"resume"_in <"frozen">"'), repaired=1),
    **{f"argument {word}": Case(argument(f'"x": {word}'.encode()), repaired=1) for word in WORDS},
    **{f"argument {word}": Case(argument(f'"x": {word}'.encode())) for word in ("NaN", "Infinity", "-Infinity")},
    **{f"duration {word}": Case(lasting(word.encode()), lost=1, repaired=1) for word in WORDS},
    **{f"duration {word}": Case(lasting(word.encode()), lost=1) for word in ("NaN", "Infinity", "-Infinity", "null")},
    "duration that is a word": Case(lasting(b'"soon"'), lost=1, note="no readable duration"),
    "duration in hexadecimal": Case(lasting(b"0x12"), lost=1),
    "duration with a leading zero": Case(lasting(b"0300"), lost=1),
    "duration with an exponent": Case(lasting(b"3e2")),
    "duration in quotes": Case(lasting(b'"300.0"')),
    "negative duration": Case(lasting(b"-1"), lost=1, note="a negative duration"),
    "impossible duration": Case(lasting(b"9.2e12"), lost=1, note="an impossible start or duration"),
    "trailing comma in arguments": Case(swap(b'"correlation": 101}', b'"correlation": 101,}'), repaired=1),
    "trailing comma in an event": Case(swap(b"}}, {", b"},}, {"), repaired=1),
    "trailing comma in the list": Case(swap(b"}}]", b"}},]")),
    "two commas": Case(swap(b"}}, {", b"}},, {")),
    "no comma between events": Case(swap(b"}}, {", b"}} {")),
    "a name twice, the last one counts": Case(swap(b'"name": "gemm"', b'"name": "old", "name": "gemm"')),
    "arguments twice": Case(
        swap(b'"args": {"correlation": 101', b'"args": {"correlation": 7}, "args": {"correlation": 101')
    ),
    "the list twice": Case(swap(b'"traceEvents"', b'"traceEvents": [], "traceEvents"')),
    **{f"integer of {n} digits": Case(argument(b'"x": ' + b"9" * n)) for n in (19, 20, 40, 400)},
    "integer of 5000 digits": Case(swap(b'"correlation": 101', b'"correlation": ' + b"9" * 5000), lost=1),
    "start of 25 digits": Case(swap(CUT.encode(), b'"ts": ' + b"9" * 25), lost=1),
    "ids as strings": Case(lambda data: data.replace(b'"correlation": 101', b'"correlation": "101"')),
    "process and thread as words": Case(lambda data: data.replace(b'"pid": 4711', b'"pid": "trainer"')),
    "negative thread": Case(lambda data: data.replace(b'"tid": 1,', b'"tid": -1234,')),
    "NUL block for a name": Case(named(b"\0" * 4096), lost=1),
    "NUL block between events": Case(swap(b"}}, {", b"}}," + b"\0" * 4096 + b" {"), lost=1),
    "NUL block at the end": Case(behind(b"\0" * 4096)),
    "garbage at the end": Case(behind(b"garbage"), note="what follows the end of the document is ignored"),
    "a second document": Case(lambda data: data + data, note="what follows the end of the document is ignored"),
    "a comment": Case(swap(b"}}, {", b"}}, // hm\n {"), lost=1),
    "name in single quotes": Case(named(b"'gemm'"), lost=1),
    "no closing quote": Case(named(b'"gemm'), lost=1),
    "no closing brace": Case(swap(b"}}, {", b"}, {"), lost=1),
    "no colon": Case(swap(b'"dur": 300.0', b'"dur" 300.0'), lost=1),
    "no name": Case(swap(b'"name": "gemm", ', b"")),
    "a list for a name": Case(named(b'["gemm"]')),
    "something else among the events": Case(swap(b"}}, {", b'}}, [[{}]], 5, "x", null, {'), dropped=4),
    "cut inside an event": Case(lambda data: data[: data.index(CUT.encode()) + 8], lost=2, dropped=0, truncated=True),
    "cut inside an escape": Case(
        lambda data: data[: data.index(b"gemm")] + b"\\u00", lost=2, dropped=0, truncated=True
    ),
    "cut behind a comma": Case(
        lambda data: data[: data.index(b'{"ph": "X", "cat": "kernel"')],
        lost=2,
        dropped=0,
        truncated=True,
        note="cut short",
    ),
    "cut behind the events": Case(
        lambda data: data[: data.rindex(b"]") + 1], truncated=True, note="after its last event"
    ),
}


def both(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RankTimeline, RankTimeline]:
    pytest.importorskip("llvmlite")
    return read_with(path, monkeypatch, limit=None), read_with(path, monkeypatch, limit=0)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_the_damage_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, suffix: str) -> None:
    case = CASES[name]
    data = case.damage(small().write_kineto(tmp_path / "whole.json").read_bytes())
    path = tmp_path / f"t.json{suffix}"
    path.write_bytes(gzip.compress(data) if suffix else data)
    plain, scanned = both(path, monkeypatch)
    assert differences(scanned, plain) == []
    quality = plain.quality
    found = (ROWS - len(events_of(plain)), quality.dropped_events, quality.repaired_events, quality.truncated)
    assert found == (case.lost, case.lost if case.dropped is None else case.dropped, case.repaired, case.truncated)
    told = " ".join(quality.warnings)
    assert case.note in told
    assert bool(told) == bool(case.note or case.truncated or case.repaired or quality.dropped_events)
