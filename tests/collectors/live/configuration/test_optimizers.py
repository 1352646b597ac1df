"""Optimizers: what step() does, how many bits its states take, and what they weigh."""

from __future__ import annotations

import types

import pytest

from llmprof.collectors.live.configuration.optimizers import optimizer_settings, trained_parameters

torch = pytest.importorskip("torch")


def parameter(*shape: int) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.zeros(*shape))


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, (False, False)), ({"fused": True}, (True, False)), ({"foreach": True}, (False, True))],
)
def test_optimizer_settings_say_what_step_does(options, expected):
    # told nothing, an optimizer over CPU tensors takes neither of the fast paths
    found = optimizer_settings(torch.optim.AdamW([parameter(3, 5)], **options))
    assert (found["fused"], found["foreach"]) == expected
    assert (found["name"], found["package"], found["groups"]) == ("AdamW", "torch", 1)
    assert (found["parameter_tensors"], found["parameter_count"]) == (1, 15)


def test_an_optimizer_without_such_settings_has_unknown_ones():
    found = optimizer_settings(torch.optim.LBFGS([parameter(3)]))
    assert (found["fused"], found["foreach"], found["capturable"]) == (None, None, None)


def test_what_a_script_changed_in_all_groups_counts_more_than_how_it_was_built():
    optimizer = torch.optim.AdamW([{"params": [parameter(3)]}, {"params": [parameter(3)]}])
    optimizer.param_groups[0]["fused"] = True
    assert optimizer_settings(optimizer)["fused"] is False  # one of two: not the rule
    optimizer.param_groups[1]["fused"] = True
    assert optimizer_settings(optimizer)["fused"] is True
    assert optimizer_settings(optimizer)["groups"] == 2


@pytest.mark.parametrize(
    ("name", "fused", "bits"),
    [
        ("FusedAdam", True, None),
        ("DeepSpeedCPUAdam", True, None),
        ("AdamW8bit", None, 8),
        ("PagedAdamW8bit", None, 8),
        ("AdamW4bit", None, 4),
        ("AdamW32bit", None, None),
        ("Muon", None, None),
    ],
)
def test_the_name_of_a_foreign_class_tells_its_kind(name, fused, bits):
    made = type(name, (torch.optim.Optimizer,), {})([parameter(3)], {"lr": 0.1})
    found = optimizer_settings(made)
    assert (found["fused"], found["state_bits"]) == (fused, bits)


def test_bits_that_an_optimizer_says_itself():
    optimizer = torch.optim.SGD([parameter(3)])
    optimizer.args = types.SimpleNamespace(optim_bits=8)
    assert optimizer_settings(optimizer)["state_bits"] == 8


def test_the_state_is_weighed_by_type_without_the_step_counters():
    weight = parameter(4, 8)
    optimizer = torch.optim.AdamW([weight])
    weight.sum().backward()
    optimizer.step()
    assert optimizer_settings(optimizer)["state_bytes"] == {"float32": 2 * 4 * 8 * 4}


def test_a_shared_parameter_counts_once():
    weight = parameter(3)
    assert trained_parameters([torch.optim.SGD([weight]), torch.optim.SGD([weight])]) == [weight]
