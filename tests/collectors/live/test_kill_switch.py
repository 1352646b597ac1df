"""A hook that fails or becomes dear is switched off, once and with a reason, and the training never notices."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns, sleep, thread_time_ns
from typing import Any

import pytest

from llmprof.collectors.live import hooks
from llmprof.collectors.live.hooks import Apart, Hook, TooSlowError, around, guarded
from llmprof.timeline import rundir

ROOT = Path(__file__).resolve().parents[3]
HOOKS = ("optimizer", "gc", "loader", "loads", "backward", "grad_scaler", "checkpoint", "evaluation")
OTHERS_STEP = [name for name in HOOKS if name != "optimizer"]
MS = 1_000_000


@dataclass(frozen=True)
class Trained:
    """What one process has left."""

    folder: Path

    @property
    def seen(self) -> tuple[str, str, str]:
        """What the user sees: the loss curve and everything else that was printed, and the exit code."""
        return tuple((self.folder / name).read_text() for name in ("exit_code", "stdout", "stderr"))  # type: ignore[return-value]

    @property
    def rank(self) -> dict[str, Any]:
        return rundir.read_json(self.folder / "run" / "ranks" / "r00000" / rundir.RANK)

    def lines(self, name: str) -> list[dict[str, Any]]:
        return rundir.read_json_lines(self.folder / "run" / "ranks" / "r00000" / name)


@pytest.fixture(scope="module", params=["raises", "slow"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained]:
    """The training with each of the hooks broken, and without the recorder (`plain`)."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp(request.param)
    command = [sys.executable, "-m", "tests.collectors.live.broken_hooks", str(folder), request.param]
    done = subprocess.run([*command, "plain", *HOOKS], cwd=ROOT, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    return lambda name: Trained(folder / name)


def test_these_are_all_the_hooks(trained: Callable[[str], Trained]) -> None:
    assert tuple(json.loads((trained("gc").folder / "names").read_text())) == HOOKS


@pytest.mark.parametrize("name", HOOKS)
def test_the_training_is_the_same_with_a_broken_hook(trained: Callable[[str], Trained], name: str) -> None:
    assert trained(name).seen == trained("plain").seen


@pytest.mark.parametrize("name", HOOKS)
def test_a_broken_hook_is_switched_off_with_one_reason(trained: Callable[[str], Trained], name: str) -> None:
    found = trained(name)
    state = found.rank["collectors"][name]
    assert state["status"] == "disarmed"
    assert state["reason"] == "RuntimeError: broken on purpose" or "took over 1 ms each" in state["reason"]
    events = [event for event in found.lines(rundir.EVENTS) if event["kind"] == "disarmed"]
    assert [event["collector"] for event in events] == [name, *(["stepping"] if name == "optimizer" else [])]


@pytest.mark.parametrize("name", OTHERS_STEP)
def test_all_steps_are_seen_without_it(trained: Callable[[str], Trained], name: str) -> None:
    steps = trained(name).lines(rundir.STEPS)
    assert [step["n"] for step in steps] == list(range(72))
    trace = trained(name).rank["trace"]
    assert trace["steps"] == list(range(20, 50))


def test_without_the_optimizers_the_steps_before_are_kept(trained: Callable[[str], Trained]) -> None:
    found = trained("optimizer")
    steps = found.lines(rundir.STEPS)
    assert [step["n"] for step in steps] == list(range(len(steps)))
    assert len(steps) >= 2
    assert found.rank["ended"] == "exit"
    assert "the hook 'optimizer' was switched off" in found.rank["collectors"]["stepping"]["reason"]


# One hook alone


class Reports(list[tuple[str, str]]):
    def __call__(self, name: str, reason: str) -> None:
        self.append((name, reason))


def busy(ns: int) -> None:
    until = thread_time_ns() + ns
    while thread_time_ns() < until:
        pass


def test_three_calls_of_more_than_a_millisecond_end_it() -> None:
    reports = Reports()
    callback = guarded(Hook("slow", reports), lambda: busy(2 * MS))
    for _ in range(10):
        callback()
    [(name, reason)] = reports
    assert name == "slow"
    assert reason.startswith("3 of its calls took over 1 ms each, the last one ")


@pytest.mark.parametrize("where", ["before", "after"])
def test_either_side_of_a_call_counts(where: str) -> None:
    reports = Reports()
    before = lambda now, args, kwargs: busy(2 * MS if where == "before" else 0) or 1  # noqa: E731
    after = lambda token, now, result, error: busy(2 * MS if where == "after" else 0)  # noqa: E731
    call = around(Hook("slow", reports), lambda: 7, before, after)
    assert [call() for _ in range(10)] == [7] * 10
    assert len(reports) == 1


def test_what_was_put_off_for_several_steps_has_a_millisecond_for_each() -> None:
    reports, apart = Reports(), Apart()

    def goes_through(steps: int) -> None:
        apart.gone_through(perf_counter_ns(), steps)
        busy(2 * MS)

    callback = guarded(Hook("loader", reports, apart), goes_through)
    for _ in range(10):
        callback(8)
    assert not reports
    for _ in range(10):
        callback(1)
    assert len(reports) == 1


def test_in_the_warm_up_no_call_is_too_long() -> None:
    reports, apart = Reports(), Apart()
    apart.starting = True
    callback = guarded(Hook("cold", reports, apart), lambda: busy(2 * MS))
    for _ in range(10):
        callback()
    assert not reports
    apart.starting = False
    for _ in range(10):
        callback()
    assert len(reports) == 1


def test_the_call_it_is_around_may_take_as_long_as_it_likes() -> None:
    reports = Reports()
    call = around(Hook("quick", reports), lambda: busy(2 * MS), lambda *a: 1, lambda *a: None)
    for _ in range(10):
        call()
    assert not reports


def test_a_thread_that_is_kept_waiting_is_not_blamed() -> None:
    """As when the system gives the processor to others: no CPU time passes."""
    reports = Reports()
    callback = guarded(Hook("preempted", reports), lambda: sleep(0.002))
    for _ in range(20):
        callback()
    assert not reports


def test_single_long_calls_far_apart_are_forgiven() -> None:
    reports = Reports()
    calls = iter(range(1000))
    callback = guarded(Hook("mostly quick", reports), lambda: busy(2 * MS if next(calls) % 150 == 0 else 0))
    for _ in range(1000):
        callback()
    assert not reports


def test_more_than_half_a_per_cent_of_the_run_ends_it() -> None:
    reports = Reports()
    hook = Hook("dear", reports)
    hook.cost_ns = hooks.FREE_NS + 1
    hook.judge(201 * hooks.FREE_NS)
    assert not reports
    hook.judge(199 * hooks.FREE_NS)
    hook.judge(199 * hooks.FREE_NS)
    assert reports == [("dear", "it took 0.5% of the run's time; 0.5% is what a hook may take")]


def test_what_others_spend_inside_it_is_not_its_own() -> None:
    reports = Reports()
    hook = Hook("loader", reports)
    hook.cost_ns = 3 * hooks.FREE_NS
    hook.judge(hooks.FREE_NS, within_ns=2 * hooks.FREE_NS)
    assert not reports


def test_a_short_run_of_tiny_steps_is_recorded_all_the_same() -> None:
    reports = Reports()
    hook = Hook("dear", reports)
    hook.cost_ns = hooks.FREE_NS
    hook.judge(hooks.FREE_NS)
    assert not reports


def test_moments_apart_are_not_the_steps_cost() -> None:
    reports, apart = Reports(), Apart()
    hook = Hook("boundary", reports, apart)

    def opens_the_session() -> None:
        began = perf_counter_ns()
        busy(2 * MS)
        apart.note("start", began, perf_counter_ns())

    callback = guarded(hook, opens_the_session)
    for _ in range(10):
        callback()
    assert not reports
    assert hook.cost_ns < apart.totals["start"] / 2
    assert apart.totals["start"] >= 20 * MS


def test_moments_that_overlap_are_counted_once() -> None:
    apart = Apart()
    apart.note("burst", 10, 60)
    apart.note("gc", 20, 30)
    apart.cover(50, 80)
    apart.cover(200, 300)
    assert apart.within(0, 100) == 70
    assert apart.within(25, 55) == 30
    assert apart.totals == {"burst": 50, "gc": 10}


def test_the_hook_around_a_slow_collector_is_not_blamed_for_it() -> None:
    outer_reports, inner_reports, apart = Reports(), Reports(), Apart()
    outer, inner = Hook("loader", outer_reports, apart), Hook("collector", inner_reports, apart)
    callback = guarded(outer, lambda: inner.run(busy, 2 * MS))
    for _ in range(10):
        callback()
    assert not outer_reports
    assert [name for name, _ in inner_reports] == ["collector"]


def test_a_report_that_fails_is_not_felt() -> None:
    def report(name: str, reason: str) -> None:
        raise OSError("no disk")

    hook = Hook("any", report)
    hook.fail(TooSlowError("too slow"))
    assert (hook.armed, hook.reason) == (False, "too slow")


def test_one_pause_of_the_machine_is_no_slow_hook_and_two_are() -> None:
    """The process is stopped for 2 s inside a call, as when a machine is suspended; the run has taken little more."""
    reports, pause = Reports(), 4 * hooks.FREE_NS
    hook = Hook("loader", reports)
    hook.cost_ns += hook.long_call(0, pause, None)
    hook.judge(pause + hooks.FREE_NS)
    assert not reports
    hook.cost_ns += hook.long_call(2 * pause, pause, None)
    hook.judge(2 * (pause + hooks.FREE_NS))
    assert len(reports) == 1
