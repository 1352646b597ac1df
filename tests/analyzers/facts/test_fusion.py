"""Which kernels form a run? Kernels one after the other, with the sizes of their operators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from llmprof.analyzers.facts.fusion import LONGEST_RUN, FusionFacts, fusion_facts
from llmprof.analyzers.facts.kernel_names import CLASSES, classify_table
from llmprof.analyzers.facts.operators import KernelCalls
from llmprof.timeline.events import NONE, EventTable, Kind, StringTable

NAMES = {
    "b": "batch_norm_collect_statistics_channels_last_kernel",
    "e": "vectorized_elementwise_kernel",
    "g": "nvjet_sm90_tst_128x128_64x4",
    "n": "vectorized_layer_norm_kernel",
    "t": "triton_poi_fused_add_0",
}


def runs(kernels: str, sizes: Sequence[int] = (), us: int = 10) -> FusionFacts | None:
    """One letter a kernel, each `us` long, back to back; sizes of their tensors (all 100 by default)."""
    count = len(kernels)
    strings = StringTable(list(NAMES.values()))
    name = np.array([strings.find(NAMES[one]) for one in kernels], np.int32)
    filled = np.full(count, NONE)
    events = EventTable(
        ts=np.arange(count, dtype=np.int64) * us * 1000,
        dur=np.full(count, us * 1000, np.int64),
        kind=np.full(count, Kind.KERNEL, np.uint8),
        lane=np.zeros(count, np.int32),
        name=name,
        correlation=filled.astype(np.int64),
        launch=filled.astype(np.int32),
        external=filled.astype(np.int64),
        strings=strings,
    )
    given = list(sizes) or [100] * count
    texts = [f"[{size}]|float" for size in sorted(set(given))]
    table = classify_table(strings)
    nothing = np.zeros(count, bool)
    return fusion_facts(
        events,
        KernelCalls(
            rows=np.arange(count),
            classes=table.kind[name],
            operator=filled.astype(np.int32),
            shape=np.array([sorted(set(given)).index(size) for size in given], np.int32),
            texts=texts,
            node=filled.astype(np.int32),
            recomputed=nothing,
            steps=1,
            table=table,
            math=nothing,
        ),
    )


def test_kernels_between_products_are_one_run() -> None:
    found = runs("geneg")
    assert found is not None
    assert (found.runs, found.kernels, found.run_ns, found.largest_ns) == (1, 3, 30_000, 10_000)


def test_a_product_and_another_size_end_a_run() -> None:
    assert (found := runs("eegee")) is not None and found.runs == 2
    assert (found := runs("eeee", [100, 100, 50, 50])) is not None and found.runs == 2
    assert (found := runs("egege")) is not None and found.runs == 0 and found.ns == 30_000


def test_four_pointwise_kernels_in_a_run_are_a_chain() -> None:
    """Three are not; of four all but the longest count, norms beside them do not."""
    three, four = runs("geeeg"), runs("geneeeg")
    assert three is not None and four is not None
    assert (three.chain_ns, four.chain_ns) == (0.0, 30_000)


def test_between_two_products_at_most_all_but_the_longest_kernel_goes() -> None:
    """Whatever the sizes: a compiler fuses a change of size as well, but never away the largest tensor."""
    found = runs("geenggeg", [100, 100, 50, 100, 100, 100, 100, 100])
    assert found is not None and found.between_ns == 20_000


def test_a_long_run_is_cut() -> None:
    found = runs("e" * (2 * LONGEST_RUN))
    assert found is not None and found.runs == 2


def test_what_a_compiler_made_is_fused_already() -> None:
    found = runs("ttt")
    assert found is not None and (found.ns, found.runs, found.compiled_ns) == (0.0, 0, 30_000)


def test_products_alone_have_nothing_to_fuse() -> None:
    assert runs("ggg") is None
    assert "elementwise" in CLASSES


@pytest.mark.parametrize("kernels", ["e", "eg", "ge"])
def test_a_single_kernel_is_no_run(kernels: str) -> None:
    found = runs(kernels)
    assert found is not None and found.runs == 0


def test_of_tensors_of_each_size_between_two_products_one_kernel_stays() -> None:
    """Sizes 100 and 50 in turn: all but one of four may go at best, two if nothing of another size is fused."""
    found = runs("geeeeg", [100, 100, 50, 100, 50, 100])
    assert found is not None
    assert (found.run_ns, found.sized_ns, found.between_ns, found.middle_ns) == (0.0, 20_000, 30_000, 25_000)


def test_behind_the_statistics_of_a_batch_another_kernel_begins() -> None:
    """What is normed and what follows is one kernel, what was before the statistics is one with them."""
    found = runs("gebeeg")
    assert found is not None and found.between_ns == 20_000
