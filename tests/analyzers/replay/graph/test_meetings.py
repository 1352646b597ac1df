"""Do ranks that exchange messages wait for each other, and no longer, whatever becomes of their work?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from llmprof.analyzers.replay.graph.build import build
from llmprof.analyzers.replay.graph.graph import Graph, NodeKind
from llmprof.analyzers.replay.graph.join import join
from llmprof.analyzers.replay.graph.meetings import Meetings, meetings_of
from llmprof.analyzers.replay.graph.replay import replay
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.exchange import MS, Message, batched_run, one_forward_one_backward

Program = Sequence[str | Sequence[Message]]
UP: list[Program] = [["F", [("send", 1)]], [[("recv", 0)], "F"]]
DOWN: list[Program] = [[[("recv", 1)], "B"], ["B", [("send", 0)]]]
ALL_FORWARD_FIRST: list[Program] = [[*up] * 3 + [*down] * 3 for up, down in zip(UP, DOWN, strict=True)]


def stages(count: int, microbatches: int) -> list[Program]:
    return [one_forward_one_backward(stage, count, microbatches) for stage in range(count)]


def recorded(programs: Sequence[Program], forward_ns: Sequence[int]) -> tuple[list[RankTimeline], int]:
    """The ranks, and how long their steps take in the long run."""
    runs = batched_run(programs, forward_ns=forward_ns, steps=4)
    longer = batched_run(programs, forward_ns=forward_ns, steps=5)
    step_ns = max(5 * b.step_ns for b in longer) - max(4 * a.step_ns for a in runs)
    return [run.builder.rank(number) for number, run in enumerate(runs)], step_ns


def joined(programs: Sequence[Program], forward_ns: Sequence[int]) -> Graph:
    ranks, _ = recorded(programs, forward_ns)
    graphs = [graph for rank in ranks if (graph := build(rank)) is not None]
    met = meetings_of(ranks, graphs)
    assert met is not None
    return join(graphs, met)


PROGRAMS = [
    pytest.param(ALL_FORWARD_FIRST, (4 * MS, 4 * MS), id="all forward passes first"),
    pytest.param(stages(2, 4), (4 * MS, 4 * MS), id="in turns"),
    pytest.param(stages(2, 4), (6 * MS, 2 * MS), id="uneven"),
    pytest.param(stages(3, 5), (3 * MS, 5 * MS, 4 * MS), id="three stages"),
]


@pytest.mark.parametrize(("programs", "forward_ns"), PROGRAMS)
def test_the_joint_replay_of_a_pipeline_is_the_recording(
    programs: Sequence[Program], forward_ns: Sequence[int]
) -> None:
    assert replay(joined(programs, forward_ns)).step_ns == pytest.approx(recorded(programs, forward_ns)[1], rel=0.01)


@pytest.mark.parametrize(("programs", "forward_ns"), PROGRAMS)
@pytest.mark.parametrize("quick", [(0.5, 1.0, 1.0), (1.0, 0.5, 1.0), (0.5, 0.5, 0.5), (1.0, 3.0, 1.0)])
def test_stages_that_get_quicker_or_slower_wait_as_long_as_they_then_would(
    programs: Sequence[Program], forward_ns: Sequence[int], quick: Sequence[float]
) -> None:
    graph = joined(programs, forward_ns)
    passes = (graph.kind == NodeKind.DEVICE) & (graph.dur > MS) & ~graph.arriving
    graph.dur[passes] *= np.array(quick)[graph.rank[passes]]
    changed = [round(factor * ns) for factor, ns in zip(quick, forward_ns, strict=False)]
    assert replay(graph).step_ns == pytest.approx(recorded(programs, changed)[1], rel=0.02)


def test_each_message_takes_its_transfer_and_none_of_the_wait() -> None:
    graph = joined(stages(2, 4), (6 * MS, 2 * MS))
    met = graph.kind == NodeKind.MEETING
    assert met.sum() == 4 * 2 * 5  # steps, ranks, batches
    assert set(graph.dur[met].tolist()) == {13_495.0}  # 10 us and 1 MiB at 300 GB/s
    assert (graph.dur[graph.arriving] == 0).all()
    assert sorted(set(graph.rank[met].tolist())) == [0, 1]


def test_ranks_that_wait_in_a_circle_are_not_joined() -> None:
    """Each sends first, as the recording says, and takes the other one's message after that: nobody could go on."""
    ranks, _ = recorded([["F", [("send", 1)], [("recv", 1)]], ["F", [("recv", 0)], [("send", 0)]]], (MS, MS))
    turned, _ = recorded([["F", [("recv", 1)], [("send", 1)]], ["F", [("send", 0)], [("recv", 0)]]], (MS, MS))
    crossed = [ranks[0], turned[1]]
    graphs = [graph for rank in crossed if (graph := build(rank)) is not None]
    assert meetings_of(crossed, graphs) is None


def test_no_meetings() -> None:
    none = Meetings.none(3)
    assert none.and_of(none).nodes.shape == (0, 3)
