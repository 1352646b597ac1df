"""The verdict follows from the partition by the documented limits, says how sure it is, and abstains when it must."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.bound import scores
from llmprof.analyzers.facts.host.host import HostFacts
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.partition.partition import Partition, parts_of
from llmprof.analyzers.facts.steps.coverage import MAX_LOST, RecordingFacts
from llmprof.analyzers.facts.steps.steps import StepFacts, Windows
from llmprof.analyzers.verdict import judge
from llmprof.timeline.environment import Environment
from llmprof.timeline.intervals import Intervals
from llmprof.timeline.settings import PipelineSettings
from llmprof.timeline.timeline import Quality
from tests.analyzers.rules.exchange_facts import facts_of
from tests.analyzers.rules.run_builder import table
from tests.scenarios.exchange import pipeline_run

MS = 1_000_000
WINDOWS = Windows(np.arange(4), np.arange(4) * 100 * MS, (np.arange(4) + 1) * 100 * MS)


def rank_facts(
    detail: Mapping[str, float],
    rank: int = 0,
    memory: MemoryFacts | None = None,
    traced: Mapping[str, float] | None = None,
    remainder_ms: float = 0.0,
    cpu_only: bool = False,
    basis: str = "unprofiled",
) -> RankFacts:
    """A rank whose step has these detailed classes, in ms."""

    def made(values: Mapping[str, float]) -> Partition:
        ns = {name: value * MS for name, value in values.items()}
        classes = {k: v for k, v in ns.items() if k in ("gemm", "elementwise", "attention")}
        stalls = {k: v for k, v in ns.items() if k in ("checkpoint", "gc")}
        return Partition(
            step_ns=sum(ns.values()),
            parts=parts_of(ns),
            compute_classes=classes,
            stall_classes=stalls,
            detail={k: v for k, v in ns.items() if k not in classes and k not in stalls},
            spans={"gemm": Intervals.span(0, 1)},
            cpu_only=cpu_only,
        )

    partition = made(detail)
    return RankFacts(
        rank=rank,
        environment=Environment(),
        step=StepFacts(mean_ns=partition.step_ns, basis=basis),  # type: ignore[arg-type]
        windows=WINDOWS,
        partition=partition,
        traced=made(traced or detail),
        remainder_ns=remainder_ms * MS,
        memory=memory,
    )


def facts(*ranks: RankFacts) -> Facts:
    return Facts(ranks={r.rank: r for r in ranks}, critical=ranks[0], step=ranks[0].step)


@pytest.mark.parametrize(
    ("detail", "bound", "what"),
    [
        ({"gemm": 60, "wait": 38, "launch": 2}, "data", "wait"),
        ({"gemm": 10, "launch": 88, "gap": 2}, "host", "launch"),
        ({"gemm": 50, "communication": 45, "launch": 5}, "communication", None),
        ({"gemm": 50, "peer": 45, "launch": 5}, "communication", None),
        ({"gemm": 70, "elementwise": 25, "launch": 5}, "compute", "gemm"),
        ({"gemm": 20, "elementwise": 75, "launch": 5}, "memory", "bandwidth"),
        ({"gemm": 60, "checkpoint": 30, "launch": 10}, "host", "checkpoint"),
        ({"gemm": 55, "launch": 9, "wait": 9, "communication": 9, "dependency": 18}, "none", None),
        ({"gemm": 75, "launch": 15, "wait": 10}, "compute", "gemm"),
        ({"gemm": 75, "launch": 21, "wait": 4}, "host", "launch"),
        ({"gemm": 55, "launch": 15, "wait": 10, "dependency": 20}, "host", "launch"),
        ({"gemm": 85, "launch": 15}, "compute", "gemm"),
    ],
)
def test_the_bound_follows_from_the_shares(detail: dict[str, float], bound: str, what: str | None) -> None:
    verdict = judge(facts(rank_facts(detail)))
    assert (verdict.bound, verdict.detail) == (bound, what)


def test_scores_never_exceed_the_step() -> None:
    found = scores(rank_facts({"gemm": 10, "wait": 20, "skew": 30, "sync": 5, "unlinked": 35}).partition)  # type: ignore[arg-type]
    assert sum(found.values()) == pytest.approx(0.65)


def test_too_much_without_a_cause_gives_no_verdict_and_the_reason() -> None:
    verdict = judge(facts(rank_facts({"gemm": 40, "launch": 10, "unlinked": 50})))
    assert verdict.bound is None
    assert verdict.reason is not None and "50%" in verdict.reason


def test_a_remainder_above_five_percent_caps_the_confidence() -> None:
    sure = judge(facts(rank_facts({"gemm": 20, "launch": 80})))
    unsure = judge(facts(rank_facts({"gemm": 20, "launch": 80}, remainder_ms=-6)))
    assert sure.confidence is not None and unsure.confidence is not None
    assert sure.confidence > 0.7
    assert unsure.confidence <= 0.4


def test_a_verdict_that_the_correction_turned_round_is_at_most_medium() -> None:
    verdict = judge(facts(rank_facts({"gemm": 95, "launch": 5}, traced={"gemm": 50, "launch": 50})))
    assert verdict.bound == "compute"
    assert verdict.confidence is not None and verdict.confidence <= 0.69


def test_a_profiled_run_is_called_that_and_is_at_most_medium() -> None:
    verdict = judge(facts(rank_facts({"gemm": 20, "launch": 80}, basis="profiled")))
    assert verdict.confidence is not None and verdict.confidence <= 0.69
    assert "profiled-run" in verdict.flags and "profiled run" in verdict.sentence


def test_out_of_memory_and_retries_are_a_capacity_verdict() -> None:
    for memory in (MemoryFacts(out_of_memory=True), MemoryFacts(retries=2)):
        verdict = judge(facts(rank_facts({"gemm": 90, "launch": 10}, memory=memory)))
        assert (verdict.bound, verdict.detail) == ("memory", "capacity")
        assert "memory-capacity" in verdict.flags


def test_full_memory_alone_is_a_flag_and_not_the_bound() -> None:
    memory = MemoryFacts(capacity_bytes=100, peak_reserved_bytes=98, retries=0)
    verdict = judge(facts(rank_facts({"gemm": 90, "launch": 10}, memory=memory)))
    assert verdict.bound == "compute" and "memory-capacity" in verdict.flags


def test_a_straggler_that_one_class_explains_has_that_class_as_its_bound() -> None:
    slow = rank_facts({"gemm": 25, "communication": 2, "wait": 90, "launch": 13}, rank=1)
    fast = rank_facts({"gemm": 28, "communication": 4, "skew": 98}, rank=0)
    verdict = judge(facts(slow, fast))
    assert verdict.bound == "data" and "straggler-rank" in verdict.flags
    assert "rank 1" in verdict.sentence


def test_a_straggler_that_no_class_explains_is_an_imbalance() -> None:
    slow = rank_facts({"gemm": 60, "wait": 30, "launch": 40}, rank=1)
    fast = rank_facts({"gemm": 28, "communication": 4, "skew": 98}, rank=0)
    verdict = judge(facts(slow, fast))
    assert verdict.bound == "imbalance"
    assert "rank 1" in verdict.sentence


@pytest.mark.parametrize(("fast_busy_ms", "bound"), [(48, "data"), (30, "imbalance")])
def test_launches_that_follow_a_late_batch_are_no_difference_between_hosts(fast_busy_ms: int, bound: str) -> None:
    """The peers launch as much while they wait: of 60 ms of excess, 20 ms are launches that both hosts have to do."""
    slow = rank_facts({"gemm": 20, "wait": 50, "launch": 30}, rank=1)
    fast = rank_facts({"gemm": 20, "wait": 10, "launch": 10, "skew": 60}, rank=0)
    slow = replace(slow, host=HostFacts(busy_ns=50 * MS))
    fast = replace(fast, host=HostFacts(busy_ns=fast_busy_ms * MS))
    verdict = judge(facts(slow, fast))
    assert verdict.bound == bound
    assert ("straggler-rank" in verdict.flags) == (bound == "data")


def test_of_two_ranks_the_late_one_is_held_against_the_other_alone() -> None:
    """15 ms of 100 are an excess of 15 %, not of the half that a median with the late rank itself would show."""
    slow = rank_facts({"gemm": 75, "wait": 25}, rank=1)
    fast = rank_facts({"gemm": 75, "wait": 10, "skew": 15}, rank=0)
    assert "straggler-rank" in judge(facts(slow, fast)).flags


@pytest.mark.parametrize(("traced_ms", "told"), [(104, True), (140, False)])
def test_a_late_host_says_nothing_in_a_trace_that_slowed_hosts_down(traced_ms: int, told: bool) -> None:
    slow = rank_facts({"gemm": 60, "launch": 40}, rank=1)
    fast = rank_facts({"gemm": 60, "launch": 20, "skew": 20}, rank=0)
    run = facts(slow, fast)
    run = replace(run, step=replace(run.step, traced_mean_ns=traced_ms * MS))
    assert ("straggler-rank" in judge(run).flags) == told


def test_two_equal_causes_leave_little_confidence() -> None:
    verdict = judge(facts(rank_facts({"gemm": 30, "wait": 35, "launch": 35})))
    assert verdict.confidence is not None and verdict.confidence < 0.3
    assert verdict.runner_up is not None and verdict.runner_up.share == pytest.approx(0.35)


@pytest.mark.parametrize(
    ("detail", "other", "words"),
    [
        ({"gemm": 15, "launch": 43, "wait": 42}, "data", "waits for data 42.0 ms (42 %)"),
        ({"gemm": 75, "launch": 22, "dependency": 3}, "compute", "kernels run 75.0 ms (75 %)"),
        ({"gemm": 80, "communication": 17, "launch": 3}, "communication", "nothing hides take 17.0 ms (17 %)"),
        ({"gemm": 33, "elementwise": 67}, "memory", "memory traffic run 67.0 ms (67 %)"),
    ],
)
def test_a_cause_within_five_points_is_named_beside_the_bound(detail: dict[str, float], other: str, words: str) -> None:
    verdict = judge(facts(rank_facts(detail)))
    assert verdict.runner_up is not None and verdict.runner_up.bound == other
    assert verdict.sentence.endswith(f"{words}.")


@pytest.mark.parametrize(
    "detail",
    [
        {"gemm": 15, "launch": 50, "wait": 35},
        {"gemm": 60, "communication": 40},
        {"gemm": 88, "launch": 12},
        {"gemm": 55, "launch": 9, "wait": 9, "communication": 9, "dependency": 18},
    ],
)
def test_a_verdict_that_a_few_points_do_not_change_names_one_cause(detail: dict[str, float]) -> None:
    assert "nearly" not in judge(facts(rank_facts(detail))).sentence


def test_a_straggler_is_the_runner_up_of_what_it_does_longer() -> None:
    slow = rank_facts({"gemm": 100}, rank=1)
    fast = rank_facts({"gemm": 60, "skew": 40}, rank=0)
    verdict = judge(facts(slow, fast))
    assert verdict.bound == "compute"
    assert verdict.runner_up is not None
    assert (verdict.runner_up.bound, verdict.runner_up.share) == ("imbalance", pytest.approx(0.4))


def test_uneven_stages_of_a_pipeline_are_named_beside_the_busy_one() -> None:
    """90 ms of kernels on one stage and 30 on the other: the mean is 60, and 30 of the step of 100 are one stage's."""
    settings = PipelineSettings(stages=2, schedule="Schedule1F1B", microbatches=8)
    heavy, light = (
        replace(rank, environment=Environment(pipeline=replace(settings, local_stages=(rank.rank,))))
        for rank in (
            rank_facts({"gemm": 90, "launch": 10}, rank=1),
            rank_facts({"gemm": 30, "communication": 70}, rank=0),
        )
    )
    verdict = judge(facts(heavy, light))
    assert verdict.bound == "compute"
    assert verdict.sentence.endswith("imbalanced: ranks wait for the one with most work 30.0 ms (30 %).")


def test_a_run_short_of_memory_that_goes_on_says_what_takes_its_time() -> None:
    memory = MemoryFacts(capacity_bytes=100, peak_reserved_bytes=100, retries=3)
    verdict = judge(facts(rank_facts({"gemm": 27, "launch": 73}, memory=memory)))
    assert (verdict.bound, verdict.detail) == ("memory", "capacity")
    assert verdict.sentence.endswith("In time it is host-bound: the GPU waits for the host 73.0 ms (73 %).")


def test_a_pipeline_that_waits_in_sends_and_receives_waits_for_its_stages() -> None:
    settings = {"pipeline": PipelineSettings(stages=2, local_stages=(0,))}
    verdict = judge(facts_of(pipeline_run(0, 2), pipeline_run(1, 2), settings=settings))
    assert verdict.bound == "communication"
    assert "the stages of the pipeline wait for each other" in verdict.sentence


def test_the_wait_in_messages_of_ranks_that_are_no_pipeline_is_not_called_their_transfer() -> None:
    verdict = judge(facts_of(pipeline_run(0, 2), pipeline_run(1, 2)))
    assert verdict.bound == "communication"
    assert "sends and receives, waiting for the other rank included, take" in verdict.sentence


def test_the_runner_up_of_memory_traffic_is_not_the_same_kernels() -> None:
    verdict = judge(facts(rank_facts({"gemm": 14, "elementwise": 80, "launch": 6})))
    assert verdict.bound == "memory"
    assert verdict.runner_up is not None
    assert verdict.runner_up.bound == "compute"
    assert verdict.runner_up.share == pytest.approx(0.14)


def test_a_run_without_a_gpu_says_so() -> None:
    verdict = judge(facts(rank_facts({"gemm": 40, "wait": 60}, cpu_only=True)))
    assert verdict.bound == "data" and "cpu-only" in verdict.flags
    assert "no GPU" in verdict.sentence


HOST = {"gemm": 20, "launch": 80}
EXPOSED = {"gemm": 50, "communication": 45, "launch": 5}
UNTOLD = RecordingFacts(quality=Quality(collective_arguments_share=0.2))


def confidence(detail: Mapping[str, float], *recordings: RecordingFacts) -> float:
    """Of the verdict about ranks that were recorded so; the first one is critical."""
    found = judge(facts(*(replace(rank_facts(detail, i), recording=made) for i, made in enumerate(recordings))))
    assert found.confidence is not None
    return found.confidence


@pytest.mark.parametrize(
    ("detail", "recording", "factor"),
    [
        (HOST, RecordingFacts(lost_share=0.02), 0.9),
        (HOST, RecordingFacts(clock_error_share=0.04), 0.8),
        (HOST, RecordingFacts(lost_share=MAX_LOST), 0.5),
        (HOST, RecordingFacts(lost_share=0.9), 0.0),
        (HOST, RecordingFacts(cut=True), 0.7),
        (HOST, RecordingFacts(cut=True, lost_share=0.04), 0.56),
        (EXPOSED, UNTOLD, 0.9),
        (HOST, UNTOLD, 1.0),
        (HOST, RecordingFacts(quality=Quality(overlapping_rows=99, repaired_events=99, has_shapes=False)), 1.0),
    ],
)
def test_a_damaged_recording_lowers_the_confidence_by_the_stated_rule(
    detail: dict[str, float], recording: RecordingFacts, factor: float
) -> None:
    whole = confidence(detail, RecordingFacts())
    assert confidence(detail, recording) == pytest.approx(max(0.05, whole * factor), abs=0.006)


def test_a_damaged_rank_beside_the_critical_one_counts_only_where_ranks_are_compared() -> None:
    whole, damaged = RecordingFacts(), RecordingFacts(cut=True)
    assert confidence(HOST, whole, damaged) == confidence(HOST, whole, whole)
    assert confidence(EXPOSED, whole, damaged) < confidence(EXPOSED, whole, whole)


def test_long_steps_that_were_not_traced_are_the_reason_for_an_abstention() -> None:
    """Of a mean step of 100 ms the trace explains 50; four of 80 steps take 1000 ms longer, 50 per step."""
    rank = rank_facts({"gemm": 45, "launch": 5, "untraced": 50})
    steps = table([1050.0 if step % 20 == 10 else 50.0 for step in range(80)])
    reason = judge(facts(replace(rank, table=steps))).reason
    assert reason is not None and "4 much longer steps" in reason and "trace steps" not in reason
    even = judge(facts(replace(rank, table=table([100.0] * 80)))).reason
    assert even is not None and "trace steps that are like the rest" in even


def test_a_stall_is_told_apart_from_the_rest_of_the_host_s_time() -> None:
    text = judge(facts(rank_facts({"gemm": 60, "checkpoint": 30, "launch": 10}))).sentence
    assert "waits 40.0 ms of every 100 ms step (40 %), most of it for checkpoints to be written" in text


@pytest.mark.parametrize(("memory_ms", "bound"), [(60, "compute"), (80, "memory")])
def test_the_roofline_decides_between_arithmetic_and_bandwidth_where_shapes_are_known(
    memory_ms: float, bound: str
) -> None:
    """By class 80 % would be bandwidth; by shapes it is 60 or 80 % of the 100 ms."""
    rank = rank_facts({"gemm": 20, "elementwise": 80})
    known = OperatorFacts(
        ns=100 * MS, device="H200", memory_limited_ns=memory_ms * MS, arithmetic_limited_ns=(100 - memory_ms) * MS
    )
    verdict = judge(facts(replace(rank, operators=known)))
    assert verdict.bound == bound
    assert (verdict.confidence or 0) > (judge(facts(rank)).confidence or 1)


def test_without_the_device_s_rates_the_classes_decide() -> None:
    unknown = OperatorFacts(ns=100 * MS, device=None, arithmetic_limited_ns=100 * MS)
    assert judge(facts(replace(rank_facts({"gemm": 20, "elementwise": 80}), operators=unknown))).bound == "memory"
