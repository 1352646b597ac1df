"""A pickle gives data and nothing else: no code is run, and none makes the machine work or take more than its size."""

from __future__ import annotations

import os
import pickle
import struct
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmprof.collectors.files.pickle_data import load_data
from llmprof.errors import LlmprofError, UnreadableError, UnsafePickleError

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=300)
plain = st.recursive(
    scalars | st.tuples(st.integers(0, 9), st.integers(0, 9)),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=40), inner, max_size=5),
    max_leaves=40,
)


@given(plain, st.sampled_from([2, 3, 4, 5]))
@settings(max_examples=200, deadline=None)
def test_plain_data_comes_back_as_it_was(value: Any, protocol: int) -> None:
    assert load_data(pickle.dumps(value, protocol=protocol), "it") == value


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_command_is_not_run(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "was here"
    data = pickle.dumps({"segments": [Evil(mark)]}, protocol=protocol)
    with pytest.raises(UnsafePickleError, match=r"could run code when it is read \((STACK_)?GLOBAL at byte \d+\)"):
        load_data(data, "it")
    assert not mark.exists()


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    "value",
    [
        OrderedDict(a=1),
        Point(1, 2),
        Path("x"),
        {1, 2},
        b"bytes",
        bytearray(b"x"),
        2**80,
        1j,
        ((1, 2), 3),
        {(): 1},
        ("a", "b"),
        len,
        ValueError("x"),
    ],
    ids=repr,
)
def test_what_is_no_plain_data_of_a_snapshot_is_refused(value: Any) -> None:
    with pytest.raises(UnsafePickleError):
        load_data(pickle.dumps({"segments": [value, *range(20)]}), "it")


PROGRAMS = {
    "extension registry": b"\x80\x04\x82\x01.",
    "persistent id": b"\x80\x04K\x01Q.",
    "text protocol": b"(lp0\nI1\na.",
    "duplicates": b"\x80\x04]" + b"2" * 50 + b".",
    "out-of-band buffer": b"\x80\x05\x97." + b"N" * 20,
    "instance": b"\x80\x02(ios\nsystem\n.",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_programs_that_no_pickler_of_a_snapshot_writes_are_refused(program: bytes) -> None:
    with pytest.raises(LlmprofError):
        load_data(program + b"N" * 20, "it")


def test_a_memo_of_four_billion_entries_is_refused_before_it_is_made() -> None:
    """LONG_BINPUT makes the unpickler's table as long as its index."""
    with pytest.raises(UnsafePickleError, match="0x72"):
        load_data(b"\x80\x04]r" + struct.pack("<I", 2**32 - 1) + b"." + b"N" * 20, "it")


def test_empty_containers_that_would_fill_memory_are_refused() -> None:
    with pytest.raises(UnsafePickleError, match="more lists and dicts than its size allows"):
        load_data(b"\x80\x04](" + b"]" * 100_000 + b"e.", "it")


def test_nested_tuples_whose_hash_never_ends_are_refused() -> None:
    doubled = b"K\x01\x85\x94" + b"".join(b"h" + bytes([n]) * 2 + b"\x86\x94" for n in range(60))
    with pytest.raises(UnsafePickleError):
        load_data(b"\x80\x04}(" + doubled + b"Nu." + b"N" * 20, "it")


def test_ten_references_to_one_list_cost_one_list() -> None:
    """Thirty lists, each ten times the one before: 10**30 leaves in a kilobyte, which nothing walks over."""
    value: list[Any] = []
    for _ in range(30):
        value = [value] * 10
    assert len(load_data(pickle.dumps(value), "it")) == 10


def test_a_list_that_holds_itself_is_only_data() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    found = load_data(pickle.dumps(cycle), "it")
    assert found[0] is found


def test_deep_nesting_is_read_without_recursion() -> None:
    levels = 50_000
    data = b"\x80\x04" + b"](NNNNNNNNNN" * levels + b"e" * levels + b"."
    found = load_data(data, "it")
    assert len(found) == 11
    while found is not None:  # taken apart level by level, so that its end needs no recursion either
        found = found[-1] if isinstance(found[-1], list) else None


@given(st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_a_cut_anywhere_is_one_error(cut: int) -> None:
    data = pickle.dumps({"segments": [{"blocks": [{"size": n, "state": "x" * n} for n in range(200)]}]})
    with pytest.raises((UnreadableError, UnsafePickleError)):
        load_data(data[: cut % len(data)], "it")


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_noise_is_an_error_of_ours_or_data(noise: bytes) -> None:
    try:
        load_data(b"\x80\x04" + noise, "it")
    except LlmprofError as error:
        assert "\n" not in str(error)
