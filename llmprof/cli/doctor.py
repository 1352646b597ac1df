"""What can be recorded on this machine, and how does the user get the rest?"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from llmprof._version import __version__
from llmprof.cli.console import answer
from llmprof.units import format_bytes

__all__ = ["Check", "checks", "doctor"]

OLDEST_TORCH = (2, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that a recording can use: whether it is here, what it gives, and how to get it."""

    name: str
    status: Literal["ok", "missing", "unknown"]
    detail: str
    gives: str
    """What is recorded with it."""
    remedy: str | None = None


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON and nothing else.")] = False,
) -> None:
    """Show what can be recorded on this machine, and how to get the rest."""
    results = checks()
    if as_json:
        found = [dataclasses.asdict(check) for check in results]
        answer(json.dumps({"schema": "llmprof.doctor/1", "version": __version__, "checks": found}, indent=1))
        return
    lines = [f"llmprof {__version__} with {sys.executable}", ""]
    for check in results:
        lines.append(f"{check.status:8} {check.name:18} {check.detail}")
        lines.append(f"{'':8} {'':18} {'gives' if check.status == 'ok' else 'would give'}: {check.gives}")
        if check.remedy:
            lines.append(f"{'':8} {'':18} to get it: {check.remedy}")
    answer("\n".join(lines))


def checks() -> list[Check]:
    """Everything that a recording can use, each looked at by itself: a broken one never hides the others."""
    return [
        Check(
            name="Python",
            status="ok",
            detail=f"{platform.python_version()} on {platform.system()} {platform.machine()}",
            gives="the run around the training: command, exit code, host CPU and memory",
        ),
        _guarded("PyTorch", "steps, data waits and the operators of a burst, without code changes", _torch),
        _guarded("CUDA in PyTorch", "the step on the device: CUDA-event times and the kernel timeline", _cuda),
        _guarded("CUDA profiler", "kernels, copies and collectives of the burst (CUPTI)", _cupti),
        _guarded("NVML", "utilisation, power, clocks, memory and throttling of each GPU", _nvml),
        _guarded("GPM", "SM, tensor-core, memory and link activity with no profiler running (Hopper and newer)", _gpm),
        _guarded("Topology", "links between GPUs, NUMA nodes, network cards, limits of GPUs and host", _topology),
        _guarded("Host", "CPU, memory and storage of every rank, and what it may use of them", _host),
        _guarded("Nsight Systems", "a system-wide timeline", _nsys),
    ]


Answer = tuple[Literal["ok", "missing", "unknown"], str, str | None]


def _guarded(name: str, gives: str, look: Callable[[], Answer]) -> Check:
    try:
        status, detail, remedy = look()
    except Exception as error:  # drivers fail in ways of their own; the doctor reports and goes on
        status, detail, remedy = "unknown", f"could not be asked ({type(error).__name__}: {error})", None
    return Check(name=name, status=status, detail=detail, gives=gives, remedy=remedy)


def _import_torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ImportError:
        return None


def _torch() -> Answer:
    torch = _import_torch()
    if torch is None:
        return "missing", "not installed for this Python", "pip install 'llmprof[torch]', or use the Python that trains"
    version = str(torch.__version__)
    release = tuple(int(part) for part in version.split("+")[0].split(".")[:2])
    if release < OLDEST_TORCH:
        return "missing", f"{version} is older than 2.4", "upgrade PyTorch to 2.4 or newer"
    return "ok", version, None


def _cuda() -> Answer:
    torch = _import_torch()
    if torch is None:
        return "missing", "needs PyTorch", None
    if torch.version.cuda is None and torch.version.hip is None:
        return "missing", "this PyTorch is a CPU build", "on a GPU machine install the CUDA build (pytorch.org)"
    if not torch.cuda.is_available():
        return (
            "missing",
            f"built for CUDA {torch.version.cuda}, but no device answers",
            "check `nvidia-smi` and the driver",
        )
    count = torch.cuda.device_count()
    first = torch.cuda.get_device_properties(0)
    detail = f"CUDA {torch.version.cuda}, {count} x {first.name} with {format_bytes(first.total_memory)}"
    return "ok", detail, None


def _cupti() -> Answer:
    torch = _import_torch()
    if torch is None:
        return "missing", "needs PyTorch", None
    if torch.profiler.ProfilerActivity.CUDA in torch.profiler.supported_activities():
        return "ok", "the PyTorch profiler can trace the device", None
    return "missing", "the PyTorch profiler can trace only the CPU here", "use a CUDA build of PyTorch on a GPU machine"


def _nvml() -> Answer:
    pynvml = importlib.import_module("pynvml")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return (
            "missing",
            f"no NVIDIA driver answers ({error})",
            "install the NVIDIA driver, or expose it to the container",
        )
    driver = pynvml.nvmlSystemGetDriverVersion()
    return "ok", f"driver {driver}, {pynvml.nvmlDeviceGetCount()} GPU(s)", None


def _gpm() -> Answer:
    pynvml = importlib.import_module("pynvml")
    try:
        pynvml.nvmlInit()
        device = pynvml.nvmlDeviceGetHandleByIndex(0)
        support = pynvml.nvmlGpmQueryDeviceSupport(device)
    except pynvml.NVMLError as error:
        return "missing", f"not offered ({error})", "needs a Hopper or newer GPU and driver 520 or newer"
    if support.isSupportedDevice:
        return "ok", "supported by GPU 0", None
    return "missing", "GPU 0 does not support it", "needs a Hopper or newer GPU"


def _topology() -> Answer:
    from llmprof.collectors.telemetry.topology import node_topology

    found = node_topology()
    nodes = len(found["numa_nodes"])
    host = f"{nodes} NUMA node(s), {len(found['network'])} network card(s)" if nodes else "NUMA nodes unknown"
    if not found["gpus"]:
        return "missing", f"{host}, no GPU", "install the NVIDIA driver, or expose it to the container"
    links = {pair["nvlinks"] for pair in found["pairs"]}
    nvlink = f", {min(links)} NVLinks between any two" if links and None not in links else ""
    refused = f"; refused: {', '.join(sorted(found['unread']))}" if found["unread"] else ""
    return "ok", f"{len(found['gpus'])} GPU(s){nvlink}, {host}{refused}", None


def _host() -> Answer:
    from llmprof.collectors.live.configuration.host import cpu_quota, memory_limit, usable_cores

    if not Path("/proc/self/stat").exists():
        return "missing", f"{platform.system()} has no /proc", "record on Linux"
    quota, limit = cpu_quota(), memory_limit()
    quotas = "no CPU quota" if quota is None else f"a quota of {quota:g} cores"
    limits = "no memory limit" if limit is None else f"at most {format_bytes(limit)}"
    return "ok", f"{usable_cores()} of {os.cpu_count()} cores usable, {quotas}, {limits}", None


def _nsys() -> Answer:
    path = shutil.which("nsys")
    if path is None:
        return "missing", "nsys is not on PATH", "install Nsight Systems (developer.nvidia.com/nsight-systems)"
    return "ok", path, None
