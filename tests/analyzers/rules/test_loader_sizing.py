"""What is promised for the first workers allows for what receiving their batches will take."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.copies import CopyFacts, CopyGroup
from llmprof.analyzers.facts.data_loading import LoaderFacts
from llmprof.analyzers.facts.loader_model import expected_hand_over_ns
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.loader_sizing import input_need, left_ns
from llmprof.timeline.environment import LoaderSettings
from llmprof.units import NS_PER_MS
from tests.analyzers.rules.facts_builder import make_facts

WAIT = 40.0 * NS_PER_MS


def a_loader(workers: int, **known: float) -> LoaderFacts:
    return LoaderFacts(
        in_process=workers == 0, settings=LoaderSettings(num_workers=workers), batch_ns=WAIT, cores=16, **known
    )


def with_copies(facts: Facts, size: float) -> Facts:
    copies = CopyFacts(pageable_to_device=CopyGroup(count=2.0, bytes=size))
    ranks = {rank: replace(one, copies=copies) for rank, one in facts.ranks.items()}
    return replace(facts, ranks=ranks, critical=ranks[facts.critical.rank])


@pytest.mark.parametrize("size", [None, 64e6])
def test_without_workers_it_is_expected_from_the_bytes_that_go_to_the_device(size: float | None) -> None:
    loader = a_loader(0)
    facts = make_facts(100, data=40.0, loader=loader)
    found = input_need(facts if size is None else with_copies(facts, size), WAIT, loader, "")
    assert found.hand_over_ns == expected_hand_over_ns(size)
    assert left_ns(found, 8) == found.hand_over_ns


@pytest.mark.parametrize(("known", "hand_over"), [({}, 0.0), ({"hand_over_ns": 3e5}, 3e5)])
def test_with_workers_only_what_was_measured_counts(known: dict[str, float], hand_over: float) -> None:
    loader = a_loader(2, **known)
    found = input_need(make_facts(100, data=40.0, loader=loader), WAIT, loader, "")
    assert found.hand_over_ns == hand_over
    assert left_ns(found, 8) == hand_over


def test_several_batches_a_step_are_received_one_after_the_other() -> None:
    loader = a_loader(0, fetches_per_step=4.0)
    found = input_need(make_facts(100, data=40.0, loader=loader), WAIT, loader, "")
    assert found.receiving_ns == 4 * expected_hand_over_ns(None)
