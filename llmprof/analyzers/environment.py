"""What does a reader of the report need to know of the run's set-up? The `environment` of analysis.json.

Keys stay what they are once they are there; unknown values are None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from llmprof.analyzers.facts.communication.parallelism import parallelism_of
from llmprof.analyzers.facts.device.hardware import HardwareFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.timeline.environment import Environment
from llmprof.timeline.settings import ModelSettings
from llmprof.timeline.topology import Node

__all__ = ["environment_of"]

MOST_CLASSES = 8


def environment_of(facts: Facts) -> Mapping[str, Any]:
    """The set-up of the critical rank, which stands for the run."""
    known = facts.critical.environment
    loader = known.loaders[0] if known.loaders else None
    optimizer = known.optimizers[0] if known.optimizers else None
    collectives = facts.critical.collectives
    return {
        "gpu": known.device.name,
        "gpus_per_node": known.gpus_per_node,
        "world_size": facts.world_size,
        "torch": known.torch_version,
        "cuda": known.cuda_version,
        "driver": known.node.driver_version if known.node is not None else None,
        "cudnn": known.cudnn_version,
        "nccl": known.nccl_version,
        "python": known.python_version,
        "packages": dict(known.packages) or None,
        "parallelism": asdict(parallelism_of(known, collectives.groups if collectives is not None else ())),
        "ddp": _told(known.ddp),
        "fsdp": _told(known.fsdp),
        "deepspeed": _told(known.deepspeed),
        "pipeline": _told(known.pipeline),
        "mesh": _mesh(known),
        "backend": known.backend,
        "cpu_count": known.cpu_count,
        "cpu_affinity": known.cpu_affinity,
        "cpu_quota": known.cpu_quota,
        "cpu_threads": known.cpu_threads,
        "numa_nodes": list(known.numa_nodes) or None,
        "loader": None if loader is None else {
            "num_workers": loader.num_workers, "pin_memory": loader.pin_memory, "batch_size": loader.batch_size,
            "prefetch_factor": loader.prefetch_factor, "persistent_workers": loader.persistent_workers,
        },
        "optimizer": None if optimizer is None else {
            "name": optimizer.name, "fused": optimizer.fused, "foreach": optimizer.foreach,
            "capturable": optimizer.capturable, "groups": optimizer.groups, "state_bits": optimizer.state_bits,
        },
        "model": _model(known.models[0]) if known.models else None,
        "precision": _precision(known),
        "compile": _compile(known),
        "node": _node(known.node),
        "hardware": _hardware(facts.critical.hardware),
        "variables": dict(known.variables) or None,
        "command": list(known.command) or None,
    }  # fmt: skip


def _told(record: Any) -> dict[str, Any] | None:
    """The known fields of a record."""
    if record is None:
        return None
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(record).items() if v not in (None, ())}


def _mesh(known: Environment) -> dict[str, int] | None:
    """The sizes of the first whole mesh by their names, or by their places."""
    if not known.meshes:
        return None
    mesh = known.meshes[0]
    names = mesh.names or tuple(str(axis) for axis in range(len(mesh.sizes)))
    return dict(zip(names, mesh.sizes, strict=False))


def _model(model: ModelSettings) -> dict[str, Any]:
    return {
        "name": model.name,
        "wrappers": list(model.wrappers) or None,
        "modules": dict(list(model.modules.items())[:MOST_CLASSES]) or None,
        "trainable_parameters": model.trainable_count,
        "frozen_parameters": model.frozen_count,
        "trainable_bytes": dict(model.trainable_bytes) or None,
        "frozen_bytes": dict(model.frozen_bytes) or None,
        "buffer_bytes": dict(model.buffer_bytes) or None,
        "checkpointing": list(model.checkpointing) or None,
        "channels_last": model.channels_last,
    }


def _precision(known: Environment) -> dict[str, Any]:
    settings = known.precision
    return {
        "matmul": known.matmul_precision,
        "tf32": known.allow_tf32,
        "cudnn_tf32": settings.cudnn_tf32,
        "autocast": known.autocast_dtype or ("none" if settings.autocast_watched else None),
        "grad_scaler": settings.grad_scaler,
        "cudnn_benchmark": settings.cudnn_benchmark,
        "deterministic": settings.deterministic_algorithms,
        "detect_anomaly": settings.detect_anomaly,
        "sdpa_backends": list(settings.sdpa_backends) or None,
    }


def _compile(known: Environment) -> dict[str, Any] | None:
    if known.compilation is None:
        return None if known.compiled is None else {"compiled": known.compiled}
    return {"compiled": known.compiled, **(_told(known.compilation) or {})}


def _node(node: Node | None) -> dict[str, Any] | None:
    if node is None:
        return None
    linked = [pair.nvlinks for pair in node.pairs if pair.nvlinks is not None]
    cards = [card.megabits_per_s for card in node.network if card.kind == "infiniband" and card.megabits_per_s]
    return {
        "cpu": node.cpu_model,
        "cpus": node.cpu_count,
        "sockets": node.cpu_sockets,
        "numa_nodes": len(node.numa_nodes) or None,
        "memory_bytes": node.memory_bytes,
        "shm_bytes": node.shm_bytes,
        "container": node.container,
        "nvlinks_between_gpus": min(linked) if linked else None,
        "gpu_paths": sorted({pair.ancestor for pair in node.pairs if pair.ancestor}) or None,
        "infiniband_gigabits_per_s": sum(cards) / 1000 if cards else None,
    }


def _hardware(hardware: HardwareFacts | None) -> dict[str, Any] | None:
    """The GPU during the counted steps."""
    if hardware is None:
        return None
    found = {name: value for name, value in asdict(hardware).items() if value not in (None, {})}
    return {**found, "clock_share": hardware.clock_share, "pcie_below_max": hardware.pcie_below_max}
