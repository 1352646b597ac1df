"""Are copies from pageable memory recognised, and counted only as far as they hold up the step?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.device.hardware import HardwareFacts
from llmprof.analyzers.facts.host.host_work import HostWork
from llmprof.analyzers.facts.loading.copies import CopyFacts, CopyGroup
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.main_thread_preprocessing import evaluate as main_thread
from llmprof.analyzers.rules.pageable_transfers import evaluate
from llmprof.timeline.environment import Environment, LoaderSettings
from llmprof.units import NS_PER_MS
from tests.analyzers.rules.causes_builder import with_causes, with_rank
from tests.analyzers.rules.facts_builder import assert_consistent, assert_contains, fix, make_facts, status


def pageable(exposed_ms: float, *, stall_ms: float | None = None, pinned: CopyGroup | None = None) -> CopyFacts:
    group = CopyGroup(count=1, bytes=100e6, ns=exposed_ms * NS_PER_MS, exposed_ns=exposed_ms * NS_PER_MS)
    return CopyFacts(
        pageable_to_device=group,
        pinned_to_device=pinned or CopyGroup(),
        pageable_stall_ns=None if stall_ms is None else stall_ms * NS_PER_MS,
    )


def test_fires_and_promises_no_more_than_the_copies() -> None:
    facts = make_facts(100, data=20.0, detail={"input_copy": 20.0}, copies=pageable(20.0))
    found = evaluate(facts)
    assert (found.finding.status, found.finding.severity, found.finding.cost_ms) == ("fired", "critical", 20.0)
    advice = fix(found, "pin-memory")
    assert_consistent(advice, facts)
    assert advice.gain.high_ms == pytest.approx(20.0)


def test_passes_just_below_one_percent() -> None:
    assert status(evaluate(make_facts(100, data=0.99, copies=pageable(0.99)))) == "passed"


def test_not_applicable_when_all_copies_are_pinned() -> None:
    assert status(evaluate(make_facts(100, copies=CopyFacts(pinned_to_device=CopyGroup(count=2))))) == "not_applicable"


def test_not_applicable_on_the_cpu() -> None:
    assert status(evaluate(make_facts(100, cpu_only=True, copies=pageable(20.0)))) == "not_applicable"


def test_no_data_without_copies() -> None:
    assert status(evaluate(make_facts(100))) == "no_data"


def test_the_rate_of_the_runs_own_pinned_copies_bounds_the_gain() -> None:
    fast = CopyGroup(count=1, bytes=100e6, ns=5 * NS_PER_MS)  # four times the rate of the pageable copies
    facts = make_facts(100, data=20.0, copies=pageable(20.0, pinned=fast))
    assert fix(evaluate(facts), "pin-memory").gain.low_ms == pytest.approx(15.0)


def test_a_blocked_host_costs_only_the_idle_that_it_can_have_caused() -> None:
    facts = make_facts(100, data=1.0, host=3.0, copies=pageable(1.0, stall_ms=50.0))
    assert evaluate(facts).finding.cost_ms == pytest.approx(4.0)


def test_a_loader_that_pins_already_is_not_told_to() -> None:
    environment = Environment(loaders=(LoaderSettings(pin_memory=True),))
    advice = fix(evaluate(make_facts(100, data=20.0, copies=pageable(20.0), environment=environment)), "pin-memory")
    assert "DataLoader(" not in advice.how


def from_workers(
    silent_ms: float, *, pinned: bool | None = False, step_ms: float = 60.0, host_ms: float = 25.0
) -> Facts:
    """60 ms a step: so much silence, then a call of 20 ms that copies a batch from a worker."""
    environment = Environment(loaders=(LoaderSettings(num_workers=8, pin_memory=pinned),))
    facts = make_facts(
        step_ms,
        data=20.0,
        host=host_ms,
        detail={"input_copy": 20.0},
        copies=pageable(20.0, stall_ms=20.0),
        environment=environment,
    )
    silent = silent_ms * NS_PER_MS
    work = HostWork(waiting_ns=25 * NS_PER_MS, preparing_ns=silent, preparing_silent_ns=silent)
    return with_causes(facts, work=work)


def test_silence_before_the_copy_of_a_workers_batch_is_its_memory_going_back() -> None:
    """A step of 60 ms: 20 ms copy, 15 ms of memory going back; the thread that pins needs 35 ms for both."""
    facts = from_workers(15.0)
    found = evaluate(facts)
    assert found.finding.cost_ms == pytest.approx(35.0)
    advice = fix(found, "pin-memory")
    assert_consistent(advice, facts)
    assert advice.gain.step_ms_after is not None and advice.gain.step_ms_after >= 35.0
    assert advice.gain.high_ms == pytest.approx(35.0)
    assert main_thread(facts).finding.status == "passed"


def test_the_thread_that_pins_has_nothing_to_hide_its_work_behind() -> None:
    """15 ms of silence, the device idle for 5 of them: pinned, the step is the 20 + 15 ms that its thread needs."""
    advice = fix(evaluate(from_workers(15.0, step_ms=40.0, host_ms=5.0)), "pin-memory")
    assert advice.gain.step_ms_after == pytest.approx(35.0)


def test_silence_longer_than_the_copy_is_work_on_the_batch() -> None:
    """25 ms of silence before a call of 20 ms: at least 5 ms are something else."""
    assert evaluate(from_workers(25.0)).finding.cost_ms == pytest.approx(40.0)
    assert main_thread(from_workers(25.0)).finding.cost_ms == pytest.approx(5.0)


def test_a_loader_that_pins_has_no_memory_to_give_back_in_the_loop() -> None:
    facts = from_workers(15.0, pinned=True)
    assert evaluate(facts).finding.cost_ms == pytest.approx(20.0)
    assert main_thread(facts).finding.cost_ms == pytest.approx(15.0)


LINK = 0.87 * 16 * 3.938e9
"""Bytes per second that PCIe 5 x16 reaches."""


def of_floats(*, workers: int = 6, floats: float | None = 100e6, largest: int = 100_000_000) -> Facts:
    """100 MB a step of 100 ms, copied in 20 ms in which nothing else runs."""
    group = CopyGroup(count=1, bytes=100e6, ns=20 * NS_PER_MS, exposed_ns=20 * NS_PER_MS, largest_bytes=largest)
    copies = CopyFacts(pageable_to_device=group, pageable_stall_ns=20 * NS_PER_MS, pageable_float_bytes=floats)
    environment = Environment(loaders=(LoaderSettings(num_workers=workers, pin_memory=False),))
    facts = make_facts(100, data=20.0, detail={"input_copy": 20.0}, copies=copies, environment=environment)
    return with_rank(facts, hardware=HardwareFacts(pcie_gen_max=5, pcie_width_max=16))


def test_pinned_by_a_thread_the_copy_takes_what_its_bytes_need_on_the_link() -> None:
    """100 MB take 1.8 ms at 54.8 GB/s: 18.2 of the 20 ms go."""
    facts = of_floats()
    advice = fix(evaluate(facts), "pin-memory")
    assert_consistent(advice, facts)
    assert advice.gain.expected_ms == pytest.approx(20 - 100e6 / LINK * 1e3)
    assert advice.gain.low_ms == pytest.approx(20 * (1 - 1 / 1.4))


@pytest.mark.parametrize("facts", [of_floats(workers=0), of_floats(largest=2**20 - 1)])
def test_a_training_process_that_pins_itself_and_small_copies_do_not_reach_the_link(facts: Facts) -> None:
    assert fix(evaluate(facts), "pin-memory").gain.expected_ms == pytest.approx((20 * (1 - 1 / 1.4) + 20) / 2)


def test_batches_of_fp32_could_have_half_of_the_bytes_or_a_quarter() -> None:
    facts = of_floats()
    advice = fix(evaluate(facts), "compact-batches")
    assert_consistent(advice, facts)
    assert_contains(advice, 10.0)  # bf16
    assert_contains(advice, 15.0)  # uint8
    assert advice.gain.expected_ms == pytest.approx(10.0)


@pytest.mark.parametrize("floats", [None, 0.0, 49e6])
def test_bytes_that_are_not_known_to_be_fp32_have_no_shorter_type(floats: float | None) -> None:
    assert [one.id for one in evaluate(of_floats(floats=floats)).recommendations] == ["pin-memory"]
