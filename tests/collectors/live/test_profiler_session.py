"""CUPTI is detached when it is safe, once, and never between two sessions of the burst."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest

from llmprof.collectors.live import burst as burst_module
from llmprof.collectors.live import profiler_session
from llmprof.collectors.live.profiler_session import ProfilerSession, Teardown
from llmprof.collectors.live.torch_trace import TorchTrace
from tests.collectors.live.fake_session import FakeSession

torch = pytest.importorskip("torch")

TEARDOWN = "TEARDOWN_CUPTI"


@pytest.fixture(autouse=True)
def variable(monkeypatch):
    """The variable as it was, and unset, whatever a test does with it."""
    monkeypatch.setenv(TEARDOWN, "kept")
    monkeypatch.delenv(TEARDOWN)


def graphs(monkeypatch, *, used: bool) -> None:
    pool = (0, 1) if used else (0, 0)
    monkeypatch.setattr(torch.cuda, "memory_snapshot", lambda: [{"segment_pool_id": pool}])


@pytest.mark.parametrize(("used", "allowed"), [(True, False), (False, True)])
def test_cuda_graphs_forbid_a_teardown(monkeypatch, used, allowed):
    graphs(monkeypatch, used=used)
    assert (Teardown().refusal() is None) == allowed


@pytest.mark.parametrize(("given", "allowed"), [("0", False), ("1", True)])
def test_a_choice_of_the_user_is_kept(monkeypatch, given, allowed):
    graphs(monkeypatch, used=False)
    monkeypatch.setenv(TEARDOWN, given)
    assert (Teardown().refusal() is None) == allowed


class DeviceSession(ProfilerSession):
    """Says that it traces a device, and notes the variable at the moment at which kineto reads it."""

    at_stop: list[tuple[bool, str | None]]

    def __init__(self, *, first_step: int, shapes: bool, cuda: bool, intruded) -> None:
        super().__init__(first_step=first_step, shapes=shapes, cuda=False, intruded=intruded)
        self.cuda = cuda

    def stop(self) -> None:
        self.at_stop.append((self.shapes, os.environ.get(TEARDOWN)))
        super().stop()

    @staticmethod
    def query() -> bool:
        return True


def burst(monkeypatch, tmp_path: Path, steps: int = 14, **options: int) -> FakeSession:
    DeviceSession.at_stop = []
    monkeypatch.setattr(burst_module, "ProfilerSession", DeviceSession)
    monkeypatch.setattr(burst_module, "cuda_in_use", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: DeviceSession)  # what a pending teardown pokes
    session = FakeSession(tmp_path, options={"burst_at": 3, **options})
    session.train(TorchTrace(), steps, lambda n: torch.ones(3) + 1)
    return session


def test_cupti_is_detached_after_the_last_session_only(monkeypatch, tmp_path):
    graphs(monkeypatch, used=False)
    session = burst(monkeypatch, tmp_path)
    assert DeviceSession.at_stop == [(False, "0"), (True, "1")]
    assert session.rank_json["trace"]["cupti_torn_down"] is True


def test_cupti_is_detached_after_part_a_when_there_is_no_part_b(monkeypatch, tmp_path):
    graphs(monkeypatch, used=False)
    burst(monkeypatch, tmp_path, shape_steps=0)
    assert DeviceSession.at_stop == [(False, "1")]


@pytest.mark.parametrize("given", [None, "1"])
def test_the_variable_is_what_it_was_once_the_run_has_settled(monkeypatch, tmp_path, given):
    graphs(monkeypatch, used=False)
    if given is not None:
        monkeypatch.setenv(TEARDOWN, given)
    burst(monkeypatch, tmp_path)
    assert os.environ.get(TEARDOWN) == given


@pytest.mark.parametrize("steps", [6, 7])
def test_a_run_that_ends_during_the_burst_leaves_cupti_attached(monkeypatch, tmp_path, steps):
    graphs(monkeypatch, used=False)
    session = burst(monkeypatch, tmp_path, steps=steps)
    assert DeviceSession.at_stop[-1][1] == "0"
    assert session.rank_json["trace"]["cupti_torn_down"] is False
    assert TEARDOWN not in os.environ


def test_where_it_is_refused_the_variable_is_not_touched_and_the_reason_kept(monkeypatch, tmp_path):
    graphs(monkeypatch, used=True)
    session = burst(monkeypatch, tmp_path)
    assert DeviceSession.at_stop == [(False, None), (True, None)]
    assert session.rank_json["trace"]["cupti_torn_down"] is False
    assert "CUDA graphs" in session.rank_json["trace"]["cupti_reason"]


def test_the_guard_is_gone_after_a_session():
    cls = torch.autograd.profiler.profile
    before = cls._prepare_trace
    session = ProfilerSession(first_step=1, shapes=False, cuda=False, intruded=lambda: pytest.fail("no intruder"))
    session.start(1)
    assert cls._prepare_trace is not before
    session.stop()
    assert cls._prepare_trace is before


def test_the_log_level_of_kineto_is_put_back(monkeypatch):
    monkeypatch.delenv("KINETO_LOG_LEVEL", raising=False)
    with profiler_session._quiet():
        assert os.environ["KINETO_LOG_LEVEL"] == "99"
    assert "KINETO_LOG_LEVEL" not in os.environ


def test_a_warning_of_the_profiler_does_not_reach_the_script(recwarn):
    with profiler_session._quiet():
        warnings.warn("Profiler clears events at the end of each cycle", stacklevel=1)
    assert not recwarn.list
