"""How is the work divided among ranks? Degrees, meshes, tensor placements, pipeline, and the groups that communicate.

Only what objects in the process prove: a wrapper, a distributed tensor, a stage, a process group.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

from llmprof.collectors.live.configuration.probing import Probes, attempt, inner_modules
from llmprof.collectors.live.configuration.sharding import (
    DDP,
    ENGINE,
    FSDP,
    ddp_settings,
    deepspeed_settings,
    fsdp_settings,
)
from llmprof.collectors.live.models import find_objects

__all__ = ["distribution", "parallel_settings"]

RUNNERS = ("_PipelineSchedule", "_PipelineStageBase", ENGINE)
AXES = {
    "dp_shard": "fsdp",
    "dp_shard_cp": "fsdp",
    "fsdp": "fsdp",
    "shard": "fsdp",
    "dp": "dp",
    "dp_replicate": "dp",
    "replicate": "dp",
    "tp": "tp",
    "pp": "pp",
    "cp": "cp",
    "ep": "ep",
}
"""Usual names of mesh dimensions (torchtitan, the tutorials of PyTorch) and the degree that each stands for."""
MOST_GROUPS, MOST_RANKS = 32, 64


def distribution(torch: Any, world_size: int | None) -> dict[str, Any]:
    """World size and backend, as launched or as the default process group says."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return {"world_size": world_size, "backend": None}
    backend = str(attempt(distributed.get_backend) or "undefined")
    if backend == "undefined":  # made without naming one: each device type has its own
        backend = "nccl" if torch.cuda.is_initialized() else "gloo"
    return {"world_size": attempt(distributed.get_world_size), "backend": backend}


def parallel_settings(models: list[Any], parameters: list[Any], world_size: int, probes: Probes) -> dict[str, Any]:
    """Fields of Environment about parallelism."""
    runners = find_objects(RUNNERS)
    engines = [one for one in (*models, *runners) if type(one).__name__ == ENGINE]
    wrappers = [module for model in models for module in inner_modules(model)]
    replicas = [module for module in wrappers if type(module).__name__ == DDP]
    every = [*models, *(engine for engine in engines if engine not in models)]
    fsdp = probes.read("fsdp", lambda: fsdp_settings(every))
    meshes = probes.read("meshes", lambda: _meshes(parameters)) or []
    pipeline = probes.read("pipeline", lambda: _pipeline(runners))
    found = {
        "ddp": probes.read("ddp", lambda: ddp_settings(replicas[0])) if replicas else None,
        "fsdp": fsdp,
        "meshes": meshes,
        "tensor_placements": probes.read("tensor_placements", lambda: _placements(parameters)) or {},
        "pipeline": pipeline,
        "deepspeed": probes.read("deepspeed", lambda: deepspeed_settings(engines[0])) if engines else None,
        "process_groups": probes.read("process_groups", _process_groups) or [],
    }
    flat = any(type(parameter).__name__ == "FlatParameter" for parameter in parameters[:8])
    return {**found, "parallelism": _degrees(found, wrappers, world_size, flat=flat)}


def _degrees(found: dict[str, Any], wrappers: list[Any], world_size: int, *, flat: bool) -> dict[str, int]:
    degrees: dict[str, int] = {}
    ddp, fsdp, pipeline, engine = found["ddp"], found["fsdp"], found["pipeline"], found["deepspeed"]
    if any(type(module).__name__ == DDP for module in wrappers):
        degrees["dp"] = (ddp or {}).get("group_size") or world_size
    if fsdp is not None or flat or any(type(module).__name__ == FSDP for module in wrappers):
        degrees["fsdp"] = (fsdp or {}).get("shard_size") or world_size
        if (fsdp or {}).get("replicate_size"):
            degrees["dp"] = fsdp["replicate_size"]
    if engine is not None and engine["zero_stage"] is not None:
        degrees["fsdp" if engine["zero_stage"] >= 3 else "dp"] = world_size
    sharded = fsdp is not None and not fsdp["replicate_size"]
    for mesh in found["meshes"]:
        for name, size in zip(mesh["names"], mesh["sizes"], strict=False):
            degree = AXES.get(name)
            if degree is not None and not (degree == "dp" and sharded):  # fully_shard over a dimension named dp
                degrees.setdefault(degree, size)
    if pipeline is not None and pipeline["stages"] and pipeline["local_stages"]:
        degrees.setdefault("pp", pipeline["stages"] // len(pipeline["local_stages"]))
    return degrees


def _meshes(parameters: list[Any]) -> list[dict[str, Any]]:
    """Meshes of the distributed parameters, and the whole ones that they are part of; each shape once."""
    meshes = {id(mesh): mesh for p in parameters if (mesh := getattr(p, "device_mesh", None)) is not None}
    whole = [attempt(lambda mesh=mesh: mesh._get_root_mesh()) or mesh for mesh in meshes.values()]  # type: ignore[misc]
    found = {}
    for mesh in (*whole, *meshes.values()):
        names = tuple(mesh.mesh_dim_names or ())
        sizes = tuple(int(mesh.size(axis)) for axis in range(mesh.ndim))
        found[names, sizes] = {"names": list(names), "sizes": list(sizes), "device_type": str(mesh.device_type)}
    return list(found.values())


def _placements(parameters: list[Any]) -> dict[str, int]:
    """`tp:Shard(0)`, or without a name `0:Shard(0)`; a parameter counts once a dimension of its mesh."""
    counts: Counter[str] = Counter()
    for parameter in parameters:
        mesh = getattr(parameter, "device_mesh", None)
        if mesh is not None:
            names = mesh.mesh_dim_names or [str(axis) for axis in range(mesh.ndim)]
            counts.update(f"{name}:{_placement(p)}" for name, p in zip(names, parameter.placements, strict=False))
    return dict(counts)


def _placement(placement: Any) -> str:
    dim = getattr(placement, "dim", None)
    return type(placement).__name__ + (f"({dim})" if isinstance(dim, int) else "")


def _pipeline(runners: Iterable[Any]) -> dict[str, Any] | None:
    """Of torch.distributed.pipelining: its schedule knows its stages, else the stages themselves."""
    schedules = [one for one in runners if hasattr(one, "_n_microbatches")]
    stages = [one for one in runners if hasattr(one, "stage_index")]
    for schedule in schedules[:1]:
        stages = list(getattr(schedule, "_stages", None) or [schedule._stage])
    if not stages:
        return None
    return {
        "schedule": type(schedules[0]).__name__ if schedules else None,
        "microbatches": int(schedules[0]._n_microbatches) if schedules else None,
        "stages": int(stages[0].num_stages),
        "local_stages": sorted({int(stage.stage_index) for stage in stages}),
    }


def _process_groups() -> list[dict[str, Any]]:
    """Every group that this rank is in, as torch.distributed keeps them."""
    c10d: Any = sys.modules.get("torch.distributed.distributed_c10d")
    if c10d is None or not c10d.is_initialized():
        return []
    return [_process_group(c10d, group) for group in list(c10d._world.pg_map)[:MOST_GROUPS]]


def _process_group(c10d: Any, group: Any) -> dict[str, Any]:
    size = attempt(lambda: int(c10d.get_world_size(group)))
    few = size is not None and size <= MOST_RANKS
    return {
        "name": attempt(lambda: str(c10d._world.pg_names[group])),
        "description": attempt(lambda: str(group.group_desc)),
        "backend": attempt(lambda: str(c10d.get_backend_config(group))) or attempt(lambda: str(group.name())),
        "size": size,
        "ranks": (attempt(lambda: [int(rank) for rank in c10d.get_process_group_ranks(group)]) or []) if few else [],
        "timeout_s": attempt(lambda: _timeout_s(group)),
    }


def _timeout_s(group: Any) -> float:
    """The backends of one group have one timeout; whichever tells it."""
    for device in group._device_types:
        options = attempt(lambda device=device: group._get_backend(device).options)  # type: ignore[misc]
        timeout = getattr(options, "_timeout", None)
        if timeout is not None:
            return float(timeout.total_seconds())
    raise LookupError("no backend tells its timeout")
