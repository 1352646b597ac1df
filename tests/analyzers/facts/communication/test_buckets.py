"""Does the replay of gradient buckets know the tail of other buckets and of another link exactly?"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmprof.analyzers.facts.communication.buckets import Buckets, buckets_of
from llmprof.analyzers.facts.communication.transfer_fit import TransferFit
from tests.analyzers.rules.exchange_facts import facts_of
from tests.scenarios.exchange import MIB, MS, Link, Run, ddp_run, fsdp_run, tensor_run


def buckets(run: Run) -> Buckets:
    collectives = facts_of(run).critical.collectives
    assert collectives is not None and collectives.buckets is not None
    return collectives.buckets


@settings(max_examples=20, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=12).filter(lambda some: max(some) >= 4 * min(some)),
    latency=st.integers(10_000, 900_000),
    gigabytes=st.floats(2, 300),
)
def test_the_replay_of_what_was_recorded_is_what_was_recorded(sizes: list[int], latency: int, gigabytes: float) -> None:
    run = ddp_run([size * MIB for size in sizes], link=Link(latency, gigabytes * 1e9), backward_ns=20 * MS)
    found = buckets(run)
    assert found.tail_ns() == pytest.approx(found.recorded_tail_ns, rel=0.01, abs=2000)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_other_bytes_and_another_link_are_as_built(factor: float) -> None:
    sizes, link = [MIB, *[20 * MIB] * 6], Link(bytes_per_s=8e9)
    found = buckets(ddp_run(sizes, link=link, backward_ns=20 * MS))
    longer = buckets(ddp_run([int(size * factor) for size in sizes], link=link, backward_ns=20 * MS))
    faster = buckets(ddp_run(sizes, link=Link(bytes_per_s=8e9 * factor), backward_ns=20 * MS))
    assert found.tail_ns(bytes_factor=factor) == pytest.approx(longer.recorded_tail_ns, rel=0.01)
    assert found.tail_ns(bandwidth_factor=factor) == pytest.approx(faster.recorded_tail_ns, rel=0.01)


def test_joined_buckets_wait_for_their_last_gradient() -> None:
    """Ten buckets of 10 MiB in 10 ms: as two of 50 MiB the last one begins when the pass is done, and is exposed."""
    found = buckets(ddp_run([2 * MIB, *[10 * MIB] * 10], link=Link(0, 100e9), backward_ns=102 * MS))
    assert found.tail_ns() == pytest.approx(10 * MIB / 100e9 * 1e9, rel=0.01)
    assert found.tail_ns(at_least=50 * MIB) == pytest.approx(50 * MIB / 100e9 * 1e9, rel=0.01)
    assert found.best_size()[0] == 0


def test_sharded_runs_have_no_buckets() -> None:
    collectives = facts_of(fsdp_run([MIB, 8 * MIB] * 4)).critical.collectives
    assert collectives is not None and collectives.buckets is None


def test_every_micro_batch_has_a_tail_of_its_own() -> None:
    """Twice the same buckets in one step, reduced in both micro-batches."""
    sizes, link = [MIB, *[20 * MIB] * 3], Link(bytes_per_s=8e9)
    once = facts_of(ddp_run(sizes, link=link, backward_ns=20 * MS)).critical.collectives
    twice = facts_of(ddp_run(sizes, link=link, backward_ns=20 * MS, microbatches=2)).critical.collectives
    assert once is not None and once.buckets is not None
    assert twice is not None and twice.calls is not None
    found = buckets_of(twice.calls, twice.fit, 2.0)
    assert found is not None
    assert found.count == 2 * once.buckets.count
    assert found.tail_ns() == pytest.approx(2 * once.buckets.tail_ns(), rel=0.01)


def test_activations_of_tensor_parallelism_are_no_gradients() -> None:
    collectives = facts_of(tensor_run(8, MIB)).critical.collectives
    assert collectives is not None and collectives.groups[0].of_both_passes
    assert collectives.calls is not None
    fit = TransferFit(latency_ns=0.0, bytes_per_s=1e9, calls=1)
    assert buckets_of(collectives.calls, fit) is None
