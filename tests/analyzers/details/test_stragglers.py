"""Do the figures of ranks that are not alike say the same as the sentence on them?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.details import stragglers
from llmprof.analyzers.details.stragglers import of_operations, of_ranks, with_stragglers
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.pipeline.stragglers import straggler_facts
from llmprof.analyzers.replay.gains import Replays
from tests.analyzers.replay.test_attribution import three
from tests.analyzers.replay.transforms.test_communication import asked
from tests.analyzers.rules.test_straggler_rank import ranks_of
from tests.scenarios.operations import pipeline_table


def late() -> Facts:
    """Four ranks and a step of 100 ms; rank 1 computes 100 ms, the others 80 and wait."""
    return ranks_of({"compute": 100.0}, {"compute": 80.0})


def test_without_a_replay_the_partitions_tell_and_say_at_most() -> None:
    found = of_ranks(late(), Replays())
    assert found["basis"] == "partition"
    assert found["slowdown"] == pytest.approx(1.25)
    assert found["ranks"][0]["rank"] == 1
    assert found["sentence"] == (
        "With ranks that are alike the step would take at most 80.0 ms instead of 100 ms: "
        "rank 1 makes it 1.25 times as long (most of it compute)."
    )


def test_hosts_that_the_profiler_slowed_are_named_as_left_out() -> None:
    found = of_ranks(ranks_of({"compute": 100.0}, {"compute": 80.0}, traced_ms=150.0), Replays())
    assert not found["host_compared"]
    assert "but for their hosts" in found["sentence"]


def test_a_replay_of_all_ranks_goes_first() -> None:
    what_if = asked(*three(20, 12, 12))
    found = of_ranks(what_if.subject.facts, Replays(what_if=what_if))
    assert found["basis"] == "replay"
    assert found["ranks"][0]["rank"] == 0
    assert "rank 0 makes it" in found["sentence"]


def test_one_rank_has_no_figures() -> None:
    facts = ranks_of({"compute": 100.0}, {"compute": 80.0}, count=2)
    alone = Facts(ranks={1: facts.ranks[1]}, critical=facts.ranks[1], step=facts.step)
    assert of_ranks(alone, Replays()) == {}
    assert with_stragglers({"a": {}}, alone, Replays()) == {"a": {}}


def test_ranks_that_are_alike_are_called_so() -> None:
    found = of_ranks(ranks_of({"compute": 81.0}, {"compute": 80.0}), Replays())
    assert "none of them is a straggler" in found["sentence"]


def test_several_late_ranks_are_not_blamed_on_one() -> None:
    facts = late()
    ranks = {**facts.ranks, 4: facts.ranks[1], 5: facts.ranks[1], 6: facts.ranks[0], 7: facts.ranks[0]}
    found = of_ranks(Facts(ranks=ranks, critical=facts.ranks[1], step=facts.step), Replays())
    assert found["slowdown"] == pytest.approx(1.25)
    assert found["sentence"].endswith("no rank alone causes most of that.")


def test_a_failure_costs_these_figures_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(stragglers, "attribution_of_parts", broken)
    assert of_ranks(late(), Replays()) == {"error": "ZeroDivisionError: planted"}


def test_of_a_heavy_stage_the_layers_are_spread_and_do_not_vanish() -> None:
    found = of_operations(straggler_facts(pipeline_table(slow=(None, 1), factor=2.0)))
    assert found["stages"][0]["stage"] == 1
    assert found["balanced_ms"] == pytest.approx(230.0)  # two stages of 1 and 2 become two of 1.5
    assert found["sentence"].endswith("with its layers spread over all stages.")
