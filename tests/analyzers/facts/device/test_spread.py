"""Are kernels of different ranks compared only where they are the same work under the same conditions?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.device.spread import SoloKernel, gpu_spread, solo_kernels
from llmprof.analyzers.facts.steps.windows import windows_of
from tests.scenarios.builder import TraceBuilder

US = 1_000


def solo(**kernels: tuple[float, float]) -> dict[str, SoloKernel]:
    """Median ns and count per step by name."""
    return {name: SoloKernel(median_ns=ns, count_per_step=count) for name, (ns, count) in kernels.items()}


def test_the_slowest_rank_against_the_median_of_the_others() -> None:
    found = gpu_spread({0: solo(a=(100, 4), b=(50, 1)), 1: solo(a=(110, 4), b=(50, 1)), 2: solo(a=(102, 4), b=(50, 1))})
    assert found is not None
    assert (found.slowest, found.kernels) == (1, 2)
    assert found.excess_ns == pytest.approx(440 - 404)
    assert found.share == pytest.approx(36 / 454)


def test_a_kernel_that_ranks_run_differently_often_is_other_work() -> None:
    found = gpu_spread({0: solo(a=(100, 4), b=(50, 1)), 1: solo(a=(100, 4), b=(90, 2))})
    assert found is not None and (found.kernels, found.excess_ns) == (1, 0)


def test_nothing_to_compare() -> None:
    assert gpu_spread({0: solo(a=(1, 1)), 1: {}}) is None
    assert gpu_spread({0: solo(a=(1, 1)), 1: solo(b=(1, 1))}) is None


def recording(*calls: tuple[str, int, int]) -> dict[str, SoloKernel]:
    """Kernels (name, start, length in us) of one step; `nccl` ones run on a stream of their own."""
    b = TraceBuilder()
    b.step(0, 0, 100_000 * US)
    for name, start, length in calls:
        stream = 20 if "nccl" in name else 7
        b.kernel(name, start * US, length * US, launch_ns=0, stream=stream)
    rank = b.rank()
    return dict(solo_kernels(rank, windows_of(rank)))


def test_calls_that_a_collective_runs_beside_do_not_count() -> None:
    alone = [("gemm", 1000 * place, 100) for place in range(6)]
    beside = [("gemm", 10_000 + 1000 * place, 180) for place in range(3)]
    found = recording(*alone, *beside, ("ncclDevKernel_AllReduce", 10_000, 3000))
    assert found["gemm"] == SoloKernel(median_ns=100 * US, count_per_step=9)
    assert set(found) == {"gemm"}


def test_kernels_of_several_shapes_and_short_ones_are_left_out() -> None:
    calls = [("mixed", 1000 * place, 100 + 50 * (place % 2)) for place in range(8)]
    calls += [("short", 20_000 + 1000 * place, 4) for place in range(8)]
    calls += [("rare", 40_000 + 1000 * place, 100) for place in range(3)]
    assert recording(*calls) == {}
