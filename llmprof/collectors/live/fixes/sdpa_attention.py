"""The fix sdpa-attention: models of Hugging Face compute attention with scaled_dot_product_attention."""

from __future__ import annotations

from typing import Any

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.moments import each_model

__all__ = ["NUMERICS", "VALUE", "apply"]

NUMERICS = False
VALUE = ""


def apply(attempt: Attempt) -> None:
    """Switch every trained model that computes attention eagerly, and says so in its configuration."""

    def switch(model: Any) -> None:
        switched = 0
        for module in model.modules():
            config = getattr(module, "config", None)
            if getattr(config, "_attn_implementation", None) == "eager" and hasattr(module, "set_attn_implementation"):
                module.set_attn_implementation("sdpa")
                switched += 1
        if switched:
            attempt.applied('attention implementation "eager" -> "sdpa"')
        else:
            attempt.refuse(
                f"{type(model).__name__} is no Hugging Face model with eager attention; in a model of your own call "
                "torch.nn.functional.scaled_dot_product_attention"
            )

    each_model(attempt, switch)
