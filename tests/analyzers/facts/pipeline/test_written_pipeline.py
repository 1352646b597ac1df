"""Is a pipeline that was written by hand told by its messages, and nothing else taken for one?"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.pipeline.pipeline_model import PipelineModel, pipeline_model
from llmprof.analyzers.facts.pipeline.pipeline_schedule import by_hand
from llmprof.analyzers.facts.pipeline.written_pipeline import with_pipeline
from llmprof.analyzers.rules import pipeline_bubble, stage_imbalance
from llmprof.timeline.events import CollectiveCall
from llmprof.timeline.settings import ModelSettings, PipelineSettings
from llmprof.timeline.timeline import RankTimeline, Timeline
from tests.analyzers.rules.exchange_facts import environment, gain_ms
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, status
from tests.scenarios.builder import TraceBuilder
from tests.scenarios.exchange import MS, Message, batched_run, one_forward_one_backward, split_run

KERNEL = "ncclDevKernel_SendRecv(ncclDevKernelArgsStorage<4096ul>)"


def split_facts(microbatches: int, forward_ns: tuple[int, int], blocks: tuple[int, int] = (6, 6)) -> Facts:
    """Two ranks whose settings say nothing of a pipeline; the first of many steps does not wait for the one before."""
    runs = split_run(microbatches, forward_ns=forward_ns, steps=20)
    own = [ModelSettings(modules={"Block": count, "Linear": 9 * count}) for count in blocks]
    ranks = [run.builder.rank(n, environment=environment(n, models=(own[n],))) for n, run in enumerate(runs)]
    return measure(Timeline(ranks=tuple(ranks), kind="run", paths=(), world_size=2))


def talking(
    rank: int, names: Sequence[str], *, group: tuple[int, ...] = (0, 1), steps: int = 2, peer: int | None = None
) -> RankTimeline:
    """Messages with these names in every step, between ranks of a group."""
    b = TraceBuilder()
    for step in range(steps):
        begin = step * 100 * MS
        for place, name in enumerate(names):
            at = begin + (2 * place + 1) * MS
            call = CollectiveCall(
                name=name, in_elements=1 << 20, dtype="Float", group_size=len(group), ranks=group, peer=peer
            )
            b.kernel(KERNEL, at, MS, launch_ns=at - 10_000, stream=9, collective=call)
        b.step(step, begin, begin + 100 * MS)
    return b.rank(rank, environment=environment(rank, world_size=len(group)))


def stage(rank: RankTimeline) -> tuple[int | None, tuple[int, ...], int | None] | None:
    """Stages, the rank's own ones and micro-batches."""
    found = with_pipeline(rank).environment.pipeline
    return None if found is None else (found.stages, found.local_stages, found.microbatches)


@pytest.mark.parametrize("count", [1, 4])
def test_the_first_stage_sends_and_the_last_one_receives_first(count: int) -> None:
    assert stage(talking(0, ["send"] * count + ["recv"] * count)) == (2, (0,), count)
    assert stage(talking(1, ["recv"] * count + ["send"] * count)) == (2, (1,), count)


def test_stages_between_pass_on_what_they_receive() -> None:
    group = (4, 5, 6)
    assert stage(talking(4, ["send"] * 3 + ["recv"] * 3, group=group)) == (3, (0,), 3)
    assert stage(talking(5, ["recv", "send"] * 6, group=group)) == (3, (1,), 3)
    assert stage(talking(6, ["recv"] * 3 + ["send"] * 3, group=group)) == (3, (2,), 3)


@pytest.mark.parametrize(
    "names",
    [["send", "recv"] * 2, ["send", "send", "recv"], ["coalesced"] * 4, ["send", "coalesced"], ["send"] * 2],
    ids=["ring attention", "a gradient is missing", "begun together", "half known", "one way"],
)
def test_other_messages_are_no_pipeline(names: Sequence[str]) -> None:
    assert stage(talking(0, names)) is None


def test_a_schedule_that_is_known_is_left_alone() -> None:
    known = PipelineSettings(schedule="Schedule1F1B", microbatches=8, stages=2, local_stages=(0,))
    rank = split_run(2)[0].builder.rank(0, environment=environment(pipeline=known))
    assert with_pipeline(rank) is rank


def test_a_stage_whose_other_one_was_not_recorded_is_not_believed() -> None:
    alone = measure(Timeline(ranks=(talking(0, ["send", "recv"]),), kind="run", paths=(), world_size=2))
    assert alone.critical.environment.pipeline is None
    assert alone.critical.stage is None


@pytest.mark.parametrize("microbatches", [1, 4])
@pytest.mark.parametrize("forward_ns", [(4 * MS, 4 * MS), (6 * MS, 3 * MS), (2 * MS, 6 * MS)])
def test_its_step_is_reproduced(microbatches: int, forward_ns: tuple[int, int]) -> None:
    facts = split_facts(microbatches, forward_ns)
    assert facts.critical.environment.pipeline is not None
    assert facts.critical.environment.pipeline.schedule == by_hand("gpipe")
    model = pipeline_model(facts)
    assert isinstance(model, PipelineModel)
    assert abs(model.error) < 0.03


def test_more_micro_batches_are_advised_with_what_they_bring() -> None:
    facts = split_facts(1, (32 * MS, 32 * MS))
    advice = fix(pipeline_bubble.evaluate(facts), "more-microbatches")
    more = int(advice.action.split("into ")[1].split()[0])
    assert "micro-batches instead of 1" in advice.action
    assert "chunk" in advice.how
    assert advice.effort == "few_lines"
    each = 32 * MS // more
    assert_contains(
        advice, gain_ms(split_run(1, forward_ns=(32 * MS, 32 * MS))[0], split_run(more, forward_ns=(each, each))[0])
    )
    assert_consistent(advice, facts)


def test_uneven_stages_are_found_and_their_layers_divided() -> None:
    facts = split_facts(4, (8 * MS, 4 * MS), blocks=(8, 4))
    found = stage_imbalance.evaluate(facts)
    assert status(found) == "fired"
    advice = fix(found, "balance-stages")
    assert "stages of 6, 6 layers" in advice.how
    assert advice.effort == "few_lines"  # whole layers stand elsewhere, and no code changes
    before, after = split_run(4, forward_ns=(8 * MS, 4 * MS))[0], split_run(4, forward_ns=(6 * MS, 6 * MS))[0]
    assert_contains(advice, gain_ms(before, after))
    assert advice.gain.expected_ms == pytest.approx(gain_ms(before, after), rel=0.1)


Program = Sequence[str | Sequence[Message]]


def batched(programs: Sequence[Program], forward_ns: Sequence[int]) -> Facts:
    """Ranks that exchange batches (`batch_isend_irecv`); of many steps the first does not wait for the one before."""
    runs = batched_run(programs, forward_ns=forward_ns, steps=20)
    world = len(runs)
    ranks = [run.builder.rank(n, environment=environment(n, world_size=world)) for n, run in enumerate(runs)]
    return measure(Timeline(ranks=tuple(ranks), kind="run", paths=(), world_size=world))


def schedules(facts: Facts) -> list[tuple[str | None, int | None, tuple[int, ...]] | None]:
    told = [rank.environment.pipeline for rank in facts.ranks.values()]
    return [None if own is None else (own.schedule, own.microbatches, own.local_stages) for own in told]


@pytest.mark.parametrize(
    "forward_ns", [(4 * MS, 4 * MS), (3 * MS, 6 * MS), (4 * MS,) * 3, (4 * MS, 4 * MS, 4 * MS, 6 * MS)]
)
def test_one_forward_one_backward_in_batches_is_told_and_its_step_reproduced(forward_ns: tuple[int, ...]) -> None:
    stages = len(forward_ns)
    facts = batched([one_forward_one_backward(stage, stages, 6) for stage in range(stages)], forward_ns)
    assert schedules(facts) == [(by_hand("1f1b"), 6, (stage,)) for stage in range(stages)]
    model = pipeline_model(facts)
    assert isinstance(model, PipelineModel)
    assert abs(model.error) < 0.03


@pytest.mark.parametrize("microbatches", [1, 4])
def test_all_forward_passes_first_in_batches_of_one(microbatches: int) -> None:
    up: list[Program] = [["F", [("send", 1)]], [[("recv", 0)], "F"]]
    down: list[Program] = [[[("recv", 1)], "B"], ["B", [("send", 0)]]]
    programs = [[*up[rank]] * microbatches + [*down[rank]] * microbatches for rank in (0, 1)]
    assert schedules(batched(programs, (4 * MS, 4 * MS))) == [(by_hand("gpipe"), microbatches, (n,)) for n in (0, 1)]


def test_more_micro_batches_are_advised_to_a_pipeline_of_batches() -> None:
    def facts(microbatches: int) -> Facts:
        programs = [one_forward_one_backward(stage, 2, microbatches) for stage in (0, 1)]
        return batched(programs, (32 * MS // microbatches,) * 2)

    before = facts(1)
    advice = fix(pipeline_bubble.evaluate(before), "more-microbatches")
    more = int(advice.action.split("into ")[1].split()[0])
    assert_contains(advice, (before.step.mean_ns - facts(more).step.mean_ns) / 1e6)
    assert "chunk" in advice.how


def test_neighbours_that_exchange_both_ways_are_no_stages() -> None:
    around = [[("send", 1 - rank), ("recv", 1 - rank)] for rank in (0, 1)]
    assert schedules(batched([["F", turn, "F", turn] for turn in around], (4 * MS, 4 * MS))) == [None, None]


def test_a_stage_that_sends_over_the_next_one_is_none() -> None:
    group = (0, 1, 2)
    assert stage(talking(0, ["send"] * 2 + ["recv"] * 2, group=group, peer=1)) == (3, (0,), 2)
    assert stage(talking(0, ["send"] * 2 + ["recv"] * 2, group=group, peer=2)) is None


@pytest.mark.parametrize(("late_ns", "ahead"), [(0, False), (3 * MS, True)])
def test_a_stage_sends_ahead_when_it_launches_more_before_it_waits(late_ns: int, ahead: bool) -> None:
    b = TraceBuilder()
    for place, name in enumerate(["send", "send", "recv", "recv"]):
        at = (10 * place + 1) * MS
        call = CollectiveCall(name=name, in_elements=1 << 20, dtype="Float", group_size=2, ranks=(0, 1))
        b.kernel(KERNEL, at, MS, launch_ns=at - 10_000, stream=9, collective=call)
        wait = at + (late_ns if name == "send" else 0)
        b.op("record_param_comms", wait, 1_000, collective=CollectiveCall(name="wait"))
        b.kernel("gemm", at + 4 * MS, MS, launch_ns=at + 2 * MS)
    b.step(0, 0, 100 * MS)
    found = with_pipeline(b.rank(0, environment=environment(0))).environment.pipeline
    assert found is not None
    assert found.schedule == by_hand("gpipe", ahead=ahead)
