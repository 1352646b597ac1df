"""How does a Hugging Face Trainer record itself? `callbacks=[LlmprofCallback(llmprof.profile("runs/x"))]`."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from llmprof.collectors.live.api import profile
from llmprof.collectors.live.frameworks.huggingface import NAME, which_step
from llmprof.collectors.live.injection import current

__all__ = ["LlmprofCallback"]


class LlmprofCallback(TrainerCallback):  # type: ignore[misc]  # transformers brings no types
    """Tells where the Trainer's steps end; with a `profile`, records every `train()` and diagnoses it.

    Without one it joins what records already (`llmprof run`, a `with llmprof.profile()` around it) and does nothing
    where nothing does. A training that fails is recorded to its end, but not diagnosed: Trainer does not tell.
    """

    def __init__(self, profile: profile | None = None) -> None:
        self._profile = profile

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Starts the recording."""
        if self._profile is not None:
            self._profile.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A step ends."""
        recording = current()
        if recording is not None:
            recording.marked(NAME, which_step(state))

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ends it."""
        if self._profile is not None:
            self._profile.stop()
