"""How does an optimizer of torch get another implementation before its first step?"""

from __future__ import annotations

from typing import Any, Literal

from llmprof.collectors.live.fixes.applying.attempt import Attempt
from llmprof.collectors.live.fixes.applying.moments import before_steps

__all__ = ["use_implementation"]


def use_implementation(attempt: Attempt, name: Literal["fused", "foreach"]) -> None:
    """Have every optimizer that offers it update with `name`, from its first step on."""
    known: set[int] = set()

    def step_begins(optimizer: Any) -> None:
        if id(optimizer) not in known:
            known.add(id(optimizer))
            why = _why_not(optimizer, name)
            if why:
                attempt.refuse(why)
            else:
                _switch(optimizer, name)
                attempt.applied(f"{type(optimizer).__name__} with {name}=True")

    before_steps(attempt, step_begins)


def _why_not(optimizer: Any, name: str) -> str:
    """Why it has to stay as it is; empty when it can be switched."""
    kind = type(optimizer).__name__
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if name not in optimizer.defaults:
        return f"{kind} has no {name} implementation"
    if all(group.get(name) for group in optimizer.param_groups):
        return f"{kind} is {name} already"
    if name == "foreach" and not any(group.get("fused") for group in optimizer.param_groups):
        from torch.optim.optimizer import _default_to_fused_or_foreach

        left_open = all(group.get("foreach") is None for group in optimizer.param_groups)
        if left_open and _default_to_fused_or_foreach(parameters, False, use_fused=False)[1]:
            return f"{kind} updates in lists by itself here"
    if any(group.get("differentiable") for group in optimizer.param_groups):
        return f"{kind} is differentiable, which excludes {name}"
    if name == "fused":
        from torch.utils._foreach_utils import _get_fused_kernels_supported_devices

        devices = set(_get_fused_kernels_supported_devices())
        if any(one.device.type not in devices or not one.is_floating_point() for one in parameters):
            return f"{kind} has parameters that no fused kernel updates (device or type)"
    return ""


def _switch(optimizer: Any, name: str) -> None:
    other = "foreach" if name == "fused" else "fused"
    for settings in (optimizer.defaults, *optimizer.param_groups):
        settings[name] = True
        if settings.get(other):
            settings[other] = False
    if name == "fused":
        import torch

        optimizer._step_supports_amp_scaling = True
        for parameter, state in optimizer.state.items():  # from a checkpoint: fused kernels count on the device
            if isinstance(state.get("step"), torch.Tensor):
                state["step"] = state["step"].to(device=parameter.device, dtype=torch.float32)
