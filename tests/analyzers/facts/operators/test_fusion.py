"""Which kernels form a run? Kernels one after the other, with the sizes of their operators."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest

from llmprof.analyzers.facts.device.kernel_names import CLASSES, classify_table
from llmprof.analyzers.facts.operators.fusion import LONGEST_RUN, FusionFacts, fusion_facts
from llmprof.analyzers.facts.operators.operators import KernelCalls
from llmprof.timeline.events import NONE, EventTable, Kind, StringTable

NAMES = {
    "a": "indexFuncLargeIndex<float, long, unsigned int, 2, 2, -2, true>",
    "A": "indexFuncLargeIndex<c10::BFloat16, long, unsigned int, 2, 2, -2, true>",
    "c": "reduce_kernel<128, 4, at::native::ReduceOp<float, at::native::func_wrapper_t<float>>>",
    "i": "vectorized_gather_kernel<16, long>",
    "p": "avg_pool2d_backward_out_cuda_frame<c10::BFloat16, float, int>",
    "P": "adaptive_avg_pool2d_backward_out_kernel",
    "u": "upsample_nearest2d_out_frame<float, &at::native::nearest_neighbor_compute_source_index>",
    "s": "tensor_kernel_scan_outer_dim<float, unsigned int, std::plus<float> >",
    "b": "batch_norm_collect_statistics_channels_last_kernel",
    "e": "vectorized_elementwise_kernel",
    "g": "nvjet_sm90_tst_128x128_64x4",
    "G": "ComputeInternalGradientsCUDAKernel<float>(long, float const*, float const*, float*, float*)",
    "n": "vectorized_layer_norm_kernel",
    "t": "triton_poi_fused_add_0",
}
OPERATORS = {"a": "aten::index_add", "c": "aten::sum", "e": "aten::exp"}


def runs(kernels: str, sizes: Sequence[int] = (), us: int = 10, bytes_per_s: float | None = None) -> FusionFacts | None:
    """One letter a kernel, each `us` long, back to back; sizes of their fp32 tensors (all 100 by default)."""
    count = len(kernels)
    strings = StringTable([*NAMES.values(), *OPERATORS.values(), "aten::unknown"])
    name = np.array([strings.find(NAMES[one]) for one in kernels], np.int32)
    above = np.array([strings.find(OPERATORS.get(one, "aten::unknown")) for one in kernels], np.int32)
    filled = np.full(count, NONE)
    events = EventTable(
        ts=np.tile(np.arange(count, dtype=np.int64) * us * 1000, 2),
        dur=np.full(2 * count, us * 1000, np.int64),
        kind=np.repeat(np.array([Kind.KERNEL, Kind.CPU_OP], np.uint8), count),
        lane=np.repeat(np.arange(2, dtype=np.int32), count),
        name=np.concatenate([name, above]),
        correlation=np.tile(filled, 2).astype(np.int64),
        launch=np.tile(filled, 2).astype(np.int32),
        external=np.tile(filled, 2).astype(np.int64),
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
            operator=np.arange(count, 2 * count, dtype=np.int32),
            shape=np.array([sorted(set(given)).index(size) for size in given], np.int32),
            texts=texts,
            node=filled.astype(np.int32),
            recomputed=nothing,
            steps=1,
            table=table,
            math=nothing,
        ),
        bytes_per_s,
    )


def test_kernels_between_products_are_one_run() -> None:
    found = runs("geneg")
    assert found is not None
    assert (found.runs, found.kernels, found.run_ns) == (1, 3, 30_000)


def test_sizes_beyond_all_memory_are_read_all_the_same() -> None:
    assert runs("ee", sizes=[1 << 80, 1 << 80]) == runs("ee")


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


@pytest.mark.parametrize("kernels", ["gieeieg", "geeaiag", "gesieg", "gepeug"])
def test_what_gathers_is_fused_like_pointwise_work(kernels: str) -> None:
    """In place of a pointwise kernel it changes nothing; windows of the whole image are another matter."""
    assert runs(kernels) == runs(re.sub("[ipu]", "e", kernels))
    assert runs("gePeg") == runs("gegeg")


def test_all_kernels_of_a_group_norm_are_of_one_run() -> None:
    assert runs("geGGeg") == runs("genneg")


def test_what_is_added_to_other_places_stays_and_takes_in_what_is_added() -> None:
    """Two gathers and two pointwise kernels go into two additions, which stay as long as they are."""
    found = runs("gieieaag")
    assert found is not None and (found.sized_ns, found.between_ns, found.best_ns) == (40_000, 40_000, 0.0)


def test_additions_take_their_traffic_at_best() -> None:
    """1000 fp32 numbers at 1 GB/s take 4 us of the 10 of a kernel: two of them 8, less than one pointwise kernel."""
    found = runs("geeaag", [1000] * 6, bytes_per_s=1e9)
    assert found is not None and (found.sized_ns, found.between_ns) == (20_000, 30_000)


def test_additions_in_bf16_stay_kernels_of_the_library() -> None:
    assert runs("geeAeeg") == runs("geegeeg")


def test_behind_a_running_sum_another_kernel_begins() -> None:
    found = runs("geseeg")
    assert found is not None and (found.runs, found.between_ns) == (1, 20_000)


def test_a_sum_along_another_dimension_reads_once_more_beside_the_one_that_stays() -> None:
    """4000 bytes at 1 GB/s, 4 us, beside the 10 of one pointwise kernel; at best it is part of that."""
    found = runs("geecg", [1000] * 5, bytes_per_s=1e9)
    assert found is not None and (found.sized_ns, found.between_ns) == (16_000, 20_000)


def test_at_most_what_stays_takes_no_longer_than_its_traffic() -> None:
    """8000 bytes in and out at 1 GB/s take 8 us of 10; what a kernel moves that nothing is known of is its time."""
    found = runs("geeg", [1000] * 4, bytes_per_s=1e9)
    assert found is not None and (found.between_ns, found.best_ns, found.most_ns) == (10_000, 12_000, 12_000)
    slow = runs("gnng", [1000] * 4, bytes_per_s=1e9)
    assert slow is not None and slow.most_ns == slow.between_ns == 10_000
