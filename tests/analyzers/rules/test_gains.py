"""Do gains stay within what a fix can remove?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmprof.analyzers.rules.gains import device_gain, gain
from llmprof.units import NS_PER_MS
from tests.analyzers.rules.facts_builder import make_facts

amount = st.floats(min_value=-50, max_value=500).map(lambda value: value * NS_PER_MS)


@given(expected=amount, low=amount, high=amount, most=amount)
def test_a_gain_is_an_interval_within_its_class_and_its_step(
    expected: float, low: float, high: float, most: float
) -> None:
    found = gain(make_facts(100), expected_ns=expected, low_ns=low, high_ns=high, at_most_ns=most)
    assert 0 <= found.low_ms <= found.expected_ms <= found.high_ms <= max(0.0, min(100.0, most / NS_PER_MS))
    assert found.step_ms_after == pytest.approx(100 - found.expected_ms)


@pytest.mark.parametrize(("host_ms", "expected_ms"), [(0.0, 10.0), (10.0, 5.0), (20.0, 0.0), (60.0, 0.0)])
def test_device_work_is_worth_less_the_longer_the_device_waits(host_ms: float, expected_ms: float) -> None:
    ten = 10.0 * NS_PER_MS
    found, reason = device_gain(make_facts(100, host=host_ms), expected_ns=ten, low_ns=0, high_ns=ten, at_most_ns=ten)
    assert found.expected_ms == pytest.approx(expected_ms)
    assert bool(reason) == (expected_ms == 0)
