"""A fix meets what the training calls, and one that lets go in the middle of a step leaves the step alone."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from llmprof.collectors.live.fixes.applying.attempt import Attempt  # noqa: E402
from llmprof.collectors.live.fixes.applying.moments import at_first_step, before_steps, each_model  # noqa: E402


class Model(nn.Module):
    """Two parts; the second calls another one inside."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 1))

    def forward(self, x: Any) -> Any:
        return self.decoder(self.encoder(x))

    def loss(self, x: Any) -> Any:
        return self.decoder(self.encoder(x)).square().mean()


def met(call: Callable[[Model, Any], Any], *, evaluate: bool = False) -> tuple[Model, list[Any]]:
    """A model in an object of the script that is trained by `call`, and the models that a fix has met."""
    attempt, found = Attempt("a"), list[Any]()
    each_model(attempt, found.append)
    state = SimpleNamespace(model=Model())
    state.optimizer = torch.optim.SGD(state.model.parameters(), lr=0.1)
    if evaluate:
        with torch.no_grad():
            state.model(torch.randn(2, 4))
    for _ in range(2):
        call(state.model, torch.randn(2, 4)).sum().backward()
        state.optimizer.step()
    attempt.remove()
    return state.model, found


def test_a_model_that_no_variable_names_is_met_by_its_call() -> None:
    model, found = met(lambda model, x: model(x))
    assert found == [model]


@pytest.mark.parametrize("evaluate", [False, True])
@pytest.mark.parametrize("call", [Model.loss, lambda model, x: model.decoder(model.encoder(x))])
def test_of_a_model_that_is_never_called_as_a_whole_the_called_parts_are_met(call: Any, evaluate: bool) -> None:
    """Its own forward would never run what is put around it; an evaluation before the training is no training."""
    model, found = met(call, evaluate=evaluate)
    assert sorted(found, key=id) == sorted([model.encoder, model.decoder], key=id)


def test_a_model_that_another_one_holds_is_met_as_that_one() -> None:
    wrapped = list[Any]()

    def call(model: Model, x: Any) -> Any:
        wrapped[:] = wrapped or [nn.Sequential(model)]
        return wrapped[0](x)

    assert met(call)[1] == wrapped


def test_a_script_that_has_compiled_its_model_is_not_warned() -> None:
    """torch warns of hooks on all modules when a compiled one is called; warnings are errors in this test."""
    compiled = list[Any]()

    def call(model: Model, x: Any) -> Any:
        compiled[:] = compiled or [torch.compile(model, backend="eager")]
        return compiled[0](x)

    assert met(call)[1] == compiled


@pytest.mark.parametrize("moment", [before_steps, at_first_step, each_model])
def test_a_fix_that_fails_in_a_step_ends_neither_the_step_nor_another_fix(moment: Any) -> None:
    """torch goes through its hooks meanwhile, and fails when one of them is taken out."""
    broken, other, steps = Attempt("broken"), Attempt("other"), list[int]()

    def fail(subject: Any) -> None:
        raise ValueError("it does not fit")

    moment(broken, fail)
    moment(other, lambda subject: steps.append(1))
    net = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        net(torch.zeros(1, 2)).sum().backward()
        optimizer.step()
    other.remove()
    assert len(steps) == (2 if moment is before_steps else 1)
    assert broken.report()["status"] == "failed"
