"""Do figures read the same everywhere, with three digits at most, and never as more than is known?"""

from __future__ import annotations

import pytest

from llmprof.units import format_ms, format_ms_within, format_ns, format_percent


@pytest.mark.parametrize(
    ("value", "shown"),
    [(9.994, "9.99 ms"), (9.996, "10.0 ms"), (99.94, "99.9 ms"), (99.96, "100 ms"), (12_340.0, "12.3 s")],
)
def test_a_time_that_is_rounded_up_gets_no_fourth_digit(value: float, shown: str) -> None:
    assert format_ms(value) == shown


def test_one_time_reads_the_same_in_nanoseconds_and_milliseconds() -> None:
    assert [format_ns(ns) for ns in (830, 12_400, 99_940, 99_960, 649_700)] == [
        "830 ns", "12.4 µs", "99.9 µs", "0.10 ms", "0.65 ms",
    ]  # fmt: skip
    assert format_ns(649_700) == format_ms(0.6497)


@pytest.mark.parametrize(("share", "shown"), [(0.0994, "9.9 %"), (0.0996, "10 %"), (0.0, "0 %"), (1.0, "100 %")])
def test_a_share_that_is_rounded_up_gets_no_third_digit(share: float, shown: str) -> None:
    assert format_percent(share) == shown


@pytest.mark.parametrize(
    ("figures", "shown"),
    [
        ((12.4, 8.1, 15.0), "12.4 ms (8.10-15.0)"),
        ((12.4, 0.0, 15.0), "12.4 ms (0-15.0)"),
        ((12.4, -1.0, 15.0), "12.4 ms (-1.00 ms to 15.0)"),
        ((8.0, 8.0, 8.0), "8.00 ms"),
        ((0.0, 0.0, 0.0), "0.00 ms"),
        ((9900.0, 9000.0, 12_000.0), "9900 ms (9000 ms to 12.0 s)"),
        ((23_000.0, 21_900.0, 24_200.0), "23.0 s (21.9-24.2)"),
    ],
)
def test_a_figure_with_its_interval(figures: tuple[float, float, float], shown: str) -> None:
    assert format_ms_within(*figures) == shown
