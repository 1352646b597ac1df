"""How does a Lightning Trainer record itself? `callbacks=[LlmprofCallback(llmprof.profile("runs/x"))]`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

from llmprof.collectors.live.api import profile
from llmprof.collectors.live.frameworks.lightning import NAME, which_step
from llmprof.collectors.live.injection import current

__all__ = ["LlmprofCallback"]


def _callback() -> Any:
    """Lightning's Callback, of the package (it has two) that the script uses."""
    packages = ("lightning.pytorch", "pytorch_lightning")
    used = [name for name in packages if name in sys.modules]
    found = [name for name in packages if importlib.util.find_spec(name.partition(".")[0]) is not None]
    return importlib.import_module((*used, *found, packages[0])[0]).Callback


class LlmprofCallback(_callback()):  # type: ignore[misc]
    """Tells where the Trainer's steps end; with a `profile`, records every `fit()` and diagnoses it.

    Without one it joins what records already (`llmprof run`, a `with llmprof.profile()` around it) and does nothing
    where nothing does.
    """

    def __init__(self, profile: profile | None = None) -> None:
        super().__init__()
        self._profile = profile
        self._updates = 0

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Starts the recording."""
        self._updates = trainer.global_step
        if self._profile is not None:
            self._profile.start()

    def on_train_batch_end(self, trainer: Any, *args: Any, **kwargs: Any) -> None:
        """A step ends when an optimizer has stepped."""
        recording = current()
        if recording is not None and (trainer.global_step != self._updates or recording.marks.has_stepped):
            self._updates = trainer.global_step
            recording.marked(NAME, which_step(trainer))

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Ends it."""
        if self._profile is not None:
            self._profile.stop()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Ends it, with the reason."""
        if self._profile is not None:
            self._profile.stop(exception)
