"""How does an Accelerate loop record itself? `accelerator = prepare(Accelerator(...), llmprof.profile("runs/x"))`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from llmprof.collectors.live.api import profile, step
from llmprof.collectors.live.injection import current

__all__ = ["prepare"]

Accelerator = TypeVar("Accelerator")


def prepare(accelerator: Accelerator, profile: profile | None = None) -> Accelerator:
    """The same Accelerator, whose `accumulate()` blocks tell where steps end: where gradients were synchronised.

    With a `profile` it records from here to `accelerator.end_training()`, and diagnoses that. Without one it joins what
    records already, and does nothing where nothing does. A loop without `accumulate()` is counted as it is.
    """
    if profile is not None:
        profile.start()
    if current() is None:
        return accelerator
    held: Any = accelerator
    held.accumulate = _counted(held, held.accumulate)
    if profile is not None:
        held.end_training = _last(held.end_training, profile)
    return accelerator


def _counted(accelerator: Any, accumulate: Any) -> Any:
    @contextmanager
    def counted(*models: Any) -> Iterator[None]:
        with accumulate(*models):
            yield
        if accelerator.sync_gradients:
            step()

    return counted


def _last(end_training: Any, profile: profile) -> Any:
    def last(*args: Any, **kwargs: Any) -> Any:
        try:
            return end_training(*args, **kwargs)
        finally:
            profile.stop()

    return last
