"""Are all fixed recommendation ids there, and does every one know what it takes?"""

from __future__ import annotations

import re

import pytest

from llmprof.analyzers.diagnosis import PARTS
from llmprof.analyzers.rules.fixes import FIXES, recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.timeline.environment import Environment
from llmprof.units import NS_PER_MS
from tests.analyzers.rules.facts_builder import make_facts

CONTRACT = """dataloader-workers, dataloader-prefetch, persistent-workers, pin-memory,
offline-preprocessing, packed-dataset, bf16-autocast, tf32, fp8, sdpa-attention, fused-attention-backend, torch-compile,
cuda-graphs, fused-optimizer, foreach-optimizer, fused-cross-entropy, pad-vocabulary, align-dimensions, larger-batch,
smaller-batch, accumulate-gradients, drop-recompute, selective-recompute, activation-checkpointing, zero-sharding,
8bit-optimizer, expandable-segments, bucket-lengths, remove-sync, stop-cache-flush, gc-policy, log-less-often,
async-checkpoint, wrap-ddp, ddp-bucket-size, ddp-bucket-view, static-graph, no-sync, compress-gradients, reduce-in-bf16,
fsdp-prefetch, fsdp-keep-unsharded, hybrid-shard, enable-p2p, topology-placement, more-microbatches, balance-stages,
repair-straggler, balance-batches, numa-binding, thread-count, fix-throttling, static-shapes"""


def test_the_ids_of_the_contract() -> None:
    assert set(FIXES) >= set(re.split(r",\s*", CONTRACT))


def test_every_fix_says_what_it_does_and_which_parts_it_shortens() -> None:
    for fix in FIXES.values():
        assert fix.does.endswith(".") and fix.risk.endswith("."), fix.id
        assert fix.removes and set(fix.removes) <= set(PARTS), fix.id
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", fix.id)


@pytest.mark.parametrize(
    ("id", "requires", "verify"),
    [
        ("fused-optimizer", (), "llmprof try --fix fused-optimizer RUN"),
        ("cuda-graphs", (), "llmprof try --fix cuda-graphs --allow-numerics RUN"),  # refused without it
        ("cuda-graphs", ("gc-policy",), "llmprof try --fix gc-policy --fix cuda-graphs --allow-numerics RUN"),
        (
            "cuda-graphs",
            ("remove-sync",),
            "Record the changed run as RUN2, then `llmprof try --fix remove-sync --fix cuda-graphs RUN --against "
            "RUN2`.",
        ),
        (
            "repair-straggler",
            (),
            "Record the changed run as RUN2, then `llmprof try --fix repair-straggler RUN --against RUN2`.",
        ),
    ],
)
def test_a_recommendation_of_a_recorded_run_says_how_its_promise_is_measured(
    id: str, requires: tuple[str, ...], verify: str
) -> None:
    """One command applies what can be applied from outside; what nobody can apply is compared with a second run."""
    environment = Environment(command=("python", "train.py", "--name", "a b"))
    facts = make_facts(100, host=50.0, environment=environment)
    saved = 30.0 * NS_PER_MS
    advice = recommend(
        id,
        rule="launch-bound",
        facts=facts,
        action="",
        why="",
        how="",
        gain=gain(facts, expected_ns=saved, low_ns=saved / 2, high_ns=saved, at_most_ns=saved),
        watch="the host part",
        requires=requires,
    )
    assert advice.verify == verify
    assert (advice.effort, advice.risk) == (FIXES[id].effort, FIXES[id].risk)
