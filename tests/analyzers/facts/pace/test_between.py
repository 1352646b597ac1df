"""Is a host that took longer beside its measured phases seen, and only where the device waited for it?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.host.blocking import BlockedCalls, Blocking
from llmprof.analyzers.facts.pace.between import idle_share, longer_between_ns, waits_inside
from llmprof.timeline.steps import StepPhase, StepTimes
from tests.analyzers.rules.run_builder import MS, times

PHASES = [StepPhase.BASELINE] * 10 + [StepPhase.TRACED] * 4


def measured(wall_ms: float, *, exposed_ms: float = 1.0, **parts: float) -> StepTimes:
    """Ten unprofiled steps of so many ms and four traced ones of 60, with phases of 20 ms and 31 ms under the profiler,
    and fetches of 1 ms; `parts` are those of the unprofiled steps."""
    phases = {"forward": (6.0, 10.0), "backward": (10.0, 15.0), "optimizer": (3.0, 5.0)}
    columns = {name: [plain] * 10 + [traced] * 4 for name, (plain, traced) in phases.items()}
    columns |= {name: [value] * 10 + [0.0] * 4 for name, value in parts.items()}
    return times(
        [wall_ms] * 10 + [60.0] * 4,
        phases=PHASES,
        data_wait=[1.0] * 14,
        data_wait_exposed=[exposed_ms] * 14,
        **columns,  # type: ignore[arg-type]
    )


def test_what_the_host_took_longer_between_its_phases_is_told() -> None:
    """100 ms of which 20 are phases and fetch, against 60 with 31: 80 ms beside them, and 29 in the traced steps."""
    assert longer_between_ns(measured(100.0)) == pytest.approx((80 - 29) * MS)


def test_a_host_that_was_quicker_is_not_longer() -> None:
    assert longer_between_ns(measured(40.0)) == 0.0


def test_stalls_are_no_slower_host() -> None:
    assert longer_between_ns(measured(100.0, checkpoint=40.0, gc=5.0)) == pytest.approx((80 - 45 - 29) * MS)


def test_where_the_device_had_work_left_nothing_is_told() -> None:
    busy = measured(100.0, exposed_ms=0.1)
    assert idle_share(busy) == pytest.approx(0.1)
    assert longer_between_ns(busy) == 0.0


def test_without_measured_phases_or_fetches_nothing_is_told() -> None:
    assert longer_between_ns(None) == 0.0
    assert longer_between_ns(times([100.0] * 10 + [60.0] * 4, phases=PHASES)) == 0.0


def test_a_host_that_waits_for_the_device_is_longer_than_its_work() -> None:
    waiting = BlockedCalls(group="read", operator="aten::item", count=1.0, blocked_ns=1.0)
    fetching = BlockedCalls(group="input", operator="next", count=1.0, blocked_ns=1.0)
    assert waits_inside(None) and waits_inside(Blocking(calls=(fetching, waiting)))
    assert not waits_inside(Blocking(calls=(fetching,)))
