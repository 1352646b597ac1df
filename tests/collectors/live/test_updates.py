"""Parameters that change between two backwards were updated, by whomever; inputs and other tensors do not count."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from llmprof.collectors.live.updates import UpdateWatch  # noqa: E402


def watching(net: nn.Module, inputs: torch.Tensor) -> UpdateWatch:
    watch = UpdateWatch()
    watch.backward(net(inputs).sum())
    return watch


def test_sees_an_update_once() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    watch = watching(net, torch.randn(2, 4))
    assert not watch.happened()
    with torch.no_grad():
        net[2].bias.sub_(0.1)
    assert (watch.happened(), watch.happened()) == (True, False)


def test_a_change_of_the_inputs_is_no_update() -> None:
    net = nn.Linear(4, 1)
    inputs = torch.randn(2, 4, requires_grad=True)
    watch = watching(net, inputs)
    with torch.no_grad():
        inputs.add_(0.1)
    assert not watch.happened()


def test_gradients_alone_are_no_update() -> None:
    net = nn.Linear(4, 1)
    value = net(torch.randn(2, 4)).sum()
    watch = UpdateWatch()
    watch.backward([value])
    value.backward()
    net.zero_grad()
    assert not watch.happened()


def test_the_parameters_found_stand_for_the_optimizer() -> None:
    net = nn.Linear(4, 1)
    (group,) = watching(net, torch.randn(2, 4)).stand_in().param_groups
    assert {id(one) for one in group["params"]} == {id(one) for one in net.parameters()}


def test_a_tensor_without_a_graph_is_passed_over() -> None:
    watch = UpdateWatch()
    watch.backward(torch.zeros(1))
    assert not watch.happened()
