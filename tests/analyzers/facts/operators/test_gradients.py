"""Which gradients share a bucket, and which buckets are called too large?"""

from __future__ import annotations

import numpy as np
import pytest

from llmprof.analyzers.facts.operators.gradients import BUCKET_BYTES, Gradients, oversized
from llmprof.timeline.settings import DdpSettings


def gradients(*sizes: int) -> Gradients:
    values = np.array(sizes, np.int64)
    return Gradients(done_ns=np.arange(values.size), sizes=values, elements=values // 4)


@pytest.mark.parametrize(
    ("sizes", "last"),
    [
        ((1, 1, 1), [2]),  # all of them are less than the first bucket
        ((4, 5, 5, 1), [0, 2, 3]),  # the first limit is smaller, and the rest that fills no bucket leaves at the end
        ((50, 50), [0, 1]),
        ((), []),
    ],
)
def test_a_bucket_is_closed_by_the_gradient_that_fills_it(sizes: tuple[int, ...], last: list[int]) -> None:
    assert gradients(*sizes).buckets(first=4, cap=10) == last


@pytest.mark.parametrize(("cap", "large"), [(None, False), (BUCKET_BYTES, False), (2 * BUCKET_BYTES, True)])
def test_twice_the_default_is_too_large(cap: int | None, large: bool) -> None:
    assert oversized(DdpSettings(bucket_cap_bytes=cap)) is large


def test_without_ddp_nothing_is_too_large() -> None:
    assert not oversized(None)
