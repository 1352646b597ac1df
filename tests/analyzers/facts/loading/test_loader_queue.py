"""Is the queue of the DataLoader the one of PyTorch, batch by batch?"""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmprof.analyzers.facts.loading.loader_queue import received_ns
from tests.analyzers.facts.loading.loader_protocol import Protocol


@given(
    seed=st.integers(0, 10_000),
    batches=st.integers(1, 120),
    workers=st.integers(1, 9),
    prefetch=st.integers(1, 6),
    spread=st.sampled_from([0.1, 0.6, 1.4]),
    rest=st.floats(0.0, 40.0),
    way=st.sampled_from([0.0, 1.5, 12.0]),
    in_order=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_batches_are_received_when_the_protocol_of_torch_says(
    seed: int, batches: int, workers: int, prefetch: int, spread: float, rest: float, way: float, in_order: bool
) -> None:
    source = random.Random(seed)
    loads = [source.lognormvariate(-(spread**2) / 2, spread) * 50 for _ in range(batches)]
    expected = Protocol(loads, workers, prefetch, way, in_order=in_order).epoch(rest, 0.3)
    found = received_ns(loads, rest, workers, prefetch, hand_over_ns=0.3, arriving_ns=way, in_order=in_order)
    assert found == pytest.approx(expected)
