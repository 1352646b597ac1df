"""Is it told what the replay knows of work that shares the device, and nothing where it knows nothing?"""

from __future__ import annotations

import dataclasses

import pytest

from llmprof.analyzers.diagnosis import Sharing
from llmprof.reports.trust import Trust, trust_of
from tests.reports.samples import input_starved

KERNELS = "kernels beside collectives run 1.44 times as long (1,016 pairs)"
COLLECTIVES = "collectives beside kernels run 1.10 times as long (12 pairs)"


@pytest.mark.parametrize(
    ("sharing", "texts"),
    [
        (None, []),
        (Sharing(kernels=1.4428, kernel_pairs=1016), [KERNELS]),
        (Sharing(collectives=1.1, collective_pairs=12), [COLLECTIVES]),
        (Sharing(kernels=1.4428, kernel_pairs=1016, collectives=1.1, collective_pairs=12), [KERNELS, COLLECTIVES]),
    ],
)
def test_what_sharing_costs_is_told_beside_the_replay_and_weakens_nothing(
    sharing: Sharing | None, texts: list[str]
) -> None:
    base = input_starved()
    found = trust_of(dataclasses.replace(base, capture=dataclasses.replace(base.capture, sharing=sharing)))
    assert [one for one in found if "beside" in one.text] == [Trust(text) for text in texts]
