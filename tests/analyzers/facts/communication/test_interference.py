"""Is what kernels and collectives cost each other read off the recording, and not made up where it does not tell?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmprof.analyzers.facts.communication.interference import Interference, Slowdown, _Quartiles, interference_of
from llmprof.analyzers.facts.device.kernel_names import CLASSES
from llmprof.analyzers.facts.device.kernels import row_classes
from llmprof.collectors.files import load
from llmprof.timeline.events import Kind
from llmprof.timeline.intervals import lengths_inside
from llmprof.timeline.timeline import RankTimeline
from tests.analyzers.replay.sharing import ALL_REDUCE, GEMM, Program, recorded
from tests.scenarios.builder import TraceBuilder

COMMUNICATION = CLASSES.index("communication")
OTHER_GEMM = "nvjet_tst_64x128_64x8_2x1_v_bz_NTN"
NORM = "void at::native::(anonymous namespace)::vectorized_layer_norm_kernel<float>"


def learned(program: Program, steps: int = 12) -> Interference:
    return interference_of(recorded(program, steps))


def alternating(lengths: dict[str, tuple[int, int]], rounds: int = 40) -> RankTimeline:
    """Kernels with their length alone and beside; in every second round a collective runs all the while."""
    builder, now = TraceBuilder(), 0
    for number in range(rounds):
        begin, beside = now, number % 2
        for name, both in lengths.items():
            for _ in range(2 * 4 + 1):
                builder.kernel(name, now, both[beside], launch_ns=now - 10_000)
                now += both[beside] + 1_000
        if beside:
            builder.kernel(ALL_REDUCE, begin, now - begin, launch_ns=begin - 5_000, stream=20)
    builder.step(0, 0, now)
    return builder.rank()


@pytest.mark.parametrize("factor", [1.1, 1.5, 2.0])
def test_the_planted_slowdown_of_kernels_is_found(factor: float) -> None:
    found = learned(Program(kernels=factor)).kernels
    assert found is not None
    assert found.factor == pytest.approx(factor, rel=0.01)
    assert found.low == pytest.approx(factor, rel=0.01) and found.high == pytest.approx(factor, rel=0.01)
    assert found.pairs >= 12


def test_the_planted_slowdown_of_transfers_is_found() -> None:
    # All messages are of one size; the two around the optimizer have the device to themselves.
    found = learned(Program(transfer=180_000.0, collectives=1.3)).collectives
    assert found is not None
    assert found.factor == pytest.approx(1.3, rel=0.01)
    assert found.pairs == 24


def test_ranks_are_not_compared_with_each_other() -> None:
    """Rank 1 is slower, and beside nothing: that is no slowdown of what rank 0 runs beside its waiting."""
    found = learned(Program(scale=(1.0, 1.6), transfer=100_000.0))
    assert found.kernels is None


def test_every_kernel_has_its_own_factor_and_their_mean_counts_their_time() -> None:
    rank = alternating({GEMM: (100_000, 180_000), NORM: (50_000, 55_000)})
    found = interference_of([rank])
    assert rank.events is not None and found.kernels is not None
    rows = {name: rank.events.strings.find(name) for name in (GEMM, NORM)}
    factors = found.rows[0]
    assert factors[rank.events.name == rows[GEMM]] == pytest.approx(1.8)
    assert factors[rank.events.name == rows[NORM]] == pytest.approx(1.1)
    assert found.kernels.factor == pytest.approx((100 * 1.8 + 50 * 1.1) / 150, rel=0.02)
    assert found.kernels.low == pytest.approx(1.1) and found.kernels.high == pytest.approx(1.8)


def test_where_only_the_nearest_kernels_are_the_same_they_tell_the_work() -> None:
    """Alone and beside, the third kernel before and after is another one: two on either side still tell the product."""
    builder, now = TraceBuilder(), 0
    for number in range(24):
        begin, beside = now, number % 2
        outer = "beside_kernel" if beside else "alone_kernel"
        for name in (outer, "gelu_kernel", NORM, GEMM, NORM, "gelu_kernel", outer):
            ns = 130_000 if name == GEMM and beside else 100_000
            builder.kernel(name, now, ns, launch_ns=now - 10_000)
            now += ns + 1_000
        if beside:
            builder.kernel(ALL_REDUCE, begin, now - begin, launch_ns=begin - 5_000, stream=20)
    builder.step(0, 0, now)
    found = interference_of([builder.rank()])
    assert found.kernels is not None and found.kernels_reason is None
    assert found.kernels.factor == pytest.approx(1.3)


def test_a_kernel_that_was_never_alone_gets_what_its_class_shows() -> None:
    builder = TraceBuilder()
    known = alternating({GEMM: (100_000, 150_000)})
    now = 0
    for _ in range(20):
        builder.kernel(OTHER_GEMM, now, 30_000, launch_ns=now - 10_000)
        now += 31_000
    builder.kernel(ALL_REDUCE, 0, now, launch_ns=-5_000, stream=20)
    builder.step(0, 0, now)
    found = interference_of([known, builder.rank(1)])
    events = builder.rank(1).events
    assert events is not None
    assert found.rows[1][events.name == events.strings.find(OTHER_GEMM)] == pytest.approx(1.5)


def test_no_collectives_beside_kernels_give_no_factor_but_the_reason() -> None:
    found = interference_of([alternating({GEMM: (100_000, 100_000)}, rounds=1)])
    assert (found.kernels, found.collectives) == (None, None)
    assert found.kernels_reason == "no kernels beside collectives were recorded"
    assert not found.unseen  # there was no collective at all
    assert (found.rows[0] == 1).all()


def test_a_few_pairs_are_not_enough() -> None:
    found = interference_of([alternating({GEMM: (100_000, 150_000)}, rounds=2)])
    assert found.kernels is None
    assert found.kernels_reason is not None and "fewer than 10" in found.kernels_reason
    assert found.unseen


def test_that_collectives_cost_kernels_nothing_is_seen_as_well() -> None:
    found = interference_of([alternating({GEMM: (100_000, 100_000)})])
    assert found.kernels is None and not found.unseen


def test_kernels_that_nothing_slows_get_no_factor() -> None:
    found = interference_of([alternating({GEMM: (100_000, 100_500)})])
    assert found.kernels is None
    assert found.kernels_reason is not None and found.kernels_reason.endswith("which is no certain difference")


def test_a_name_that_stands_for_shorter_work_beside_collectives_is_no_evidence() -> None:
    found = interference_of([alternating({GEMM: (100_000, 40_000), NORM: (20_000, 30_000)})])
    assert found.kernels is None
    assert found.kernels_reason == "kernels beside collectives: calls of the same kernel are not the same work"


def test_a_name_that_stands_for_much_longer_work_beside_collectives_is_no_evidence() -> None:
    """No collective takes so much of a device that a kernel needs 24 times as long: those were not the same work."""
    found = interference_of([alternating({GEMM: (100_000, 150_000), NORM: (1_000, 24_000)})])
    assert found.kernels is not None
    assert found.kernels.factor == pytest.approx(1.5, rel=0.01)
    assert set(np.round(found.rows[0], 2)) <= {1.0, 1.5}


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(1, 1e6)), min_size=1, max_size=40))
def test_quartiles_are_those_of_numpy(drawn: list[tuple[int, float]]) -> None:
    group, value = np.array([one for one, _ in drawn], np.intp), np.array([one for _, one in drawn])
    found = _Quartiles.of(group, value, 4)
    for place in range(4):
        mine = value[group == place]
        assert found.count[place] == mine.size
        if mine.size:
            low, middle, high = np.percentile(mine, [25, 50, 75])
            assert found.middle[place] == pytest.approx(middle)
            assert found.spread[place] == pytest.approx((high - low) / middle, abs=1e-9)


def test_on_real_gpus_what_one_rank_shows_explains_another(recordings: Path) -> None:
    """Rank 0 computes beside the collectives in which it waits for rank 1, and runs the same program.

    With the factors that rank 1 shows of its own kernels, the work of both comes closer together.
    """
    paths = sorted(str(path) for path in (recordings / "h200").glob("straggler_data.rank*.json.gz"))
    ranks = load(paths).ranks
    found = interference_of(ranks)
    assert isinstance(found.kernels, Slowdown) and found.kernels.factor > 1.2
    raw, alone = zip(*(_work(rank, found) for rank in ranks), strict=True)
    assert raw[0] / raw[1] > 1.1
    assert 0.98 < alone[0] / alone[1] < raw[0] / raw[1] - 0.05


def _work(rank: RankTimeline, found: Interference) -> tuple[float, float]:
    """Summed time of a rank's kernels, as recorded and without what they lost beside collectives."""
    events = rank.events
    assert events is not None
    classes = row_classes(events)
    kernels = events.rows(Kind.KERNEL)
    kernels = kernels[classes[kernels] != COMMUNICATION]
    beside = lengths_inside(
        events.spans(np.flatnonzero(classes == COMMUNICATION)), events.ts[kernels], events.end[kernels]
    )
    lost = beside * (1 - 1 / found.rows[rank.rank][kernels])
    return float(events.dur[kernels].sum()), float((events.dur[kernels] - lost).sum())
