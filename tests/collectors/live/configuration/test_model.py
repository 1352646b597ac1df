"""Models: classes, parameters by dtype, and signs of activation checkpointing and of channels last."""

from __future__ import annotations

import types

import pytest

from llmprof.collectors.live.configuration.model import model_settings

torch = pytest.importorskip("torch")


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(4, 4, bias=False)
        self.second = torch.nn.Linear(4, 2, bias=False, dtype=torch.bfloat16)
        self.frozen = torch.nn.Linear(4, 4, bias=False).requires_grad_(False)
        self.register_buffer("scale", torch.zeros(3, dtype=torch.float64))


def settings(model: torch.nn.Module, *, recompute_seen: bool = False) -> dict:
    return model_settings(model, recompute_seen=recompute_seen)


def test_parameters_and_buffers_by_dtype():
    found = settings(Net())
    assert found["trainable_bytes"] == {"float32": 64, "bfloat16": 16}
    assert (found["frozen_bytes"], found["buffer_bytes"]) == ({"float32": 64}, {"float64": 24})
    assert (found["trainable_count"], found["frozen_count"]) == (24, 16)


def test_classes_of_the_model_and_around_it():
    found = settings(torch.compile(Net(), backend="eager"))
    assert (found["name"], found["wrappers"]) == ("Net", ["OptimizedModule"])
    assert (found["modules"], found["module_count"]) == ({"Linear": 3, "Net": 1}, 4)


def test_shared_parameters_count_once():
    net = Net()
    net.third = torch.nn.Linear(4, 4, bias=False)
    net.third.weight = net.first.weight
    assert settings(net)["trainable_count"] == 24


def test_of_a_distributed_tensor_the_own_shard_counts():
    net = Net()
    net.first.weight._local_tensor = torch.zeros(2, 4)
    assert settings(net)["trainable_bytes"]["float32"] == 32


def test_no_sign_of_checkpointing():
    assert settings(Net())["checkpointing"] == []


def test_wrapped_layers_are_a_sign_of_checkpointing():
    wrapper = pytest.importorskip("torch.distributed.algorithms._checkpoint.checkpoint_wrapper")
    net = Net()
    net.first = wrapper.checkpoint_wrapper(net.first)
    assert settings(net)["checkpointing"] == ["CheckpointWrapper x 1"]


def test_the_flag_of_hugging_face_models_is_one():
    net = Net()
    net.first.gradient_checkpointing, net.second.gradient_checkpointing = True, False
    assert settings(net)["checkpointing"] == ["gradient_checkpointing flag x 1"]


def test_the_composable_form_is_one():
    composable = pytest.importorskip("torch.distributed._composable.checkpoint_activation")
    net = Net()
    composable.checkpoint(net.first)
    assert settings(net)["checkpointing"] == ["composable checkpoint x 1"]


def test_recomputation_that_was_seen_is_one():
    assert settings(Net(), recompute_seen=True)["checkpointing"] == ["recompute seen"]


@pytest.mark.parametrize("last", [True, False])
def test_memory_format_of_convolutions(last):
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 4, 1))
    if last:
        model = model.to(memory_format=torch.channels_last)
    found = settings(model)
    assert (found["convolutions"], found["channels_last"]) == (2, last)


def test_without_a_convolution_that_shows_it_the_memory_format_is_unknown():
    assert settings(Net())["channels_last"] is None
    assert settings(torch.nn.Sequential(torch.nn.Conv2d(4, 4, 1)))["channels_last"] is None


def test_a_model_with_an_only_child_named_module_is_taken_for_a_wrapper_and_nothing_breaks():
    outer = torch.nn.Module()
    outer.module = Net()
    assert settings(outer)["name"] == "Net"


def test_a_property_that_raises_costs_nothing():
    class Touchy(Net):
        @property
        def gradient_checkpointing(self) -> bool:
            raise RuntimeError("not now")

    assert settings(Touchy())["checkpointing"] == []
    assert isinstance(settings(Touchy())["modules"], dict | types.MappingProxyType)
