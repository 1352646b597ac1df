"""Does the replay of several ranks blame the rank and the kind of work that were planted, and nobody else?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.replay import attribution
from llmprof.analyzers.replay.attribution import attribution_of
from tests.analyzers.replay.transforms.test_communication import asked, reducing

MS = 1_000_000


def three(*works_ms: int) -> list[object]:
    longest = max(works_ms) * MS
    return [
        reducing(number, compute_ns=work * MS, lengths=(MS,) * 2, slowest_ns=longest)
        for number, work in enumerate(works_ms)
    ]


def test_the_slow_rank_and_its_kernels_are_the_whole_loss() -> None:
    what_if = asked(*three(20, 12, 12))
    found = attribution_of(what_if)
    assert found is not None
    assert found.step_ns - found.ideal_ns == pytest.approx(8 * MS, rel=0.1)
    assert found.slowdown == pytest.approx(found.step_ns / found.ideal_ns)
    assert found.by_rank[0].removed == pytest.approx(1.0, abs=0.05)
    assert found.by_rank[0].after_ns == pytest.approx(found.ideal_ns, rel=0.02)
    assert found.by_kind["compute"].removed == pytest.approx(1.0, abs=0.05)
    for innocent in (found.by_rank[1], found.by_rank[2], found.by_kind["communication"], found.by_kind["data"]):
        assert innocent.removed == pytest.approx(0.0, abs=0.05)
        assert innocent.added == pytest.approx(0.0, abs=0.05)


def test_of_two_slow_ranks_each_alone_brings_back_nothing_and_causes_all() -> None:
    found = attribution_of(asked(*three(20, 20, 12, 12, 12)))
    assert found is not None
    assert found.by_rank[0].removed == pytest.approx(0.0, abs=0.05)
    assert found.by_rank[0].added == pytest.approx(1.0, abs=0.05)


def test_ranks_that_are_alike_are_not_told_apart() -> None:
    found = attribution_of(asked(*three(12, 12, 12)))
    assert found is not None
    assert found.slowdown == pytest.approx(1.0, abs=0.01)
    assert not found.by_rank
    assert not found.by_kind


def test_one_rank_has_no_peers() -> None:
    assert attribution_of(asked(*three(12))) is None


def test_a_graph_that_is_too_large_for_all_replays_says_what_a_repair_brings_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    what_if = asked(*three(20, 12, 12))
    each = attribution.SETTLING * len(what_if.model.scenario.graph)  # kernels and collectives share the device
    monkeypatch.setattr(attribution, "MOST_NODES", 5 * each)
    found = attribution_of(what_if)
    assert found is not None
    assert found.by_rank[0].removed == pytest.approx(1.0, abs=0.05)
    assert found.by_rank[0].added is None
