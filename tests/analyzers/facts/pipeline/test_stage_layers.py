"""Is the best division of layers that of brute force, and are layers counted right?"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.pipeline.stage_layers import best_division, layers_by_stage
from llmprof.timeline.settings import ModelSettings, PipelineSettings
from tests.analyzers.rules.exchange_facts import environment
from tests.analyzers.rules.facts_builder import make_facts


@settings(max_examples=60, deadline=None)
@given(layers=st.lists(st.integers(1, 5), min_size=2, max_size=3), head=st.integers(0, 40), each=st.integers(1, 20))
def test_no_other_division_has_a_shorter_longest_stage(layers: list[int], head: int, each: int) -> None:
    """The last stage has a head besides its layers, the others have nothing."""
    work = [each * count for count in layers]
    work[-1] += head
    found = best_division(work, layers)
    assert sum(found.layers) == sum(layers)
    longest = max(factor * old for factor, old in zip(found.factors, work, strict=True))
    every = [some for some in itertools.product(range(1, sum(layers)), repeat=len(layers)) if sum(some) == sum(layers)]
    rest = [old - each * count for old, count in zip(work, layers, strict=True)]
    assert longest == pytest.approx(min(max(r + each * n for r, n in zip(rest, some, strict=True)) for some in every))


def test_without_layers_all_stages_become_equal() -> None:
    assert best_division([10.0, 30.0], None).factors == pytest.approx((2.0, 2 / 3))


def test_blocks_are_the_layers() -> None:
    """Not the one module list of each stage, and not the linear layers inside the blocks."""
    held = [{"Linear": 12, "Block": 3, "ModuleList": 1, "Embedding": 1}, {"Linear": 37, "Block": 9, "ModuleList": 1}]
    facts = make_facts(100, world_size=2, environment=environment())
    ranks = {
        stage: RankFacts(
            rank=stage,
            step=facts.step,
            environment=environment(
                stage,
                pipeline=PipelineSettings(microbatches=8, stages=2, local_stages=(stage,)),
                models=(ModelSettings(modules=modules),),
            ),
        )
        for stage, modules in enumerate(held)
    }
    both = Facts(ranks=ranks, critical=ranks[1], step=facts.step)
    assert layers_by_stage(both) == (3, 9)
    assert layers_by_stage(facts) is None
