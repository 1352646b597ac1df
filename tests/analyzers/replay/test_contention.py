"""Does work get longer beside other work, and shorter without it, by what was planted? And does no fix move nothing?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmprof.analyzers.facts.communication.interference import UNSEEN, UNSEEN_SLOW
from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.replay import contention
from llmprof.analyzers.replay.contention import Contention, _Covered, contention_of, settled, told_by
from llmprof.analyzers.replay.graph.build import ALL_EDGES
from llmprof.analyzers.replay.graph.graph import NO_REF, Graph, NodeKind
from llmprof.analyzers.replay.graph.replay import replay
from llmprof.analyzers.replay.model import Model, model_of
from llmprof.analyzers.replay.scenario import Scenario, contended, run
from llmprof.analyzers.replay.transforms.base import scaled
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.timeline.events import NONE
from llmprof.timeline.intervals import Intervals
from llmprof.timeline.timeline import Timeline
from tests.analyzers.replay.graph.test_replay import graph_of
from tests.analyzers.replay.sharing import BEGIN, Program, recorded, simulate

STEPS = 12
LATE = Program(scale=(1.0, 1.6), kernels=1.5, transfer=500_000.0)
"""Rank 0 waits for rank 1 in collectives that take 1.5 times the kernels beside them."""


def asked(program: Program) -> WhatIf:
    timeline = Timeline(ranks=recorded(program, STEPS), kind="kineto", paths=("here",), world_size=2)
    facts = measure(timeline)
    model = model_of(timeline, facts)
    assert isinstance(model, Model), model
    return WhatIf.of(model, facts)


def step_of(program: Program) -> float:
    return simulate(program).step_ns + BEGIN


def blind(found: WhatIf) -> WhatIf:
    """The same without what was learned."""
    return WhatIf(
        model=replace(found.model, scenario=replace(found.model.scenario, contention=None)), subject=found.subject
    )


def test_the_step_as_it_is_stays_exactly_as_it_is() -> None:
    found = asked(LATE)
    assert found.model.scenario.contention is not None
    assert found.model.outcome.step_ns == replay(found.model.scenario.graph).step_ns
    assert found.model.outcome.step_ns == pytest.approx(step_of(LATE), rel=0.001)


def test_a_straggler_repaired_leaves_its_peers_more_of_their_device() -> None:
    found, truth = asked(LATE), step_of(replace(LATE, scale=(1.0, 1.0)))
    assert found.outcome(["repair-straggler"]).step_ns == pytest.approx(truth, rel=0.005)
    assert blind(found).outcome(["repair-straggler"]).step_ns > 1.1 * truth


@pytest.mark.parametrize("share", [0.25, 0.5, 2.0])
def test_faster_and_slower_links_shorten_and_lengthen_the_kernels_beside_them(share: float) -> None:
    program = Program(kernels=1.5, collectives=1.2, transfer=300_000.0)
    found, truth = asked(program), step_of(replace(program, transfer=share * program.transfer))
    scenario = found.model.scenario
    changed = scaled(scenario, scenario.graph.kind == NodeKind.MEETING, dur=share)
    assert run(changed).step_ns == pytest.approx(truth, rel=0.01)
    assert abs(run(replace(changed, contention=None)).step_ns - truth) > 0.02 * truth


def test_collectives_that_are_gone_slow_nobody() -> None:
    found = asked(Program(kernels=1.5))
    scenario = found.model.scenario
    gone = scaled(scenario, scenario.graph.kind == NodeKind.MEETING, dur=0.0)
    kernels = run(gone).replayed.graph.dur[gone.contention.kernel]  # type: ignore[union-attr]
    assert kernels == pytest.approx(np.full(kernels.size, 200_000.0), rel=0.001)


def test_what_a_fix_makes_shorter_is_shorter_alone_and_beside() -> None:
    program = Program(kernels=1.5)
    found, truth = asked(program), step_of(replace(program, work=0.5 * program.work))
    scenario = found.model.scenario
    assert scenario.contention is not None
    assert run(scaled(scenario, scenario.contention.kernel, dur=0.5)).step_ns == pytest.approx(truth, rel=0.01)


def test_where_nothing_was_learned_nothing_changes() -> None:
    found = asked(replace(LATE, kernels=1.0))
    assert found.model.interference.kernels is None
    assert found.model.scenario.contention is None
    scenario = Scenario(graph=found.model.scenario.graph)
    assert contended(scenario, found.model.ranks, found.model.interference) is scenario
    assert contention_of(found.model.ranks, scenario.graph, found.model.interference) is None


APART = Program(count=16, every=16, transfer=300_000.0, elements=1 << 24)
"""An exchange of 64 MiB in 0.3 ms after all kernels, as over NVLink: nothing shows what it costs others."""


def test_sharing_that_no_recording_shows_is_assumed_as_large_as_the_device_allows() -> None:
    found = asked(APART)
    assert found.model.interference.kernels is None and found.model.interference.unseen
    contention = found.model.scenario.contention
    assert contention is not None
    assert set(contention.factor[contention.kernel]) == {UNSEEN[1]}
    least, most = found.model.sharing_otherwise()
    assert least.contention is None and most.contention is not None
    assert set(most.contention.factor[most.contention.kernel]) == {UNSEEN[2]}
    # As long as no fix moves anything, all of them are the same step.
    assert {run(one).step_ns for one in (least, most)} == {found.model.outcome.step_ns}


def test_over_a_slow_link_as_many_blocks_run_and_cost_what_they_did_in_recordings() -> None:
    found = asked(replace(APART, transfer=3_000_000.0))
    contention = found.model.scenario.contention
    assert found.model.interference.unseen and contention is not None
    assert set(contention.factor[contention.kernel]) == {UNSEEN_SLOW[1]}
    assert len(found.model.sharing_otherwise()) == 2


def test_sharing_can_be_left_out_to_see_what_it_is_worth() -> None:
    timeline = Timeline(ranks=recorded(LATE), kind="kineto", paths=("here",), world_size=2)
    model = model_of(timeline, measure(timeline), edges=ALL_EDGES - {"sharing"})
    assert isinstance(model, Model)
    assert model.scenario.contention is None and model.interference.kernels is None


ns = st.integers(0, 200)
spans_drawn = st.lists(st.tuples(ns, st.integers(1, 60)), min_size=1, max_size=8).map(
    lambda some: Intervals.of([begin for begin, _ in some], [begin + length for begin, length in some])
)


def walked(spans: Intervals, start: int, work: float, factor: float) -> float:
    """When the work is done, nanosecond by nanosecond."""
    at = start
    while work > 1e-9:
        rate = 1 / factor if spans.contains([at])[0] else 1.0
        if work <= rate:
            return at + work / rate
        work, at = work - rate, at + 1
    return float(at)


@settings(max_examples=100, deadline=None)
@given(spans_drawn, ns, st.integers(1, 150), st.sampled_from([0.9, 1.0, 1.25, 2.0, 3.0]))
def test_the_end_of_work_is_that_of_a_walk_through_time(spans: Intervals, start: int, work: int, factor: float) -> None:
    covered, lost = _Covered.by(spans), np.array([1 - 1 / factor])
    end = covered.after(np.array([float(start)]), np.array([float(work)]), lost)
    assert end[0] == pytest.approx(walked(spans, start, work, factor), abs=1e-6)
    # And what was covered of it tells the work again.
    took = end - start
    beside = covered.until(np.array([start]) + took) - covered.until(np.array([float(start)]))
    assert took[0] - lost[0] * beside[0] == pytest.approx(work, abs=1e-6)


@st.composite
def shared_devices(draw: st.DrawFn) -> tuple[Graph, Contention]:
    """One stream of kernels and one of collectives; each waits for its stream and some other node before it."""
    n = draw(st.integers(2, 10))
    collective = np.array([draw(st.booleans()) for _ in range(n)])
    last = {kind: max((k for k in range(n) if collective[k] == kind), default=0) - n for kind in (True, False)}
    before = [max((k for k in range(node) if collective[k] == collective[node]), default=NO_REF) for node in range(n)]
    before = [last[bool(collective[node])] if one == NO_REF else one for node, one in enumerate(before)]
    cause = [draw(st.one_of(st.just(NO_REF), st.integers(0, node - 1))) if node else NO_REF for node in range(n)]
    gap = [draw(st.integers(0, 50).map(float)) for _ in range(n)]
    dur = [draw(st.integers(100, 4000).map(float)) for _ in range(n)]
    graph = graph_of([NodeKind.DEVICE] * n, before, gap, cause, [0.0] * n, dur)
    factor = np.where(collective, 1.0, draw(st.sampled_from([1.1, 1.5, 2.5])))
    slower = np.where(collective, 1.0, draw(st.sampled_from([1.0, 3.0])))
    ones = np.ones(n)
    shared = Contention(
        collective=collective, kernel=~collective, factor=factor, alone=ones, gap=slower, gap_alone=ones
    )
    return graph, shared


@settings(max_examples=60, deadline=None)
@given(shared_devices(), st.integers(0, 9))
def test_a_schedule_keeps_its_own_durations_and_another_stays_between_alone_and_beside(
    drawn: tuple[Graph, Contention], shorter: int
) -> None:
    graph, contention = drawn
    first = replay(graph)
    told = told_by(contention, first)
    assert settled(told, first) is first
    assert (told.alone <= 1 + 1e-9).all() and (told.alone >= 1 / contention.factor - 1e-9).all()
    changed = replace(graph, dur=np.where(np.arange(len(graph)) == shorter % len(graph), 0.3, 1.0) * graph.dur)
    found = settled(told, replay(changed))
    work = changed.dur * told.alone
    assert (found.graph.dur >= work - 1e-6).all() and (found.graph.dur <= work * contention.factor + 1e-6).all()
    gap = changed.before_lag * told.gap_alone
    now = found.graph.before_lag
    assert (now >= gap - 1e-6).all() and (now <= gap * contention.gap + 1e-6).all()


def test_ranks_that_are_late_in_turn_settle_in_few_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits in a collective is slowed by it: rank 1 is late in half of the layers, rank 0 in the others."""
    found = asked(Program(kernels=2.0, transfer=600_000.0, count=96))
    scenario = found.model.scenario
    assert scenario.contention is not None
    graph, place = scenario.graph, np.zeros(len(scenario.graph), np.int64)
    for rank in (0, 1):
        mine = np.flatnonzero(scenario.contention.kernel & (graph.rank == rank))
        place[mine] = np.arange(mine.size)
    late = scenario.contention.kernel & (place // 16 % 2 == graph.rank)
    quick = scaled(scaled(scenario, graph.kind == NodeKind.MEETING, dur=0.1), late, dur=1.05)
    few = run(quick).step_ns
    # Every layer follows from those before it, so that passes enough come to the end of it.
    monkeypatch.setattr(contention, "MOST_PASSES", 60)
    monkeypatch.setattr(contention, "FREE_PASSES", 60)
    assert few == pytest.approx(run(quick).step_ns, rel=0.01)


def free_running(buckets: int, kernels: int, work: float, transfer: float, head_start: float) -> Graph:
    """Two equal ranks whose kernels wait for nothing; after some of them a bucket meets, behind the one before it.

    Kernels of rank 0 take longer by `head_start`, a share, and nothing of the graph lets it catch up.
    """
    each = 2 * kernels + 3
    n = buckets * each
    kind: list[int] = []
    rank, before, cause = [], [], []
    extra: list[tuple[int, int, float]] = []
    meeting = np.full(n, NONE, np.int64)
    for bucket in range(buckets):
        first = bucket * each
        for place in (0, 1):
            for number in range(kernels):
                node = first + place * kernels + number
                kind.append(NodeKind.DEVICE)
                rank.append(place)
                before.append(node - 1 if number else node - each + kernels - 1)
                cause.append(NO_REF)
        meets = first + each - 1
        for place in (0, 1):
            kind.append(NodeKind.DEVICE)
            rank.append(place)
            before.append(meets - each)
            cause.append(first + (place + 1) * kernels - 1)
            meeting[meets - 2 + place] = meets
        kind.append(NodeKind.MEETING)
        rank.append(0)
        before.append(meets - 2)
        cause.append(NO_REF)
        extra.append((meets, meets - 1, 0.0))
    columns = np.array(kind), np.array(rank, np.int32)
    arrives = meeting != NONE
    dur = np.where(columns[0] == NodeKind.MEETING, transfer, np.where(arrives, 0.0, work))
    graph = graph_of(kind, before, [0.0] * n, cause, [0.0] * n, dur.tolist(), extra)
    graph = replace(graph, ranks=(0, 1), rank=columns[1], meeting=meeting)
    slower = np.where((columns[1] == 0) & ~arrives & (columns[0] == NodeKind.DEVICE), 1 + head_start, 1.0)
    return replace(graph, dur=graph.dur * slower)


def test_a_rank_that_waits_loses_its_lead_and_never_comes_last() -> None:
    """Of equal ranks, 1 % apart, none is slowed by more than the transfers: the early one waits as long as it is early.

    24 buckets of 8 kernels of 0.2 ms, a transfer of 0.2 ms beside each, which slows kernels to 1 / 1.6.
    """
    graph = free_running(24, 8, 200_000.0, 200_000.0, 0.01)
    collective = graph.meeting != NONE
    kernel = (graph.kind == NodeKind.DEVICE) & ~collective
    ones = np.ones(len(graph))
    factor = np.where(kernel, 1.6, 1.0)
    shared = Contention(collective=collective, kernel=kernel, factor=factor, alone=ones, gap=ones, gap_alone=ones)
    found = settled(shared, replay(graph)).graph
    slower = [float(found.dur[kernel & (graph.rank == place)].sum()) for place in (0, 1)]
    truth = 24 * (8 * 1.01 * 200_000.0 + (1 - 1 / 1.6) * 200_000.0)
    assert slower[0] == pytest.approx(truth, rel=0.01)
    assert slower[1] <= 1.01 * slower[0]
