"""Do fixes stand in the order in which to try them, and are overlapping gains never added?"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from llmprof.analyzers.diagnosis import Gain, Recommendation
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.ranking import noise_ms, rank
from llmprof.analyzers.rules.fixes import FIXES
from tests.analyzers.rules.facts_builder import make_facts


def advice(
    fix: str, expected: float, *, low: float | None = None, high: float | None = None, **more: Any
) -> Recommendation:
    """A recommendation that saves `expected` of a step of 100 ms."""
    basis, memory = more.pop("basis", "bound"), more.pop("memory_bytes", None)
    gain = Gain(
        expected_ms=expected,
        low_ms=expected if low is None else low,
        high_ms=expected if high is None else high,
        step_ms_after=100 - expected,
        speedup=100 / (100 - expected),
        memory_bytes=memory,
        basis=basis,
    )
    values = {"rule": "a-rule", "action": fix, "why": "Because.", "how": "", "verify": "", "effort": FIXES[fix].effort}
    return Recommendation(id=fix, gain=gain, **{**values, **more})


def ids(recommendations: tuple[Recommendation, ...]) -> list[str]:
    return [one.id for one in recommendations]


def test_the_larger_gain_comes_first() -> None:
    ordered, _ = rank([advice("fused-norm", 5), advice("sdpa-attention", 20)], make_facts(100))
    assert ids(ordered) == ["sdpa-attention", "fused-norm"]


def test_a_fix_that_needs_others_is_as_much_work_as_all_of_them() -> None:
    """Its gain holds theirs: 25 ms for the waits and the graph, of which 20 come with the waits alone."""
    given = [advice("cuda-graphs", 25, requires=("remove-sync",)), advice("remove-sync", 20)]
    assert ids(rank(given, make_facts(100))[0]) == ["remove-sync", "cuda-graphs"]
    given = [advice("cuda-graphs", 50, requires=("remove-sync",)), advice("remove-sync", 20)]
    assert ids(rank(given, make_facts(100))[0]) == ["cuda-graphs", "remove-sync"]


def test_a_debugging_switch_that_costs_time_goes_first() -> None:
    """The other fixes would be built around a switch that was left on; one that costs nothing known stands last."""
    given = [advice("cuda-graphs", 60), advice("debug-off", 5)]
    assert ids(rank(given, make_facts(100))[0]) == ["debug-off", "cuda-graphs"]
    given = [advice("cuda-graphs", 60), advice("debug-off", 0)]
    assert ids(rank(given, make_facts(100))[0]) == ["cuda-graphs", "debug-off"]


@pytest.mark.parametrize(
    ("less", "more", "times"),
    [
        ("fused-optimizer", "sdpa-attention", 2),
        ("sdpa-attention", "offline-preprocessing", 1.5),
        ("fused-optimizer", "topology-placement", 4),
        ("fused-optimizer", "cuda-graphs", 2),
    ],
)
def test_the_smaller_effort_stands_first_until_the_other_brings_so_many_times_as_much(
    less: str, more: str, times: float
) -> None:
    """A flag 1, a few lines 2, a refactoring 3, a change of the machine 4."""
    for gain, expected in ((9.9 * times, [less, more]), (10.1 * times, [more, less])):
        assert ids(rank([advice(more, gain), advice(less, 10)], make_facts(100))[0]) == expected


def test_a_sure_gain_stands_before_a_larger_one_that_may_come_to_nothing() -> None:
    """6 to 7 ms count 6.5; 0 to 12.9 ms, all of it expected, 6.45."""
    sure, large = advice("fused-norm", 7, low=6), advice("torch-compile", 12.9, low=0)
    assert ids(rank([large, sure], make_facts(100))[0]) == ["fused-norm", "torch-compile"]
    assert ids(rank([advice("torch-compile", 13.1, low=0), sure], make_facts(100))[0])[0] == "torch-compile"


def test_the_order_does_not_depend_on_the_order_in_which_the_rules_spoke() -> None:
    """Weighed gains 9, 8.5, 8, 7.5: each stands before one that brings more for more effort."""
    fixes = [
        advice("fused-optimizer", 9),
        advice("sdpa-attention", 17),
        advice("offline-preprocessing", 24),
        advice("fix-throttling", 30),
    ]
    for given in permutations(fixes):
        assert ids(rank(given, make_facts(100))[0]) == [one.id for one in fixes]


def test_of_fixes_that_exclude_each_other_the_one_that_brings_most_decides() -> None:
    """TF32 is a flag, but whoever uses autocast has no more use for it; another fix stands where its gain puts it."""
    fixes = [advice("tf32", 45), advice("sdpa-attention", 47), advice("bf16-autocast", 50)]
    assert ids(rank(fixes, make_facts(100))[0]) == ["bf16-autocast", "sdpa-attention", "tf32"]


def test_a_flag_within_the_noise_stays_last() -> None:
    ordered, _ = rank([advice("tf32", 0.9), advice("offline-preprocessing", 1.5)], make_facts(100))
    assert ids(ordered) == ["offline-preprocessing", "tf32"]


def test_of_equal_gains_the_smaller_effort_then_the_better_founded() -> None:
    same = [
        advice("packed-dataset", 10),
        advice("numa-binding", 10),
        advice("fused-norm", 10),
        advice("sdpa-attention", 10, basis="roofline"),
        advice("tf32", 10),
    ]
    ordered, _ = rank(same, make_facts(100))
    assert ids(ordered) == ["tf32", "sdpa-attention", "fused-norm", "packed-dataset", "numa-binding"]


def test_of_equally_founded_gains_the_narrower_comes_first() -> None:
    wide, narrow = advice("fused-norm", 10, low=9, high=20), advice("sdpa-attention", 10, low=9, high=11)
    assert ids(rank([wide, narrow], make_facts(100))[0]) == ["sdpa-attention", "fused-norm"]


@pytest.mark.parametrize(("noise_ms_", "limit"), [(None, 1.0), (0.2, 0.4)])
def test_a_gain_within_the_noise_promises_nothing_and_says_why(noise_ms_: float | None, limit: float) -> None:
    facts = make_facts(100, noise_ms=noise_ms_)
    assert noise_ms(facts) == pytest.approx(limit)
    loud, quiet = advice("tf32", limit * 1.01), advice("cuda-graphs", limit, low=0.1, high=3.0)
    ordered, _ = rank([quiet, loud], facts)
    assert ids(ordered) == ["tf32", "cuda-graphs"]
    last = ordered[-1]
    assert (last.gain.expected_ms, last.gain.low_ms, last.gain.step_ms_after, last.gain.speedup) == (0, 0, 100, 1)
    assert "noise" in last.why and ordered[0].why == "Because."


def test_one_fix_from_two_rules_stands_once_with_the_better_founded_gain() -> None:
    bound, replay = advice("cuda-graphs", 30), advice("cuda-graphs", 20, basis="replay")
    ordered, _ = rank([bound, replay], make_facts(100))
    assert [one.gain.basis for one in ordered] == ["replay"]
    ordered, _ = rank([advice("cuda-graphs", 10), bound], make_facts(100))
    assert [one.gain.expected_ms for one in ordered] == [30]


def test_fixes_of_different_parts_add_up() -> None:
    facts = make_facts(100, data=30.0, communication=20.0)
    ordered, combined = rank([advice("dataloader-workers", 25, low=20, high=30), advice("wrap-ddp", 10)], facts)
    assert combined is not None
    assert combined.of == ("dataloader-workers", "wrap-ddp")
    assert (combined.step_ms_after, combined.low_ms, combined.high_ms) == (65, 60, 70)
    assert len(ordered) == 2


def test_fixes_of_one_part_count_once() -> None:
    facts = make_facts(100, host=60.0, data=20.0)
    fixes = [advice("cuda-graphs", 50), advice("fused-optimizer", 30), advice("dataloader-workers", 15)]
    combined = rank(fixes, facts)[1]
    assert combined is not None
    assert combined.of == ("cuda-graphs", "dataloader-workers")
    assert combined.step_ms_after == 35


def test_a_fix_saves_no_more_than_its_part() -> None:
    facts = make_facts(100, data=10.0, communication=20.0)
    combined = rank([advice("dataloader-workers", 10, high=15), advice("wrap-ddp", 10)], facts)[1]
    assert combined is not None and (combined.step_ms_after, combined.low_ms) == (80, 80)


@pytest.mark.parametrize("straggler", [65, 30])
def test_a_fix_that_brings_more_than_its_parts_hold_is_never_added(straggler: float) -> None:
    """The slow rank waits for nobody: what it costs the others is its own work, which the other fix shortens too."""
    facts = make_facts(100, host=85.0)
    assert rank([advice("cuda-graphs", 37), advice("repair-straggler", straggler)], facts)[1] is None


def test_a_fix_of_another_package_is_never_added() -> None:
    facts = make_facts(100, data=30.0, host=20.0)
    foreign = replace(advice("dataloader-workers", 25), id="their-fix")
    assert rank([foreign, advice("cuda-graphs", 10)], facts)[1] is None


def test_one_fix_is_no_combination() -> None:
    assert rank([advice("tf32", 10)], make_facts(100))[1] is None
    assert rank([], make_facts(100)) == ((), None)


def full_device(*, out_of_memory: bool) -> Facts:
    memory = MemoryFacts(
        capacity_bytes=100, peak_reserved_bytes=99, peak_allocated_bytes=99, out_of_memory=out_of_memory
    )
    return make_facts(100, host=30.0, memory=memory)


MEMORY_FIXES = [
    advice("cuda-graphs", 20),
    advice("activation-checkpointing", -25, memory_bytes=40, rule="memory-near-limit"),
    advice("smaller-batch", 0, memory_bytes=40, rule="memory-near-limit"),
    advice("expandable-segments", 0, memory_bytes=60, rule="memory-near-limit"),
]


def test_after_running_out_of_memory_all_that_wins_memory_comes_first() -> None:
    ordered, _ = rank(MEMORY_FIXES, full_device(out_of_memory=True))
    assert ids(ordered) == ["expandable-segments", "smaller-batch", "activation-checkpointing", "cuda-graphs"]
    assert ordered[2].gain.expected_ms == -25


def test_a_run_that_goes_on_under_a_full_device_needs_room_once_and_then_time() -> None:
    ordered, _ = rank(MEMORY_FIXES, full_device(out_of_memory=False))
    assert ids(ordered) == ["expandable-segments", "cuda-graphs", "smaller-batch", "activation-checkpointing"]


def test_without_pressure_a_memory_fix_that_saves_no_time_comes_last() -> None:
    ordered, _ = rank([advice("larger-batch", 0, rule="memory-near-limit"), advice("tf32", 5)], make_facts(100))
    assert ids(ordered) == ["tf32", "larger-batch"]


def test_memory_that_one_rule_expects_of_a_fix_stays_with_the_gain_that_another_founds() -> None:
    """Autocast halves activations, says a rule about memory, and shortens products, says the roofline."""
    memory = advice("bf16-autocast", 0, rule="out-of-memory", memory_bytes=7)
    time = advice("bf16-autocast", 20, basis="roofline", rule="fp32-matmul")
    (only,), _ = rank([memory, time], make_facts(100))
    assert (only.gain.expected_ms, only.gain.memory_bytes, only.rule) == (20, 7, "fp32-matmul")
    full = MemoryFacts(capacity_bytes=100, peak_reserved_bytes=99)
    ordered, _ = rank([time, memory, advice("cuda-graphs", 50)], make_facts(100, memory=full))
    assert ids(ordered) == ["bf16-autocast", "cuda-graphs"]


def test_growing_segments_come_first_only_where_pieces_are_the_trouble() -> None:
    full = MemoryFacts(capacity_bytes=100, peak_reserved_bytes=99, retries=1)
    batch = advice("smaller-batch", 0, rule="allocator-retries", memory_bytes=50)
    segments = advice("expandable-segments", 0, rule="allocator-retries", memory_bytes=1)
    assert ids(rank([segments, batch], make_facts(100, memory=full))[0]) == ["smaller-batch", "expandable-segments"]
    pieces = advice("expandable-segments", 0, rule="fragmentation", memory_bytes=1)
    ordered, _ = rank([segments, batch, pieces], make_facts(100, memory=full))
    assert ids(ordered) == ["expandable-segments", "smaller-batch"]
