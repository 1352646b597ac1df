"""Cores of a rank: shared ones are divided, bound ones are its own, a quota holds for all ranks of a node."""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.host.cores import own_cores
from llmprof.timeline.environment import Environment


def ranks(*affinities: str | None, quota: float | None = None, host: str | None = "node0") -> dict[int, Environment]:
    return {
        rank: Environment(host=host, cpu_affinity=affinity, cpu_quota=quota) for rank, affinity in enumerate(affinities)
    }


@pytest.mark.parametrize(
    ("environments", "expected"),
    [
        (ranks("0-7", "0-7"), {0: 4, 1: 4}),
        (ranks("0-3", "4-7"), {0: 4, 1: 4}),
        (ranks("0-3", "0-7"), {0: 2, 1: 6}),
        (ranks("0-7", "0-7", quota=4.0), {0: 2, 1: 2}),
        (ranks("0-7", None), {}),
        (ranks("0-7", "damage"), {}),
        (ranks("0-7", host=None), {}),
    ],
)
def test_of_one_node(environments, expected):
    assert own_cores(environments) == expected


def test_the_same_numbers_on_another_node_are_other_cores():
    environments = {0: ranks("0-7")[0], 1: ranks("0-7", host="node1")[0]}
    assert own_cores(environments) == {0: 8, 1: 8}
