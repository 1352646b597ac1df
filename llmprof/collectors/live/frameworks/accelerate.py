"""When does an Accelerate loop save?

Its steps are those of the script's own loop, which the detector sees: Accelerate's optimizers step torch's, and
its loaders are torch's. An update left out by the gradient scaler is seen at the scaler.
"""

from __future__ import annotations

from types import ModuleType

from llmprof.collectors.live.frameworks.grip import Adapter, Grip

__all__ = ["MODULES", "NAME"]

NAME = "accelerate"


def _accelerator(module: ModuleType, grip: Grip) -> None:
    grip.region("checkpoint", module.Accelerator, "save_state", "save_model")


MODULES: dict[str, Adapter] = {"accelerate.accelerator": _accelerator}
