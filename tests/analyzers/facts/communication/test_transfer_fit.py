"""Are latency and bandwidth of a link found from its transfers, and not where their sizes do not tell?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmprof.analyzers.facts.communication.transfer_fit import fit_transfers

SIZES = np.array([1 << 16, 1 << 20, 1 << 24, 1 << 28], np.int64)


@given(latency=st.floats(1e3, 1e6), rate=st.floats(1e9, 9e11))
def test_an_exact_link_is_found_exactly(latency: float, rate: float) -> None:
    ns = np.rint(latency + SIZES / rate * 1e9).astype(np.int64)
    found = fit_transfers(SIZES, ns)
    assert found is not None
    assert [found.ns(size) for size in SIZES.tolist()] == pytest.approx(ns.tolist(), rel=1e-3)


def test_one_late_message_does_not_count() -> None:
    sizes = np.repeat(SIZES, 5)
    ns = (20_000 + sizes / 100).astype(np.int64)
    ns[3] *= 50
    found = fit_transfers(sizes, ns)
    assert found is not None
    assert (found.latency_ns, found.bytes_per_s) == (pytest.approx(20_000, rel=0.01), pytest.approx(100e9, rel=0.01))


def test_a_latency_is_never_negative() -> None:
    found = fit_transfers(np.array([1000, 100_000], np.int64), np.array([500, 100_000], np.int64))
    assert found is not None and found.latency_ns == 0.0


@pytest.mark.parametrize("sizes", [[], [1 << 20] * 9, [1 << 20, 3 << 20], [-1, -1]])
def test_sizes_that_do_not_tell(sizes: list[int]) -> None:
    assert fit_transfers(np.array(sizes, np.int64), np.full(len(sizes), 50_000, np.int64)) is None


def test_more_time_for_fewer_bytes_is_no_link() -> None:
    assert fit_transfers(np.array([1000, 100_000], np.int64), np.array([90_000, 10], np.int64)) is None
