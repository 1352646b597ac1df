"""What is this run? Device, software, launch, parallelism, loaders and optimizers, as the training process sees them.

Builds the keys of timeline.environment.Environment as plain dicts and lists; what cannot be read is None, not a guess.
"""

from __future__ import annotations

import os
import platform
import sys
import warnings
import weakref
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from llmprof.collectors.live.collector import NEVER

if TYPE_CHECKING:
    from llmprof.collectors.live.collector import StepRecord
    from llmprof.collectors.live.session import Session

__all__ = ["Configuration", "environment", "usable_cores"]

T = TypeVar("T")

VARIABLE_PREFIXES = (
    "CUDA_",
    "CUBLAS_",
    "NCCL_",
    "TORCH_",
    "PYTORCH_",
    "TORCHINDUCTOR_",
    "TORCHDYNAMO_",
    "OMP_",
    "MKL_",
)
VARIABLE_NAMES = frozenset(
    {
        "ACCELERATE_MIXED_PRECISION",
        "DISABLE_CUPTI_LAZY_REINIT",
        "HIP_VISIBLE_DEVICES",
        "KMP_AFFINITY",
        "KMP_BLOCKTIME",
        "LD_PRELOAD",
        "LOCAL_RANK",
        "LOCAL_WORLD_SIZE",
        "NUMEXPR_NUM_THREADS",
        "NVIDIA_TF32_OVERRIDE",
        "OPENBLAS_NUM_THREADS",
        "RANK",
        "TEARDOWN_CUPTI",
        "TOKENIZERS_PARALLELISM",
        "WORLD_SIZE",
    }
)
SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASS", "CREDENTIAL", "AUTH")
"""A variable caught by a prefix whose name holds one of these is left out."""


SECOND_LOOK = 3
"""The step, still in the warm-up, after which the settings are read again."""


class Configuration:
    """Writes `environment` and `device` into rank.json at the start, and again when more has been seen."""

    name = "configuration"

    def __init__(self) -> None:
        self._session: Session | None = None
        self.next_step = SECOND_LOOK

    def start(self, session: Session) -> None:
        """Read it once now: a run that is killed keeps this."""
        self._session = session
        self._write(session, first=True)

    def on_step(self, record: StepRecord) -> None:
        """Look once more early on: a loader is known when it has fed a step, and the run may be killed later."""
        if record["n"] >= self.next_step and self._session is not None:
            self.next_step = NEVER
            self._write(self._session)

    def stop(self) -> None:
        """Read it again: all loaders have been used, everything is compiled."""
        if self._session is not None:
            self._write(self._session)

    def _write(self, session: Session, *, first: bool = False) -> None:
        # Some getters (TF32 among them) warn about their own successors; that is not the script's business.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = environment(session)
            if not first:  # what has gone meanwhile (a loader after its last epoch) was there: keep what is noted
                found = {name: value for name, value in found.items() if value not in (None, [], {})}
            session.update_rank(environment=found, device=_device_identity())


def environment(session: Session) -> dict[str, Any]:
    """The fields of timeline.environment.Environment."""
    torch: Any = import_module("torch")
    optimizers = _alive(session.optimizers)
    parameters = _parameters(optimizers)
    return {
        **_software(torch),
        **_distribution(torch, session),
        **_numerics(torch),
        "device": _try(lambda: _device(torch)) or {},
        "gpus_per_node": _try(lambda: torch.cuda.device_count() if torch.cuda.is_initialized() else None),
        "host": session.host,
        "local_rank": session.local_rank,
        "parallelism": _try(lambda: _parallelism(session, parameters)) or {},
        "loaders": [_loader(loader) for loader in _alive(session.loaders)],
        "optimizers": [_optimizer(optimizer) for optimizer in optimizers],
        "cpu_count": usable_cores(),
        "cpu_threads": _try(torch.get_num_threads),
        "parameter_bytes": _parameter_bytes(parameters),
        "variables": _variables(),
        "command": list(getattr(sys, "orig_argv", sys.argv)),
    }


def usable_cores() -> int | None:
    """Cores this process may use: its affinity mask, cut by the CPU quota of its control groups (v2, then v1)."""
    cores = _try(lambda: len(os.sched_getaffinity(0))) or os.cpu_count()
    group = (_try(lambda: Path("/proc/self/cgroup").read_text("ascii")) or "").rpartition("0::")[2].strip()
    folder = Path("/sys/fs/cgroup") / group.lstrip("/")
    quotas = [_quota_v2(parent / "cpu.max") for parent in (folder, *folder.parents)]
    quotas.append(_quota_v1(Path("/sys/fs/cgroup/cpu")))
    limits = [max(int(quota), 1) for quota in quotas if quota is not None]
    return min([*limits, cores]) if cores is not None else None


def _quota_v2(path: Path) -> float | None:
    def read() -> float | None:
        quota, period = path.read_text("ascii").split()
        return None if quota == "max" else int(quota) / int(period)

    return _try(read)


def _quota_v1(folder: Path) -> float | None:
    def read() -> float | None:
        quota = int((folder / "cpu.cfs_quota_us").read_text("ascii"))
        period = int((folder / "cpu.cfs_period_us").read_text("ascii"))
        return quota / period if quota > 0 else None

    return _try(read)


def _software(torch: Any) -> dict[str, Any]:
    nccl = _try(lambda: torch.cuda.nccl.version()) if torch.cuda.is_initialized() else None
    return {
        "torch_version": str(torch.__version__),
        "cuda_version": torch.version.cuda or getattr(torch.version, "hip", None),
        "nccl_version": ".".join(map(str, nccl)) if isinstance(nccl, tuple) else None,
        "python_version": platform.python_version(),
    }


def _distribution(torch: Any, session: Session) -> dict[str, Any]:
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return {"world_size": session.world_size, "backend": None}
    backend = str(_try(distributed.get_backend) or "undefined")
    if backend == "undefined":  # made without naming one: each device type has its own
        backend = "nccl" if torch.cuda.is_initialized() else "gloo"
    return {"world_size": _try(distributed.get_world_size), "backend": backend}


def _numerics(torch: Any) -> dict[str, Any]:
    dynamo = sys.modules.get("torch._dynamo.utils")
    return {
        "matmul_precision": _try(torch.get_float32_matmul_precision),
        "allow_tf32": _try(lambda: bool(torch.backends.cuda.matmul.allow_tf32)),
        # Between steps autocast is on only in a script that wraps its whole loop; off says nothing, so it stays None.
        "autocast_dtype": _try(
            lambda: _dtype(torch.get_autocast_dtype("cuda")) if torch.is_autocast_enabled() else None
        ),
        "compiled": _try(lambda: bool(dynamo is not None and dynamo.counters["frames"]["ok"])),
    }


def _device(torch: Any) -> dict[str, Any] | None:
    if not torch.cuda.is_initialized():
        return None
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    return {
        "name": properties.name,
        "memory_bytes": properties.total_memory,
        "sm_count": properties.multi_processor_count,
        "capability": [properties.major, properties.minor],
    }


def _device_identity() -> dict[str, Any] | None:
    """What finds this rank's device among NVML's, whatever CUDA_VISIBLE_DEVICES says."""
    torch: Any = import_module("torch")
    if not torch.cuda.is_initialized():
        return None
    index = torch.cuda.current_device()
    properties = torch.cuda.get_device_properties(index)
    uuid = getattr(properties, "uuid", None)
    return {
        "index": index,
        "uuid": None if uuid is None else f"GPU-{str(uuid).removeprefix('GPU-')}",
        "pci_bus": getattr(properties, "pci_bus_id", None),
    }


def _loader(loader: Any) -> dict[str, Any]:
    """The settings of a DataLoader, or of its iterator: `for batch in DataLoader(...)` keeps nothing but that alive."""

    def read(name: str) -> Any:
        return getattr(loader, name, getattr(loader, f"_{name}", None))

    size, sampler, context = read("batch_size"), read("batch_sampler") or read("index_sampler"), None
    if read("num_workers"):
        context = read("multiprocessing_context")
    return {
        "num_workers": read("num_workers"),
        "batch_size": size if size is not None else getattr(sampler, "batch_size", None),
        "pin_memory": read("pin_memory"),
        "prefetch_factor": read("prefetch_factor"),
        "persistent_workers": read("persistent_workers"),
        "multiprocessing_context": _try(lambda: str(context.get_start_method())) if context is not None else None,
        "dataset": type(read("dataset")).__name__ if read("dataset") is not None else None,
    }


def _optimizer(optimizer: Any) -> dict[str, Any]:
    """`fused` and `foreach` are what step() does: an optimizer that was told nothing picks foreach by its tensors."""
    parameters = _parameters([optimizer])
    defaults = getattr(optimizer, "defaults", {})
    fused, foreach = defaults.get("fused"), defaults.get("foreach")
    if "foreach" in defaults and foreach is None:
        foreach = False if fused else _try(lambda: _picks_foreach(parameters))
    return {
        "name": type(optimizer).__name__,
        "fused": bool(fused) if "fused" in defaults else None,
        "foreach": foreach,
        "capturable": defaults.get("capturable"),
        "parameter_tensors": len(parameters),
        "parameter_count": sum(parameter.numel() for parameter in parameters),
    }


def _picks_foreach(parameters: list[Any]) -> bool:
    choose: Any = import_module("torch.optim.optimizer")._default_to_fused_or_foreach
    return bool(choose(parameters, differentiable=False, use_fused=False)[1])


def _parallelism(session: Session, parameters: list[Any]) -> dict[str, int]:
    """Degrees that objects in the process prove: a DDP wrapper, flat FSDP parameters, the mesh of a DTensor."""
    found: dict[str, int] = {}
    models = _alive(session.models)
    kinds = {type(inner).__name__ for model in models for inner in (model, getattr(model, "_orig_mod", None))}
    if "DistributedDataParallel" in kinds:
        found["dp"] = session.world_size
    if "FullyShardedDataParallel" in kinds or any(type(p).__name__ == "FlatParameter" for p in parameters[:8]):
        found["fsdp"] = session.world_size
    mesh = next((p.device_mesh for p in parameters if hasattr(p, "device_mesh")), None)
    if mesh is not None:
        names = mesh.mesh_dim_names or (("fsdp",) if mesh.ndim == 1 else ())
        for axis, name in enumerate(names):
            degree = {"dp_shard": "fsdp", "dp_replicate": "dp", "shard": "fsdp", "replicate": "dp"}.get(name, name)
            if degree in ("dp", "tp", "pp", "fsdp"):
                found[degree] = int(mesh.size(axis))
    return found


def _parameters(optimizers: Iterable[Any]) -> list[Any]:
    unique = {id(p): p for o in optimizers for group in getattr(o, "param_groups", ()) for p in group["params"]}
    return list(unique.values())


def _parameter_bytes(parameters: list[Any]) -> dict[str, int]:
    """Bytes that this rank holds, by dtype; of a DTensor its own shard."""
    total: dict[str, int] = {}
    for parameter in parameters:
        held = getattr(parameter, "_local_tensor", parameter)
        name = _dtype(held.dtype)
        total[name] = total.get(name, 0) + held.numel() * held.element_size()
    return total


def _variables() -> dict[str, str]:
    def wanted(name: str) -> bool:
        by_prefix = name.startswith(VARIABLE_PREFIXES) and not any(word in name for word in SECRET_WORDS)
        return by_prefix or name in VARIABLE_NAMES

    return {name: value for name, value in sorted(os.environ.items()) if wanted(name)}


def _dtype(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _alive(objects: Iterable[Any]) -> list[Any]:
    """The objects themselves, of weak references those that still live; in their order, each once."""
    alive = (entry() if isinstance(entry, weakref.ReferenceType) else entry for entry in list(objects))
    return list({id(entry): entry for entry in alive if entry is not None}.values())


def _try(read: Callable[[], T]) -> T | None:
    """None instead of an exception: a setting that cannot be read is unknown."""
    try:
        return read()
    except Exception:
        return None
