"""Hostile text becomes visible text, and figures read in their unit."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmprof.reports.text import clip, quantity, short_unit, visible

EVERY_CHARACTER = st.text(st.characters())  # surrogates included


@given(EVERY_CHARACTER)
def test_visible_text_holds_no_control_and_can_be_written_as_utf8(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert {unicodedata.category(char) for char in shown}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})


def test_a_direction_override_is_spelled_out() -> None:
    assert visible("a\u202eb") == "a\\u202eb"


def test_an_escape_sequence_is_spelled_out() -> None:
    assert visible("\x1b[31m") == "\\u001b[31m"


def test_plain_text_and_umlauts_stay() -> None:
    assert visible("Größe µs 训练") == "Größe µs 训练"


def test_line_ends_are_kept_only_on_request() -> None:
    assert (visible("a\r\nb"), visible("a\nb", newlines=True)) == ("a b", "a\nb")


@given(EVERY_CHARACTER, st.integers(3, 50))
def test_clipped_text_is_never_longer_than_asked(text: str, limit: int) -> None:
    assert len(clip(text, limit)) <= limit


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.454, "share", "45 %"),
        (0.454, "of the step", "45 % of the step"),
        (38.41, "ms per step", "38.4 ms per step"),
        (2800.0, "ns", "2.8 µs"),
        (1024**3, "bytes", "1.0 GiB"),
        (12.0, "%", "12 %"),
        (2214, "kernels", "2,214 kernels"),
        (3341.7, "batches per second", "3,342 batches per second"),
        (0.0028, "ms per step", "2.8 µs per step"),
        (0.0, "ms per step", "0.00 ms per step"),
        (0.5, "", "0.5"),
        ("bf16", "", "bf16"),
        (None, "ms", "unknown"),
        (float("nan"), "ms", "unknown"),
    ],
)
def test_a_figure_reads_in_its_unit(value: float | str | None, unit: str, shown: str) -> None:
    assert quantity(value, unit) == shown


def test_a_threshold_does_not_repeat_what_its_figure_says() -> None:
    assert [short_unit(unit) for unit in ("of the step", "ms per step", "GB/s")] == ["share", "ms", "GB/s"]
