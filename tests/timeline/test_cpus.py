"""Sets of CPUs in the kernel's list format, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmprof.timeline.cpus import cpu_list, cpu_set


@pytest.mark.parametrize(
    ("cpus", "text"), [(set(), ""), ({3}, "3"), ({0, 1, 2}, "0-2"), ({5, 0, 1, 7, 6, 32}, "0-1,5-7,32")]
)
def test_written_as_the_kernel_does(cpus, text):
    assert cpu_list(cpus) == text
    assert cpu_set(text + "\n") == cpus


@given(st.frozensets(st.integers(0, 300)))
def test_there_and_back(cpus):
    assert cpu_set(cpu_list(cpus)) == cpus


@pytest.mark.parametrize("text", ["a", "3-1", "-4", "0-99999999", "1;2"])
def test_damage_is_an_error(text):
    with pytest.raises(ValueError):
        cpu_set(text)
