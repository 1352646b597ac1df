"""Is a step that waits for launches recognised, and are pauses, the optimizer and the input kept apart from it?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmprof.analyzers.facts.host.host import HostFacts
from llmprof.analyzers.facts.host.host_work import HostWork
from llmprof.analyzers.facts.loading.copies import CopyFacts, CopyGroup
from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import host_sync, per_step_logging
from llmprof.analyzers.rules.launch_bound import evaluate
from llmprof.timeline.environment import Environment, LoaderSettings
from llmprof.timeline.intervals import Intervals
from tests.analyzers.rules.causes_builder import waits, with_causes
from tests.analyzers.rules.facts_builder import (
    assert_consistent,
    assert_contains,
    fix,
    make_collectives,
    make_facts,
    make_kernels,
    make_partition,
    status,
)


def test_measured_truth_of_a_small_model() -> None:
    """An H200 run of 24 small layers: 41.2 ms, and 6.1 ms with torch.compile(mode="reduce-overhead")."""
    facts = make_facts(41.202, host=37.76, data=0.06, kernels=make_kernels(count=1093, mean_us=3.1))
    found = evaluate(facts)
    assert (found.finding.status, found.finding.severity) == ("fired", "critical")
    advice = fix(found, "cuda-graphs")
    assert_contains(advice, 41.202 - 6.096)
    assert_consistent(advice, facts)
    assert "reduce-overhead" in advice.how
    assert advice.gain.step_ms_after is not None and advice.gain.step_ms_after > 3.4  # never below the device's work


@pytest.mark.parametrize(("host_ms", "expected"), [(2.99, "passed"), (3.0, "fired")])
def test_threshold(host_ms: float, expected: str) -> None:
    assert status(evaluate(make_facts(100, host=host_ms))) == expected


def test_not_applicable_on_the_cpu() -> None:
    assert status(evaluate(make_facts(100, host=50.0, cpu_only=True))) == "not_applicable"


def test_no_data_without_a_partition() -> None:
    assert status(evaluate(make_facts(100, no_partition=True))) == "no_data"


def test_long_pauses_are_no_launch_overhead() -> None:
    """One pause of 40 ms in a step of 100: graphs would not remove it."""
    spans = {"launch": Intervals.of([0, 50_000_000], [40_000_000, 50_100_000])}
    traced = make_partition(100, host=40.1, spans=spans)
    found = evaluate(make_facts(100, host=40.1, traced=traced))
    assert found.finding.status == "passed"
    assert "pauses" in found.finding.summary


def test_a_for_loop_optimizer_is_left_to_its_own_rule() -> None:
    kernels = make_kernels(optimizer="for-loop", optimizer_host_ms=30.0, optimizer_kernels=500)
    advice = fix(evaluate(make_facts(100, host=80.0, kernels=kernels)), "cuda-graphs")
    assert advice.gain.high_ms == pytest.approx(50.0)


def test_a_run_that_replays_graphs_is_not_told_to() -> None:
    found = evaluate(make_facts(100, host=50.0, host_facts=HostFacts(graph_launches=4)))
    assert found.finding.status == "fired"
    assert found.recommendations == ()


def test_a_compiled_model_gets_graphs_only() -> None:
    found = evaluate(make_facts(100, host=50.0, environment=Environment(compiled=True)))
    assert [one.id for one in found.recommendations] == ["cuda-graphs"]
    assert found.recommendations[0].how.startswith("torch.compile(model) ->")


@pytest.mark.parametrize(
    ("group", "needs"), [("read", ("remove-sync",)), ("to-host", ("log-less-often",)), ("to-device", ())]
)
def test_waits_that_another_fix_takes_out_come_first(group: str, needs: tuple[str, ...]) -> None:
    """And that fix is recommended. A copy of the batch is no such wait: it lies before the model."""
    facts = with_causes(make_facts(100, host=50.0), blocking=waits(group, 0.4, count=24))
    assert fix(evaluate(facts), "cuda-graphs").requires == needs
    others = (*host_sync.evaluate(facts).recommendations, *per_step_logging.evaluate(facts).recommendations)
    assert tuple(one.id for one in others) == needs


@pytest.mark.parametrize(("reading_ms", "needs"), [(4, ("remove-sync",)), (20, ("hoist-python", "remove-sync"))])
def test_a_wait_for_what_python_needs_goes_only_with_that_python(reading_ms: float, needs: tuple[str, ...]) -> None:
    ns = reading_ms * 1_000_000
    work = HostWork(waiting_ns=50_000_000, long_ns=ns, reading_ns=ns)
    facts = with_causes(make_facts(100, host=50.0), work=work, blocking=waits("read", 0.4, count=24))
    advice = fix(evaluate(facts), "cuda-graphs")
    assert advice.requires == needs
    assert ("with the Python" in advice.why) == (len(needs) > 1)


def test_gradients_reduced_by_hand_after_backward_do_not_break_a_graph_and_buckets_do() -> None:
    """A loop launches 200 all-reduces, one a parameter; DDP five."""
    loop, buckets = (
        fix(
            evaluate(make_facts(100, host=50.0, world_size=2, collectives=make_collectives(count=n, exposed_ms=5.0))),
            "cuda-graphs",
        ).gain
        for n in (200, 5)
    )
    assert (loop.expected_ms, buckets.expected_ms) == (pytest.approx(0.85 * 50), pytest.approx(0.5 * 50))


@pytest.mark.parametrize(("ranks", "told"), [(1, False), (2, True)])
def test_what_a_capture_over_collectives_needs_is_told_where_there_are_some(ranks: int, told: bool) -> None:
    risk = fix(evaluate(make_facts(100, host=50.0, world_size=ranks)), "cuda-graphs").risk
    assert "fixed shapes" in risk
    assert ("NCCL 2.9.6" in risk) is told


def test_no_gain_while_the_workers_set_the_pace() -> None:
    advice = fix(evaluate(make_facts(100, data=70.0, host=10.0, loader=LoaderFacts(in_process=False))), "cuda-graphs")
    assert advice.gain.expected_ms == 0
    assert "input is late" in advice.why


def test_batches_made_in_process_take_nothing_away() -> None:
    advice = fix(evaluate(make_facts(100, data=70.0, host=10.0, loader=LoaderFacts(in_process=True))), "cuda-graphs")
    assert advice.gain.expected_ms > 0


def test_gaps_between_kernels_that_were_launched_in_time_are_no_launch_overhead() -> None:
    assert status(evaluate(make_facts(100, host=5.0, detail={"gap": 4.0, "launch": 1.0}))) == "passed"


def test_what_compilation_saves_follows_from_the_products_that_stay() -> None:
    """200 of 1300 kernels are products: about 600 launches stay, each dearer than now."""
    kernels = replace(make_kernels(count=1300), count_by_class={"gemm": 200.0, "elementwise": 1100.0})
    facts = make_facts(30, host=25.0, kernels=kernels)
    advice = fix(evaluate(facts), "torch-compile")
    assert_consistent(advice, facts)
    assert advice.gain.expected_ms == pytest.approx(25 * (1 - 1.5 * 600 / 1300))
    assert advice.gain.low_ms == 0.0  # 2 * 800 of 1300


def pinned_by_a_thread(*, floats: float | None = 100e6, pause_ms: float = 10.0, workers: int = 6) -> Facts:
    """A step of 100 ms with 30 ms of late launches, one pause among them; 100 MB of a worker's batches are pinned."""
    starts = range(20_000_000, 20_000_000 + int((30 - pause_ms) * 2e6), 1_000_000)  # half a millisecond each
    launch = Intervals.of([0, *starts], [int(pause_ms * 1e6), *(one + 500_000 for one in starts)])
    pinned = CopyGroup(count=1, bytes=100e6, ns=2e6, exposed_ns=2e6, largest_bytes=100_000_000)
    return make_facts(
        100,
        host=30.0,
        traced=make_partition(100, host=30.0, spans={"launch": launch}),
        copies=CopyFacts(pinned_to_device=pinned, pinned_float_bytes=floats),
        environment=Environment(loaders=(LoaderSettings(num_workers=workers, pin_memory=True),)),
    )


def test_memory_that_the_pinning_thread_gives_back_stops_the_host() -> None:
    """At 0.2 ms a MB it holds Python's lock for 20 ms a step: pauses of 10 ms are seen, 20 ms of the wait are possible.

    With bf16 half of it goes, with uint8 three quarters.
    """
    facts = pinned_by_a_thread()
    advice = fix(evaluate(facts), "compact-batches")
    assert_consistent(advice, facts)
    assert (advice.gain.low_ms, advice.gain.expected_ms, advice.gain.high_ms) == pytest.approx((2.5, 5.0, 15.0))


@pytest.mark.parametrize(
    "facts",
    [pinned_by_a_thread(floats=0.0), pinned_by_a_thread(pause_ms=0.5), pinned_by_a_thread(workers=0)],
    ids=["bytes already", "no pause", "no thread that pins"],
)
def test_smaller_batches_are_not_advised_without_a_sign_of_that(facts: Facts) -> None:
    assert "compact-batches" not in [one.id for one in evaluate(facts).recommendations]
