"""Autocast, loss scaling and recomputation as seen from outside the script's forward; afterwards nothing is left."""

from __future__ import annotations

import pytest

from llmprof.collectors.live.configuration.regions import Regions

torch = pytest.importorskip("torch")
ENTER = torch.amp.autocast_mode.autocast.__dict__["__enter__"]
SCALE = torch.amp.GradScaler.__dict__["scale"]


@pytest.fixture
def watch():
    regions = Regions()
    regions.begin()
    yield regions
    regions.end()


def step(*, enabled: bool = True, grad: bool = True) -> None:
    layer, data = torch.nn.Linear(4, 4), torch.randn(2, 4)
    with torch.set_grad_enabled(grad), torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
        loss = layer(data).sum()
    if grad:
        loss.backward()


def test_a_region_in_a_step_is_seen(watch):
    step()
    assert watch.autocast == {"cpu bfloat16"}


@pytest.mark.parametrize("options", [{"enabled": False}, {"grad": False}])
def test_a_disabled_region_and_one_of_an_evaluation_are_not(watch, options):
    step(**options)
    assert watch.autocast == set()


def test_a_decorated_function_is_seen(watch):
    @torch.autocast("cpu", dtype=torch.float16)
    def forward() -> None:
        pass

    forward()
    assert watch.autocast == {"cpu float16"}


def test_a_region_in_compiled_code_is_seen_while_it_is_compiled(watch):
    def forward(weight, data):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return (data @ weight).sum()

    torch._dynamo.reset()
    weight = torch.randn(4, 4, requires_grad=True)
    torch.compile(forward, backend="aot_eager", fullgraph=True)(weight, torch.randn(2, 4)).backward()
    assert watch.autocast == {"cpu bfloat16"}


def test_watching_makes_compiled_code_compile_no_second_time():
    torch._dynamo.reset()
    layer = torch.nn.Linear(4, 4)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)

    def run() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            compiled(torch.ones(2, 4)).sum().backward()

    run()
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    regions = Regions()
    regions.begin()
    run()
    regions.end()
    run()
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before
    assert regions.autocast == {"cpu bfloat16"}


@pytest.mark.parametrize("reentrant", [True, False])
def test_recomputation_of_activations_is_seen_with_and_without_autocast(watch, reentrant):
    layer, data = torch.nn.Linear(4, 4), torch.randn(2, 4, requires_grad=True)
    loss = torch.utils.checkpoint.checkpoint(layer, data, use_reentrant=reentrant).sum()
    assert not watch.recomputed
    loss.backward()
    assert watch.recomputed
    assert watch.autocast == set()


def test_a_step_without_checkpointing_recomputes_nothing(watch):
    step()
    assert not watch.recomputed


@pytest.mark.parametrize("enabled", [True, False])
def test_scaling_the_loss_is_seen_when_the_scaler_is_enabled(watch, enabled):
    torch.amp.GradScaler("cpu", enabled=enabled).scale(torch.ones((), requires_grad=True)).backward()
    assert watch.scaled is enabled


def test_a_scripted_function_with_autocast_still_compiles(watch):
    source = """
def scripted(data: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return data + 1
"""
    unit = torch.jit.CompilationUnit(source)
    assert unit.scripted(torch.zeros(1)).item() == 1


def test_the_end_puts_back_the_very_functions():
    regions = Regions()
    regions.begin()
    assert torch.amp.autocast_mode.autocast.__dict__["__enter__"] is not ENTER
    regions.end()
    assert torch.amp.autocast_mode.autocast.__dict__["__enter__"] is ENTER
    assert torch.amp.GradScaler.__dict__["scale"] is SCALE
    step()
    assert regions.autocast == set()


def test_a_wrapper_of_somebody_else_stays_and_ours_below_it_is_silent(monkeypatch):
    owner, regions, calls = torch.amp.autocast_mode.autocast, Regions(), []
    regions.begin()
    ours = owner.__enter__

    def theirs(self):
        calls.append(self.device)
        return ours(self)

    monkeypatch.setattr(owner, "__enter__", theirs)
    regions.end()
    step()
    assert owner.__enter__ is theirs
    assert (calls, regions.autocast) == (["cpu"], set())
    monkeypatch.undo()
    owner.__enter__ = ENTER


def test_what_goes_wrong_in_the_watch_ends_it_and_does_not_reach_the_script(watch, monkeypatch):
    monkeypatch.setattr(torch, "is_grad_enabled", lambda: 1 / 0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.is_autocast_enabled("cpu")
    assert watch.failure == "ZeroDivisionError: division by zero"
    assert torch.amp.autocast_mode.autocast.__dict__["__enter__"] is ENTER


def test_autocast_around_the_whole_loop_is_seen_at_once():
    regions = Regions()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        regions.begin()
    regions.end()
    assert regions.autocast == {"cpu bfloat16"}


def test_a_watch_that_nobody_ends_ends_by_itself(watch, monkeypatch):
    monkeypatch.setattr("llmprof.collectors.live.configuration.regions.MOST_ENTRIES", 3)
    for _ in range(5):
        step()
    assert watch.failure == "RuntimeError: autocast was entered more than 3 times"
    assert torch.amp.autocast_mode.autocast.__dict__["__enter__"] is ENTER
