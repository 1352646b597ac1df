"""How are parameters replicated or sharded? The settings of DDP, of FSDP in both versions, and of DeepSpeed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from llmprof.collectors.live.configuration.probing import attempt, dtype_name

__all__ = ["DDP", "ENGINE", "FSDP", "ddp_settings", "deepspeed_settings", "fsdp_settings", "fsdp_state"]

DDP = "DistributedDataParallel"
FSDP = "FullyShardedDataParallel"
ENGINE = "DeepSpeedEngine"


def ddp_settings(ddp: Any) -> dict[str, Any]:
    """Fields of DdpSettings, from the wrapper's own attributes."""
    hooks = attempt(lambda: [_name_of(hook) for hook, _ in ddp._comm_hooks])
    group: Any = getattr(ddp, "process_group", None)
    return {
        "bucket_cap_bytes": attempt(lambda: int(ddp.bucket_bytes_cap)),
        "bucket_cap_is_default": _flag(ddp, "bucket_bytes_cap_default"),
        "gradient_as_bucket_view": _flag(ddp, "gradient_as_bucket_view"),
        "find_unused_parameters": _flag(ddp, "find_unused_parameters"),
        "static_graph": _flag(ddp, "static_graph"),
        "broadcast_buffers": _flag(ddp, "broadcast_buffers"),
        "communication_hook": None if hooks is None else ", ".join(hooks),
        "parameter_dtype": attempt(lambda: dtype_name(ddp.mixed_precision.param_dtype)),
        "group_size": attempt(lambda: int(group.size())),
        "backend": attempt(lambda: str(group.name())),
    }


def fsdp_settings(models: Iterable[Any]) -> dict[str, Any] | None:
    """Fields of FsdpSettings of the first sharded model; None without one."""
    for model in models:
        modules = list(model.modules())
        wrapped = [module for module in modules if type(module).__name__ == FSDP]
        if wrapped:
            return _version_1(wrapped)
        states = [state for module in modules if (state := fsdp_state(module)) is not None and _groups(state)]
        if states:
            return _version_2(states)
    return None


def fsdp_state(module: Any) -> Any:
    """What fully_shard keeps of this very module; None for others."""
    getter = getattr(type(module), "_get_fsdp_state", None)
    return attempt(lambda: getter(module)) if getter is not None else None


def _version_1(wrapped: list[Any]) -> dict[str, Any]:
    root = wrapped[0]
    strategy = attempt(lambda: str(root.sharding_strategy.name))
    reshards = {"FULL_SHARD": "yes", "HYBRID_SHARD": "yes", "SHARD_GRAD_OP": "no", "_HYBRID_SHARD_ZERO2": "no"}
    mixed = getattr(root, "mixed_precision", None)
    return {
        "version": 1,
        "units": len(wrapped),
        "strategy": strategy,
        "reshard_after_forward": reshards.get(strategy or ""),
        "parameter_dtype": dtype_name(getattr(mixed, "param_dtype", None)),
        "reduce_dtype": dtype_name(getattr(mixed, "reduce_dtype", None)),
        "buffer_dtype": dtype_name(getattr(mixed, "buffer_dtype", None)),
        "forward_prefetch": _flag(root, "forward_prefetch"),
        "backward_prefetch": attempt(lambda: str(root.backward_prefetch.name) if root.backward_prefetch else "none"),
        "limit_all_gathers": _flag(root, "limit_all_gathers"),
        "use_orig_params": _flag(root, "_use_orig_params"),
        "cpu_offload": attempt(lambda: bool(root.cpu_offload.offload_params)),
        "shard_size": attempt(lambda: int(root.process_group.size())),
        "replicate_size": attempt(lambda: int(root._inter_node_pg.size())),
    }


def _version_2(states: list[Any]) -> dict[str, Any]:
    groups = [group for state in states for group in _groups(state)]
    first = groups[0]
    mesh, policy = first.mesh_info, first.mp_policy
    below_root = [_reshards(group) for group in groups[1:]] or [_reshards(first)]
    return {
        "version": 2,
        "units": len(groups),
        "reshard_after_forward": Counter(below_root).most_common(1)[0][0],
        "parameter_dtype": dtype_name(policy.param_dtype),
        "reduce_dtype": dtype_name(policy.reduce_dtype),
        "forward_prefetch": any(attempt(lambda s=s: bool(s._states_to_forward_prefetch)) for s in states),  # type: ignore[misc]
        "backward_prefetch": _explicit(states),
        "cpu_offload": "CPU" in type(first.offload_policy).__name__,
        "shard_size": attempt(lambda: int(mesh.shard_mesh_size)),
        "replicate_size": attempt(lambda: int(mesh.replicate_mesh_size)),
    }


def _groups(state: Any) -> list[Any]:
    """The parameter groups of one module; releases before 2.10 or so have at most one."""
    groups = getattr(state, "_fsdp_param_groups", None)
    if groups is None:
        groups = [getattr(state, "_fsdp_param_group", None)]
    return [group for group in groups if group is not None]


def _reshards(group: Any) -> str:
    after = group.post_forward_mesh_info
    if after is None:
        return "no"
    return "yes" if after is group.mesh_info else str(int(after.shard_mesh_size))


def _explicit(states: list[Any]) -> str:
    """Without an explicit order FSDP2 prefetches in backward the unit that ran before in forward."""
    return "explicit" if any(getattr(state, "_states_to_backward_prefetch", None) for state in states) else "implicit"


def deepspeed_settings(engine: Any) -> dict[str, Any]:
    """Fields of DeepSpeedSettings, asked of the engine."""
    half = attempt(lambda: bool(engine.fp16_enabled()))
    brain = attempt(lambda: bool(engine.bfloat16_enabled()))
    return {
        "zero_stage": attempt(lambda: int(engine.zero_optimization_stage())),
        "optimizer_offload": attempt(lambda: _offload(engine.zero_offload_optimizer())),
        "parameter_offload": attempt(lambda: _offload(engine.zero_offload_param())),
        "dtype": "float16" if half else "bfloat16" if brain else "float32" if half is False else None,
        "gradient_accumulation": attempt(lambda: int(engine.gradient_accumulation_steps())),
        "overlap_communication": attempt(lambda: bool(engine.zero_overlap_comm())),
        "reduce_bucket_elements": attempt(lambda: int(engine.zero_reduce_bucket_size())),
    }


def _offload(config: Any) -> str:
    device = getattr(config, "device", None)
    return "none" if device is None else str(getattr(device, "value", device))


def _flag(owner: Any, name: str) -> bool | None:
    value = getattr(owner, name, None)
    return value if isinstance(value, bool) else None


def _name_of(hook: Any) -> str:
    return str(getattr(hook, "__qualname__", None) or type(hook).__name__)
