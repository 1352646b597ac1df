"""Does the played schedule take as long as its formula says, and as brute force finds?"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmprof.analyzers.facts.pipeline.pipeline_schedule import (
    SCHEDULES,
    StagePasses,
    by_hand,
    exchanges,
    schedule_of,
    step_ns,
)
from llmprof.errors import InputError

BY_HAND = by_hand("gpipe")
TIMES = st.integers(min_value=1, max_value=50)
STAGES = st.lists(st.tuples(TIMES, TIMES, TIMES), min_size=1, max_size=4)


def stages_of(times: list[tuple[int, int, int]]) -> list[StagePasses]:
    return [StagePasses(forward_ns=f, backward_ns=b, once_ns=o) for f, b, o in times]


def order(schedule: str, stages: int, stage: int, microbatches: int) -> list[tuple[str, int]]:
    """Passes of a stage in order, by the definition of the schedules."""
    forward = [("F", number) for number in range(microbatches)]
    backward = [("B", number) for number in range(microbatches)]
    if not schedule.startswith("1f1b"):
        return forward + backward
    warm_up = min(microbatches, stages - stage - 1)
    turns = [one for pair in zip(forward[warm_up:], backward, strict=False) for one in pair]
    return forward[:warm_up] + turns + backward[microbatches - warm_up :]


def without_messages(
    times: list[tuple[int, int, int]], microbatches: int, schedule: str, *, delivered: bool = False
) -> int:
    """The fourth step by relaxation: every pass begins when its data are made and its stage is free, wherever they lie.

    Messages neither wait for a receiver nor for each other, so that no pipeline is faster. With `delivered` a stage
    ends its step only when the stage below, done with the gradient before, has taken the last one.
    """
    count = len(times)
    end: dict[tuple[int, int, str, int], int] = {}
    changed = True
    while changed:
        changed = False
        for stage, (forward, backward, once) in enumerate(times):
            free = 0
            for step in range(4):
                for kind, number in [*order(schedule, count, stage, microbatches), ("O", 0)]:
                    before = {"F": stage - 1, "B": stage + 1}.get(kind, -1)
                    ready = end.get((step, before, kind, number), 0) if 0 <= before < count else 0
                    if kind == "B" and stage == count - 1:
                        ready = end.get((step, stage, "F", number), 0)
                    if kind == "O" and delivered and stage > 0 and microbatches > 1:
                        ready = end.get((step, stage - 1, "B", microbatches - 2), 0)
                    free = max(free, ready) + {"F": forward, "B": backward, "O": once}[kind]
                    changed |= end.get((step, stage, kind, number)) != free
                    end[step, stage, kind, number] = free
    last = [max(end[step, stage, "O", 0] for stage in range(count)) for step in (2, 3)]
    return last[1] - last[0]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("stages", [1, 2, 3, 8])
@pytest.mark.parametrize("microbatches", [1, 2, 5, 16])
def test_equal_stages_take_m_plus_p_minus_1_turns(schedule: str, stages: int, microbatches: int) -> None:
    passes = [StagePasses(forward_ns=3, backward_ns=7, once_ns=5)] * stages
    assert step_ns(passes, microbatches, schedule=schedule) == (microbatches + stages - 1) * 10 + 5


@settings(max_examples=60, deadline=None)
@given(times=STAGES, microbatches=st.integers(1, 6), schedule=st.sampled_from(SCHEDULES))
def test_it_lies_between_no_waiting_for_messages_and_one_stage_at_a_time(
    times: list[tuple[int, int, int]], microbatches: int, schedule: str
) -> None:
    played = step_ns(stages_of(times), microbatches, schedule=schedule)
    assert without_messages(times, microbatches, schedule) <= played
    assert played <= microbatches * sum(f + b for f, b, _ in times) + sum(o for _, _, o in times)


@settings(max_examples=300, deadline=None)
@given(times=st.lists(st.tuples(TIMES, TIMES, TIMES), min_size=2, max_size=2), microbatches=st.integers(1, 6))
def test_two_stages_under_gpipe_are_those_of_brute_force(times: list[tuple[int, int, int]], microbatches: int) -> None:
    """No message stands in the way of another there: one direction at a time, one boundary."""
    found = step_ns(stages_of(times), microbatches, schedule="gpipe")
    assert found == without_messages(times, microbatches, "gpipe", delivered=True)


def test_a_stage_ends_its_step_when_its_last_gradient_is_taken() -> None:
    """The lower stage takes 2 for the gradient before; without waiting for it the step would take 9."""
    passes = stages_of([(1, 2, 1), (1, 1, 5)])
    assert step_ns(passes, 2, schedule="gpipe") == 10


@settings(max_examples=40, deadline=None)
@given(times=STAGES, microbatches=st.integers(1, 6), schedule=st.sampled_from(SCHEDULES), longer=TIMES)
def test_more_work_never_makes_it_shorter(
    times: list[tuple[int, int, int]], microbatches: int, schedule: str, longer: int
) -> None:
    more = [(f + longer, b, o) for f, b, o in times[:1]] + times[1:]
    before = step_ns(stages_of(times), microbatches, schedule=schedule)
    assert step_ns(stages_of(more), microbatches, schedule=schedule) >= before


def test_by_hand_a_stage_computes_on_only_when_what_it_sends_was_taken() -> None:
    """The upper stage takes 9 for the first one: the lower one, done with two after 2, hands on the second at 10."""
    passes = stages_of([(1, 1, 1), (9, 1, 1)])
    assert step_ns(passes, 3, schedule="gpipe") == step_ns(passes, 3, schedule=BY_HAND)
    slow_to_send = stages_of([(4, 1, 1), (9, 1, 1), (1, 1, 1)])
    assert step_ns(slow_to_send, 3, schedule=BY_HAND) >= step_ns(slow_to_send, 3, schedule="gpipe")


def test_the_messages_of_a_stage_by_hand() -> None:
    assert exchanges(BY_HAND, 2, 0, 2) == ["send", "send", "receive", "receive"]
    assert exchanges(BY_HAND, 2, 1, 2) == ["receive", "receive", "send", "send"]
    assert exchanges(BY_HAND, 3, 1, 2) == ["receive", "send"] * 4


def test_a_message_delays_the_first_micro_batch_and_the_last_gradient() -> None:
    passes = [StagePasses(forward_ns=10, backward_ns=20)] * 2
    assert step_ns(passes, 1, schedule="gpipe", message_ns=3) == 2 * 30 + 2 * 3


def test_a_host_that_is_slower_than_the_device_sets_the_pace() -> None:
    passes = [StagePasses(forward_ns=1, backward_ns=2, host_forward_ns=40, host_backward_ns=60, host_once_ns=5)] * 2
    assert step_ns(passes, 4, schedule="1f1b") == pytest.approx(4 * 100 + 5)


def test_names_of_torch_are_known_and_others_are_not_guessed() -> None:
    assert (schedule_of("ScheduleGPipe"), schedule_of("Schedule1F1B")) == ("gpipe", "1f1b")
    assert schedule_of("ScheduleInterleaved1F1B") is None
    with pytest.raises(InputError, match="zero bubble is not played"):
        step_ns([StagePasses(forward_ns=1, backward_ns=1)], 1, schedule="zero bubble")
