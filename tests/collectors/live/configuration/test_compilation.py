"""torch.compile: what was asked for and what Dynamo counted, from compiled models of every kind."""

from __future__ import annotations

import sys

import pytest

from llmprof.collectors.live.configuration.compilation import compilation, is_compiled

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def fresh():
    import torch._dynamo  # the counters are there once it is loaded

    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield
    torch._dynamo.utils.counters.clear()
    torch._dynamo.reset()


def model() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))


def test_nothing_is_known_before_dynamo_is_loaded(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch._dynamo.utils")
    assert compilation([model()]) is None
    assert not is_compiled()


def test_a_plain_model():
    found = compilation([model()])
    assert (found["modules"], found["whole_model"], found["graphs"]) == (0, False, 0)
    assert "backend" not in found


def test_a_wrapped_model_that_ran():
    compiled = torch.compile(model(), backend="aot_eager", dynamic=False)
    compiled(torch.ones(2, 4))
    found = compilation([compiled])
    assert (found["modules"], found["whole_model"], found["backend"]) == (1, True, "aot_eager")
    assert (found["dynamic"], found["fullgraph"], found["graphs"]) == (False, False, 1)
    assert is_compiled()


def test_a_model_compiled_in_place_with_a_full_graph():
    class Doubling(torch.nn.Module):
        def forward(self, data):
            return data * 2

    compiled = Doubling()
    compiled.compile(backend="aot_eager", fullgraph=True)
    compiled(torch.ones(2, 4))
    found = compilation([compiled])
    assert (found["modules"], found["whole_model"], found["fullgraph"]) == (1, True, True)
    assert is_compiled()


def test_compiled_layers_of_a_model_that_is_not():
    layers = model()
    for layer in layers:
        layer.compile(backend="aot_eager")
    found = compilation([layers])
    assert (found["modules"], found["whole_model"], found["backend"]) == (2, False, "aot_eager")


@pytest.mark.parametrize(
    ("mode", "graphs"),
    [(None, False), ("reduce-overhead", True), ("max-autotune", True), ("max-autotune-no-cudagraphs", False)],
)
def test_the_mode_of_inductor(mode, graphs):
    found = compilation([torch.compile(model(), mode=mode)])  # nothing is compiled before it runs
    assert (found["backend"], found["mode"], found["cuda_graphs"]) == ("inductor", mode or "default", graphs)


def test_graph_breaks_are_counted_by_reason():
    def forward(data):
        data = data + 1
        torch._dynamo.graph_break()
        return data + 1

    torch.compile(forward, backend="aot_eager")(torch.ones(1))
    assert compilation([])["graph_breaks"] == 1
