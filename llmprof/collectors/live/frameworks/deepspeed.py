"""How often does a DeepSpeed engine step, whatever its ZeRO optimizer does inside?

ZeRO steps the optimizer that it wraps once for every group or sub-group of parameters, or not at all when a loss scale
overflows. What counts is the engine's own step, which comes at the end of an accumulation; to the detector an engine is
one optimizer, so that a loop with several engines (an actor and a critic) is counted as one with several optimizers.
"""

from __future__ import annotations

from types import ModuleType

from llmprof.collectors.live.frameworks.grip import Adapter, Grip

__all__ = ["MODULES", "NAME"]

NAME = "deepspeed"


def _engine(module: ModuleType, grip: Grip) -> None:
    engine = module.DeepSpeedEngine
    # Called by step() and by the pipeline engine's train_batch(), at the end of an accumulation.
    grip.around(engine, "_take_model_step", grip.recorder.engine_begins, grip.recorder.engine_ends)
    grip.region("checkpoint", engine, "save_checkpoint")


MODULES: dict[str, Adapter] = {"deepspeed.runtime.engine": _engine}
