"""Fixes applied in this very process, and taken back when a test is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module

import pytest

from llmprof.collectors.live.fixes.applying.attempt import Attempt

Apply = Callable[..., Attempt]


@pytest.fixture(autouse=True)
def hooks() -> Iterator[None]:
    """Takes the hooks of optimizers out again, which a fix leaves in their place: other tests count what is called."""
    optimizer = pytest.importorskip("torch.optim.optimizer")
    all_hooks = optimizer._global_optimizer_pre_hooks, optimizer._global_optimizer_post_hooks
    before = [set(some) for some in all_hooks]
    yield
    for some, kept in zip(all_hooks, before, strict=True):
        for number in set(some) - kept:
            del some[number]


@pytest.fixture
def apply() -> Iterator[Apply]:
    """`apply("dataloader-workers", "4")` applies the fix and returns its Attempt."""
    pytest.importorskip("torch")
    attempts = []

    def apply_one(fix: str, value: str | None = None) -> Attempt:
        attempts.append(Attempt(fix, value))
        import_module(f"llmprof.collectors.live.fixes.{fix.replace('-', '_')}").apply(attempts[-1])
        return attempts[-1]

    yield apply_one
    for attempt in reversed(attempts):
        attempt.remove()
