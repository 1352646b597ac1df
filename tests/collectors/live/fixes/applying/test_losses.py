"""Losses are what each outermost backward begins with, before any scaling."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch")

from llmprof.collectors.live.fixes.applying.losses import Losses  # noqa: E402


@pytest.fixture
def losses() -> Iterator[Losses]:
    made = Losses()
    made.watch()
    yield made
    made.finish()


def weight() -> torch.Tensor:
    return torch.ones(1, requires_grad=True)


def test_values_in_order(losses: Losses) -> None:
    for value in (3.0, 2.0, 1.0):
        (weight() * value).sum().backward()
    losses.collect()
    assert losses.values == [3.0, 2.0, 1.0]


def test_the_value_is_kept_and_not_the_tensor(losses: Losses) -> None:
    loss = (weight() * 3).sum()
    loss.backward()
    with torch.no_grad():
        loss.zero_()
    losses.collect()
    assert losses.values == [3.0]


def test_a_scaled_loss_is_read_before_it_is_scaled(losses: Losses) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale((weight() * 3).sum()).backward()
    losses.collect()
    assert losses.values == [3.0]


def test_a_backward_inside_a_backward_is_no_loss(losses: Losses) -> None:
    from torch.utils.checkpoint import checkpoint

    x = weight()
    checkpoint(lambda y: (y * 5).sum(), x, use_reentrant=True).backward()
    losses.collect()
    assert losses.values == [5.0]


def test_a_backward_of_several_values_is_none(losses: Losses) -> None:
    x = torch.ones(3, requires_grad=True)
    (x * 2).backward(torch.ones(3))
    losses.collect()
    assert losses.values == []
    assert losses.reason is None


def test_what_goes_wrong_costs_the_losses_alone(losses: Losses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "_keep", lambda loss: 1 / 0)
    x = weight()
    (x * 3).sum().backward()
    assert x.grad is not None
    assert losses.reason == "ZeroDivisionError: division by zero"


def test_it_lets_go() -> None:
    before = torch.autograd.backward
    made = Losses()
    made.watch()
    made.finish()
    assert torch.autograd.backward is before
